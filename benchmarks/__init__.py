"""Ratios against other ways of doing the same work, each one command."""
