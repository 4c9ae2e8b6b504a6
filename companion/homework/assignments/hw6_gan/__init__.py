"""Two losses and the sides of a network"""
