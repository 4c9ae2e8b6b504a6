"""A model is trained by playing a game: each player moves its own parameters to lower its loss."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass
class Player:
    r"""One side of a training game.

    A move draws nothing from the other players: the player's parameters :math:`\theta` take one
    step of Adam on the gradient of its own loss :math:`L`,
    :math:`\theta \leftarrow \theta - \eta\,\mathrm{Adam}(\nabla_\theta L(\text{batch}))`,
    while all other parameters of the model are held fixed.

    Attributes:
        name: under which the loss appears in the history.
        module: the part of the model whose parameters the player moves.
        loss: called with a batch (images, and labels if the data has them); returns a scalar, or
            a dict of scalars whose entry ``"loss"`` is minimized and whose others are recorded.
        learning_rate: Adam's step size :math:`\eta`.
        betas: Adam's two decay rates.
        every: the player moves on every ``every``-th batch.

    Raises:
        ValueError: if the learning rate or ``every`` is not positive, or the module has no
            parameters.

    Source: the update is Adam (Kingma and Ba 2014, algorithm 1).
    """

    name: str
    module: nn.Module
    loss: Callable[..., Tensor | Mapping[str, Tensor]]
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    every: int = 1

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise ValueError(
                f"learning_rate of player {self.name!r} must be positive, got {self.learning_rate}"
            )
        if self.every < 1:
            raise ValueError(
                f"player {self.name!r} must move on every 1st, 2nd, ... batch, "
                f"got every={self.every}"
            )
        if not any(True for _ in self.module.parameters()):
            raise ValueError(f"player {self.name!r} has no parameters to move; check its module")
