"""What a run records."""

import math
import warnings

import pytest
import torch
from matplotlib import pyplot as plt
from torch import Tensor

from companion.models import VAE, BetaVAE
from companion.training import History, train

SMALL = {"latent_dim": 2, "width": 2, "image_shape": (1, 8, 8)}


def test_losses_keep_their_order_and_their_length() -> None:
    history = History()
    history.record(10, {"discriminator": 1.4})
    history.record(20, {"discriminator": 1.3, "generator": 0.7, "accuracy": 0.5})
    history.record(30, {"generator": 0.8})
    assert history.steps == [10, 20, 30]
    assert list(history.losses) == ["discriminator", "generator", "accuracy"]
    assert history.losses["discriminator"] == [1.4, 1.3, 1.3]
    assert math.isnan(history.losses["generator"][0])
    assert history.losses["generator"][1:] == [0.7, 0.8]
    assert history.losses["accuracy"][1:] == [0.5, 0.5]


def test_plot_draws_each_loss() -> None:
    history = History()
    for step in (10, 20):
        history.record(step, {"discriminator": 1.4 - step / 100, "generator": 0.7})
    figure = history.plot()
    (axes,) = figure.axes
    assert axes.get_xlabel() == "step"
    assert len(axes.get_lines()) >= 2
    plt.close(figure)


class MaximizedByMistake(VAE):
    """Its loss is the bound itself, not minus the bound."""

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        return {"loss": self.elbo(images).value.mean()}


def test_a_negative_negative_elbo_is_warned_of_once() -> None:
    images = torch.rand(64, 1, 8, 8)
    with pytest.warns(UserWarning, match="but it cannot be below 0; look for a wrong") as seen:
        train(MaximizedByMistake(**SMALL), images, epochs=30, batch_size=32, progress=False)
    said = [str(x.message) for x in seen if "cannot be below" in str(x.message)]
    assert len(said) == 1
    assert said[0].startswith("the loss 'negative ELBO' is -")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(VAE(**SMALL), images, epochs=1, batch_size=32, progress=False)


def test_a_priced_loss_is_not_called_a_bound() -> None:
    images = torch.rand(64, 1, 8, 8)
    history = train(BetaVAE(**SMALL), images, epochs=1, batch_size=32, progress=False)
    assert list(history.losses) == ["priced loss", "distortion", "rate"]
