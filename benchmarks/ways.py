"""Ways of training one epoch: `train`, the loop that one writes oneself, and the usual script."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from companion import train
from companion.data import as_model_input
from companion.game import Player

BATCH_SIZE = 128
Run = Callable[[], None]
Batches = Callable[[], Iterable[Tensor | tuple[Tensor, ...]]]


class PixelPictures(Dataset):
    """What torchvision's data set does for each image: to Pillow, then ``ToTensor``."""

    def __init__(self, images: Tensor) -> None:
        from torchvision.transforms import ToTensor

        self.images, self.transform = images.squeeze(1), ToTensor()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.transform(Image.fromarray(self.images[index].numpy()))


def by_train(model: nn.Module, *data: Tensor, **options: Any) -> Run:
    """One epoch of :func:`companion.train`."""
    settings: dict[str, Any] = {"batch_size": BATCH_SIZE, "precision": "float32"} | options

    def run() -> None:
        train(model, *data, epochs=1, progress=False, **settings)

    return run


def by_hand(
    model: nn.Module,
    batches: Batches,
    *,
    channels_last: bool = True,
    fused: bool = True,
    freeze: bool = True,
) -> Run:
    """One epoch of the loop that one writes oneself, player after player.

    With ``freeze`` no gradient is computed for the weights of the players who do not move.
    """
    players: list[Player] = model.players()  # type: ignore[operator]
    weights = [list(player.module.parameters()) for player in players]

    def optimizer_of(player: Player, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        if player.optimizer is not None:
            return player.optimizer(parameters, lr=player.learning_rate)
        return torch.optim.Adam(
            parameters, lr=player.learning_rate, betas=player.betas, fused=fused
        )

    def run() -> None:
        form = torch.channels_last if channels_last else torch.contiguous_format
        model.to(memory_format=form).train()  # type: ignore[call-overload]
        optimizers = [optimizer_of(*pair) for pair in zip(players, weights, strict=True)]
        for step, batch in enumerate(batches(), start=1):
            data = batch if isinstance(batch, tuple) else (batch,)
            for player, optimizer, moved in zip(players, optimizers, weights, strict=True):
                if step % player.every:
                    continue
                for others in weights if freeze else ():
                    for weight in others:
                        weight.requires_grad_(others is moved)
                optimizer.zero_grad()
                result = player.loss(*data)
                loss = result if isinstance(result, Tensor) else result["loss"]
                loss.backward()
                optimizer.step()
                if player.after is not None:
                    player.after()
        model.requires_grad_(True)

    return run


def indexed(*data: Tensor, batch_size: int | None = None) -> Callable[[], Iterator[tuple]]:
    """Shuffled batches of tensors of one length, cast where they are used."""
    size = batch_size or BATCH_SIZE

    def batches() -> Iterator[tuple[Tensor, ...]]:
        for index in torch.randperm(len(data[0]), device=data[0].device).split(size):
            yield as_model_input(tuple(part[index] for part in data), torch.float32)

    return batches


def loaded(
    images: Tensor, device: str = "cpu", batch_size: int | None = None
) -> Callable[[], Iterator[Tensor]]:
    """Shuffled batches of a usual ``DataLoader``, an image at a time, in this process."""
    size = batch_size or BATCH_SIZE
    loader = DataLoader(PixelPictures(images), size, shuffle=True, drop_last=True)

    def batches() -> Iterator[Tensor]:
        for images in loader:
            yield images.to(device)

    return batches


def usual(model: nn.Module, images: Tensor, device: str = "cpu", **options: Any) -> Run:
    """One epoch of a usual script: ``DataLoader`` and ``ToTensor``, Adam as it comes.

    Every turn computes gradients for the weights of all players.
    """
    batches = loaded(images, device, **options)
    return by_hand(model, batches, channels_last=False, fused=False, freeze=False)
