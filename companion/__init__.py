"""companion: the models of the book *Images from Noise*, and what trains and measures them.

>>> import companion
>>> images, labels = companion.data.fashion_mnist()
>>> model = companion.models.VAE()
>>> history = companion.train(model, images, epochs=5)
>>> pictures = model.sample(10)
"""

from companion import data, likelihoods, metrics, models, notebook, plots, training, zoo
from companion.training import Player, train

__version__ = "0.1.0"

__all__ = [
    "Player",
    "data",
    "likelihoods",
    "metrics",
    "models",
    "notebook",
    "plots",
    "train",
    "training",
    "zoo",
]
