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
    with pytest.raises(ValueError, match=f"player 'ada' must move on every .* got every={every}"):
        Player("ada", MODULE, lambda images: images.sum(), every=every)


def test_a_player_needs_parameters() -> None:
    with pytest.raises(ValueError, match="player 'ada' has no parameters to move"):
        Player("ada", nn.ReLU(), lambda images: images.sum())
