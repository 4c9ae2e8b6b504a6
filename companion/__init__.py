"""companion: the models of the book *Images from Noise*, and what trains and measures them.

>>> import companion
>>> images, labels = companion.data.fashion_mnist()
>>> model = companion.models.VAE()
>>> history = companion.train(model, images, epochs=5)
>>> pictures = model.sample(10)
"""

import importlib
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from companion import (
        data,
        evaluation,
        experiments,
        files,
        homework,
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

__version__ = "0.5.0"

__all__ = [
    "Player",
    "data",
    "evaluation",
    "experiments",
    "files",
    "homework",
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
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{_hint(name)}")
    if name in PLACES:
        return getattr(importlib.import_module(PLACES[name]), name)
    return importlib.import_module(f"companion.{name}")


def _hint(name: str) -> str:
    """Where a class is that somebody looks for at the top, or a part that is spelled almost so."""
    if name[0].isupper():  # never a module: those are asked for here before they are imported
        for part in ("models", "data", "training", "metrics", "zoo"):
            if hasattr(importlib.import_module(f"companion.{part}"), name):
                return f"; did you mean companion.{part}.{name}?"
    close = get_close_matches(name, __all__, n=1)
    return f"; did you mean companion.{close[0]}?" if close else ""


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
