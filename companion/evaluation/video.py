"""Predicted frames beside the true ones, and beside two predictions that know nothing."""

from collections.abc import Mapping
from typing import Any

import torch

from companion.data import moving_fashion
from companion.evaluation.protocol import BATCH, Line, Protocol
from companion.layers import reference
from companion.metrics import constant_velocity, copy_last_frame, frame_errors, frame_ssim

FIGURES = (
    "frame_errors",
    "frame_ssim",
    "frame_errors_copying",
    "frame_errors_constant_velocity",
)


def figures(model: Any, protocol: Protocol) -> dict[str, Any]:
    """What ``model.predict`` makes of each sequence; means over the predicted frames.

    The sequences are your own, or one made for each test image.

    - **frame_errors** and **frame_ssim**: squared error and structural similarity;
    - **frame_errors_copying**, **frame_errors_constant_velocity**: of the two predictions.
    """
    frames, known = model.frames_in + model.frames_out, model.frames_in
    rng = torch.Generator().manual_seed(protocol.seed)
    like = reference(model)
    sums = dict.fromkeys(FIGURES, 0.0)
    for batch in protocol.bar(protocol.images.split(BATCH), "sequences"):
        sequences = batch
        if batch.ndim == 4:
            sequences = moving_fashion(batch, frames, model.size, rng=rng)
        past, future = sequences[:, :known], sequences[:, known:]
        predicted = model.predict(past.to(like)).float().cpu()
        copies = copy_last_frame(past, model.frames_out)
        drift = constant_velocity(past, model.frames_out)
        errors = (
            frame_errors(predicted, future),
            frame_ssim(predicted, future),
            frame_errors(copies, future),
            frame_errors(drift, future),
        )
        share = len(batch) / len(protocol.images)
        for name, error in zip(FIGURES, errors, strict=True):
            sums[name] += share * error.mean().item()
    return sums


def lines(
    name: str, figures: Mapping[str, Any], references: Mapping[str, float], title: str
) -> list[Line]:
    """The lines of a report for one of `FIGURES`."""
    if name == "frame_ssim":
        return [(title, f"{figures[name]:.3f}", "1 for equal frames")]
    return [(title, f"{figures[name]:.2f}", "summed over the pixels of a frame")]
