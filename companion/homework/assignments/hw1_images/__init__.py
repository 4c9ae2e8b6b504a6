"""Homework 1: what an image costs."""
