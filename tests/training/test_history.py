"""What a run records."""

import math

from matplotlib import pyplot as plt

from companion.training import History


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
