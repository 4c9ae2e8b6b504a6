"""A bound on the evidence: its value, its gap, and two ways to its gradient"""
