"""Homework 7: a critic with a known slope."""
