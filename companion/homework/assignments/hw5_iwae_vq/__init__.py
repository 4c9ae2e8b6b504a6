"""Homework 5: many guesses, and a choice without a slope."""
