"""Players that cannot play are refused at once."""

import pytest
from torch import nn

from companion import Player

MODULE = nn.Linear(1, 1)


@pytest.mark.parametrize("rate", [0, -1e-3, float("nan")])
def test_learning_rate_must_be_positive(rate: float) -> None:
    with pytest.raises(ValueError, match="learning_rate of player 'ada' must be positive, got"):
        Player("ada", MODULE, lambda images: images.sum(), learning_rate=rate)


@pytest.mark.parametrize("every", [0, -2])
def test_a_player_must_move_now_and_then(every: int) -> None:
    with pytest.raises(ValueError, match=f"every of player 'ada' must be at least 1, got {every}"):
        Player("ada", MODULE, lambda images: images.sum(), every=every)


@pytest.mark.parametrize("part", ["loss", "after", "optimizer", "gradients"])
def test_what_is_called_must_be_a_function(part: str) -> None:
    options = {"loss": lambda images: images.sum()} | {part: 3}
    with pytest.raises(TypeError, match=f"{part} of player 'ada' must be a function, got int"):
        Player("ada", MODULE, **options)  # type: ignore[arg-type]


def test_the_module_must_be_one() -> None:
    with pytest.raises(
        TypeError, match="module of player 'ada' must be a torch.nn.Module, got str"
    ):
        Player("ada", "generator", lambda images: images.sum())  # type: ignore[arg-type]


def test_a_player_needs_parameters() -> None:
    with pytest.raises(ValueError, match="player 'ada' has no parameters to move"):
        Player("ada", nn.ReLU(), lambda images: images.sum())
