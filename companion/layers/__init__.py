"""Small pieces that several models share."""

from companion.layers.modes import evaluating, model_input, reference, standard_normal

__all__ = ["evaluating", "model_input", "reference", "standard_normal"]
