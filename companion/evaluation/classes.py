"""The classes of the test images, as a model's logits have them."""

from collections.abc import Mapping
from typing import Any

import torch

from companion.evaluation.protocol import BATCH, Line, Protocol
from companion.layers import reference

FIGURES = ("accuracy",)


def figures(model: Any, protocol: Protocol) -> dict[str, Any]:
    """**accuracy**: the share of test images whose largest logit is that of their class."""
    like = reference(model)
    batches = zip(protocol.images.split(BATCH), protocol.labels.split(BATCH), strict=True)
    right = [
        (model(images.to(like)).argmax(1).cpu() == labels).double()
        for images, labels in protocol.bar(batches, "test images")
    ]
    return {"accuracy": torch.cat(right).mean().item()}


def lines(
    name: str, figures: Mapping[str, Any], references: Mapping[str, float], title: str
) -> list[Line]:
    """The lines of a report for one of `FIGURES`."""
    return [(title, f"{figures[name]:.4f}", "")]
