"""Three distances on a grid: a divergence, a symmetric one, and the work"""
