"""Homework 3: a bound, its gap, and two ways to its gradient."""
