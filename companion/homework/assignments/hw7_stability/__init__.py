"""A critic with a known slope"""
