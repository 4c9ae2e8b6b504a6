"""Homework 8: gradients through time and the likelihood of sequences."""
