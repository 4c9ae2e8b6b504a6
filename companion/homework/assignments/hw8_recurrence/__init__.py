"""Gradients through time and the likelihood of sequences"""
