"""A model is trained by playing a game: each player moves its own parameters to lower its loss."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.optim import Optimizer

from companion import checks

Losses = Tensor | Mapping[str, Tensor]


@dataclass
class Player:
    r"""One side of a training game.

    A move draws nothing from the other players: the player's parameters :math:`\theta` take one
    step of an optimizer on the gradient of its own loss :math:`L`,
    :math:`\theta \leftarrow \theta - \eta\,\mathrm{Adam}(\nabla_\theta L(\text{batch}))`,
    while all other parameters of the model are held fixed.

    Attributes:
        name: under which the loss appears in the history.
        module: the part of the model whose parameters the player moves.
        loss: called with a batch (images, and labels if the data has them); returns a scalar, or
            a dict of scalars whose entry ``"loss"`` is minimized and whose others are recorded.
        learning_rate: the step size :math:`\eta`.
        betas: Adam's two decay rates.
        every: the player moves on every ``every``-th batch.
        optimizer: called with the parameters and ``lr=learning_rate`` in place of Adam, such as
            ``torch.optim.SGD`` or ``functools.partial(torch.optim.RMSprop, alpha=0.9)``.
        gradients: called with the batch in place of ``loss`` and backward: it fills the
            parameters' ``.grad`` and returns what ``loss`` would, as private training does.
        after: called after each of the player's steps: to clip weights, count steps, fill a pool.
            What it changes must be registered buffers of fixed shape, or a resumed run forgets it.
        least: the smallest value that the loss can have, if there is one, such as 0 for minus the
            log-probability of pixels; training warns of a smaller one, for its formula is wrong.
        compilable: False for a loss that takes gradients itself, such as a gradient penalty:
            torch cannot compile those, so ``train(compile=True)`` leaves it as it is.

    Raises:
        TypeError: if ``module`` is no module, ``loss`` no function, or a number no number.
        ValueError: if the learning rate or ``every`` is not positive, or the module has no
            parameters.

    Source: the update is Adam (Kingma and Ba 2014, algorithm 1).
    """

    name: str
    module: nn.Module
    loss: Callable[..., Losses]
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    every: int = 1
    optimizer: Callable[..., Optimizer] | None = None
    gradients: Callable[..., Losses] | None = None
    after: Callable[[], object] | None = None
    compilable: bool = True
    least: float | None = None

    def __post_init__(self) -> None:
        of = f"of player {self.name!r}"
        if not isinstance(self.module, nn.Module):
            raise TypeError(
                f"module {of} must be a torch.nn.Module, got {checks.kind(self.module)}; "
                "give the network that the player moves"
            )
        for name in ("loss", "optimizer", "gradients", "after"):
            value = getattr(self, name)
            if not callable(value) and (value is not None or name == "loss"):
                raise TypeError(
                    f"{name} {of} must be a function, got {checks.kind(value)}; "
                    f"give the function itself, without calling it, as in {name}=self.{name}"
                )
        checks.number(f"learning_rate {of}", self.learning_rate, above=0, remedy="use 1e-3, say")
        checks.integer(f"every {of}", self.every, remedy="use 1 to move on each batch")
        if self.least is not None:
            checks.number(f"least {of}", self.least, remedy="use 0.0, or None for no bound")
        if len(self.betas) != 2:
            raise ValueError(f"betas {of} must be two numbers, got {self.betas}; use (0.9, 0.999)")
        if not any(True for _ in self.module.parameters()):
            raise ValueError(f"player {self.name!r} has no parameters to move; check its module")
