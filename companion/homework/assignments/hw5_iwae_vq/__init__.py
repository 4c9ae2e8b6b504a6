"""Many guesses, and a choice without a slope: importance weights and codebooks"""
