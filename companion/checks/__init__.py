"""Checks of what a caller gives, each in one place: one sentence, with the remedy."""

from companion.checks.arguments import (
    explained,
    generator,
    integer,
    kind,
    number,
    one_of,
    seed,
    shown,
    suggestion,
    unknown_name,
)
from companion.checks.tensors import (
    TOLERANCE,
    codes,
    floats,
    image_shape,
    more_than_one,
    pixel_range,
    pixel_type,
    pixels,
    same_shape,
    values_are_readable,
)

__all__ = [
    "TOLERANCE",
    "codes",
    "explained",
    "floats",
    "generator",
    "image_shape",
    "integer",
    "kind",
    "more_than_one",
    "number",
    "one_of",
    "pixel_range",
    "pixel_type",
    "pixels",
    "same_shape",
    "seed",
    "shown",
    "suggestion",
    "unknown_name",
    "values_are_readable",
]
