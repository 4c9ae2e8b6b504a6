"""Homework 2: three distances on a grid."""
