"""Homework 6: two losses and the sides of a network."""
