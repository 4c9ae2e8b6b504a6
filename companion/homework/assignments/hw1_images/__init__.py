"""What an image costs: bits per dimension, dequantization, gray levels and a leak"""
