"""companion: the models of the book *Images from Noise*, and what trains and measures them.

>>> import companion
>>> images, labels = companion.data.fashion_mnist()
>>> model = companion.models.VAE()
>>> history = companion.train(model, images, epochs=5)
>>> pictures = model.sample(10)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from companion import (
        data,
        experiments,
        likelihoods,
        metrics,
        models,
        notebook,
        plots,
        training,
        zoo,
    )
    from companion.game import Player
    from companion.training import train

__version__ = "0.4.0"

__all__ = [
    "Player",
    "data",
    "experiments",
    "likelihoods",
    "metrics",
    "models",
    "notebook",
    "plots",
    "train",
    "training",
    "zoo",
]


# What stands at the top, and where it comes from; all else are modules.
PLACES = {"Player": "companion.game", "train": "companion.training"}


def __getattr__(name: str) -> Any:
    """Import a part when it is first asked for: `companion --help` need not wait for torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in PLACES:
        return getattr(importlib.import_module(PLACES[name]), name)
    return importlib.import_module(f"companion.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
