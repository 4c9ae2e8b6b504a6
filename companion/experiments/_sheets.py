"""Pictures among the figures of an experiment, which are JSON."""

import base64
import io

import torch
from torch import Tensor

from companion.data import check_images, to_float, to_uint8


def encode_sheet(images: Tensor) -> str:
    """Some gray images as one text, to be stored among the figures of an experiment.

    Args:
        images: floats in [0, 1] of shape ``(N, 1, H, H)``; 20 or so, not thousands.

    Returns:
        A PNG of the images one below the other, in base64; :func:`decode_sheet` gives them back.

    Raises:
        TypeError, ValueError: if the images are not floats in [0, 1], not gray, or not square.
    """
    from PIL import Image

    check_images(images)
    _, channels, height, width = images.shape
    if channels != 1 or height != width:
        raise ValueError(
            f"a sheet holds square gray images (N, 1, H, H), got {tuple(images.shape)}; "
            "use images.mean(1, keepdim=True) on color ones, or crop them"
        )
    file = io.BytesIO()
    Image.fromarray(to_uint8(images).cpu().view(-1, width).numpy()).save(
        file, format="PNG", optimize=True
    )
    return base64.b64encode(file.getvalue()).decode()


def decode_sheet(text: str) -> Tensor:
    """The images ``(N, 1, H, H)`` of :func:`encode_sheet`, rounded to the 256 gray levels.

    Raises:
        ValueError: if the text is no such sheet.
    """
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as image:
            pixels = torch.from_numpy(np.array(image))
        return to_float(pixels).view(-1, 1, pixels.shape[1], pixels.shape[1])
    except (ValueError, TypeError, IndexError, RuntimeError, UnidentifiedImageError) as error:
        raise ValueError(
            f"this is no stored sheet ({error}); take it from the figures of an experiment, as in "
            'experiments.load("gan_losses").figures("sheet")[0]'
        ) from None
