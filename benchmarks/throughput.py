"""Training throughput against other ways of doing the same work: python -m benchmarks.throughput

Two ways are timed in turn, round after round, on one thread, and the median of the rounds' ratios
is reported: what else the machine does then meets both alike. On a CPU it is the processor time
that counts, so that waiting for other programs does not. Prints a table and writes
``benchmarks/results.json``. Takes some minutes.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from companion import train
from companion.data import adding_problem, fashion_mnist
from companion.game import Player
from companion.machine import processor
from companion.models import (
    DCGAN,
    DRAW,
    GAN,
    IWAE,
    VAE,
    VQVAE,
    WGANGP,
    BetaVAE,
    ConvLSTM,
    GRUByHand,
    LSTMByHand,
    PixelCNN,
    PixelRNN,
    PlainRNN,
    RowRNN,
    SequenceModel,
)

BATCH_SIZE = 128
SMALL_BATCH = 64  # of the multilayer GANs, as usual scripts have it
RESULTS = Path(__file__).with_name("results.json")
MODELS: dict[str, Callable[[], nn.Module]] = {
    "VAE": VAE,
    "BetaVAE": BetaVAE,
    "IWAE, k=5": lambda: IWAE(k=5),
    "VQVAE": VQVAE,
    "DCGAN": DCGAN,
    "RowRNN": RowRNN,
    "ConvLSTM": lambda: ConvLSTM(hidden_size=16, layers=1),
    "DRAW": DRAW,
    "PixelRNN": PixelRNN,
    "PixelCNN": PixelCNN,
}
SLOW = ("ConvLSTM", "PixelRNN", "PixelCNN")  # for each image: a fifth of the batches will do
MULTILAYER: dict[str, Callable[[], nn.Module]] = {"GAN": GAN, "WGANGP": WGANGP}
BY_HAND: dict[str, Callable[[int, int], nn.Module]] = {
    "rnn": PlainRNN,
    "lstm": LSTMByHand,
    "gru": GRUByHand,
}
Run = Callable[[], None]


class Comparison(NamedTuple):
    """One way against another, with the ratio of their speeds that is asked for."""

    name: str
    ours: Run
    other: Run
    images: int  # or sequences, that either sees in one run
    bar: float | None = None


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
    batches: Callable[[], Iterable[Tensor | tuple[Tensor, ...]]],
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

    def run() -> None:
        form = torch.channels_last if channels_last else torch.contiguous_format
        model.to(memory_format=form).train()  # type: ignore[call-overload]
        optimizers = [
            torch.optim.Adam(ws, lr=player.learning_rate, betas=player.betas, fused=fused)
            for player, ws in zip(players, weights, strict=True)
        ]
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
        model.requires_grad_(True)

    return run


def indexed(images: Tensor, batch_size: int | None = None) -> Callable[[], Iterator[Tensor]]:
    """Shuffled batches of one tensor, cast where they are used."""
    size = batch_size or BATCH_SIZE

    def batches() -> Iterator[Tensor]:
        for index in torch.randperm(len(images), device=images.device).split(size):
            yield images[index].float() / 255

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


def cpu_comparisons(images: Tensor) -> list[Comparison]:
    count = len(images)
    comparisons = []
    for name, build in MODELS.items():
        model = build()
        seen = images[: max(BATCH_SIZE, count // 5)] if name in SLOW else images
        ours = by_train(model, seen, device="cpu")
        other = by_hand(model, indexed(seen))
        comparisons.append(Comparison(f"{name}: train / bare loop", ours, other, len(seen), 0.95))
    model = VAE()
    ours = by_train(model, images, device="cpu")
    other = by_hand(VAE(), loaded(images), channels_last=False, fused=False)
    comparisons.append(Comparison("VAE: train / DataLoader loop", ours, other, count, 2.0))
    model = DCGAN()
    ours = by_train(model, images, device="cpu")
    other = by_hand(DCGAN(), indexed(images), channels_last=False)
    comparisons.append(Comparison("DCGAN: channels_last / contiguous", ours, other, count, 1.25))
    return comparisons + multilayer_comparisons(images) + sequence_comparisons(count, "cpu")


def multilayer_comparisons(images: Tensor) -> list[Comparison]:
    """The multilayer GANs, whose steps are short: small batches, and more of them."""
    images = images.repeat(4, 1, 1, 1)
    count = len(images)
    comparisons = []
    for name, build in MULTILAYER.items():
        ours = by_train(build(), images, device="cpu", batch_size=SMALL_BATCH)
        bare = by_hand(build(), indexed(images, SMALL_BATCH))
        comparisons.append(Comparison(f"{name}: train / bare loop", ours, bare, count, 0.95))
        script = usual(build(), images, batch_size=SMALL_BATCH)
        comparisons.append(Comparison(f"{name}: train / DataLoader loop", ours, script, count, 2.0))
    return comparisons


def sequence_comparisons(count: int, device: str) -> list[Comparison]:
    """Recurrent networks on the adding problem, 100 steps: what counts are sequences.

    On a GPU the kernels of cuDNN, in ``train``, are compared with the loop over the steps in
    Python; on a CPU ``train`` with the bare loop.
    """
    inputs, targets = adding_problem(count, 100)
    data = (inputs.to(device), targets.to(device))

    def batches() -> Iterator[tuple[Tensor, ...]]:
        for index in torch.randperm(count, device=device).split(BATCH_SIZE):
            yield data[0][index], data[1][index]

    comparisons = []
    for cell, by_steps in BY_HAND.items():
        ours = by_train(SequenceModel(cell).to(device), *data, device=device)
        if device == "cpu":
            other, title = SequenceModel(cell), f"SequenceModel, {cell}: train / bare loop"
        else:
            other, title = SequenceModel(by_steps(2, 64)), f"SequenceModel, {cell}: cuDNN / by hand"
        bar = 0.95 if device == "cpu" else None
        bare = by_hand(other.to(device), batches, channels_last=False)
        comparisons.append(Comparison(title, ours, bare, count, bar))
    return comparisons


def gpu_comparisons(images: Tensor) -> list[Comparison]:
    """Compiled and in bf16, against eager float32 and against the usual loop, on the GPU.

    The multilayer GANs are left out: their steps are too short to fill a GPU, and a gradient
    penalty cannot be compiled.
    """
    count = len(images)
    comparisons = []
    for name, build in MODELS.items():
        model = build().cuda()
        fast = by_train(model, images, device="cuda", precision="bf16", compile=True)
        eager = by_train(build(), images, device="cuda")
        title = f"{name}: compile + bf16 / eager float32"
        comparisons.append(Comparison(title, fast, eager, count))
        script = by_hand(build().cuda(), loaded(images, "cuda"), channels_last=False, fused=False)
        title = f"{name}: compile + bf16 / DataLoader loop"
        comparisons.append(Comparison(title, fast, script, count))
    return comparisons + sequence_comparisons(count, "cuda")


def seconds(run: Run, gpu: bool) -> float:
    """Processor time on a CPU; time on the clock, until the last kernel is done, on a GPU."""
    if not gpu:
        start = time.process_time()
        run()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def measure(comparison: Comparison, rounds: int, gpu: bool = False) -> dict[str, Any]:
    """Medians over the rounds; each round times both ways, in an order that changes."""
    comparison.ours()  # warm up: memory, kernels, compilation
    comparison.other()
    times: list[tuple[float, float]] = []
    for i in range(rounds):
        if i % 2:
            other, ours = seconds(comparison.other, gpu), seconds(comparison.ours, gpu)
        else:
            ours, other = seconds(comparison.ours, gpu), seconds(comparison.other, gpu)
        times.append((ours, other))
    ratio = statistics.median(other / ours for ours, other in times)
    return {
        "comparison": comparison.name,
        "images_per_second": round(
            comparison.images / statistics.median(ours for ours, _ in times)
        ),
        "other_images_per_second": round(
            comparison.images / statistics.median(other for _, other in times)
        ),
        "ratio": round(ratio, 3),
        "bar": comparison.bar,
        "holds": None if comparison.bar is None else ratio >= comparison.bar,
    }


def machine() -> dict[str, Any]:
    return {
        "processor": processor(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def main(rounds: int = 7, steps: int = 20, results: Path = RESULTS) -> list[dict[str, Any]]:
    """Measure, print and store; ``steps`` batches a round on the CPU, twenty times so on a GPU."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = fashion_mnist().images
    count = steps * BATCH_SIZE
    print(f"{'images/s':>50} {'other':>10} {'ratio':>7} {'bar':>6}")
    rows = []

    def report(comparisons: list[Comparison], gpu: bool) -> None:
        for comparison in comparisons:
            row = measure(comparison, rounds, gpu)
            rows.append(row)
            verdict = {None: "", True: "holds", False: "FAILS"}[row["holds"]]
            print(
                f"{row['comparison']:<40} {row['images_per_second']:>9,} "
                f"{row['other_images_per_second']:>10,} {row['ratio']:>7.2f} "
                f"{row['bar'] or '':>6} {verdict}",
                flush=True,
            )

    report(cpu_comparisons(images[:count]), gpu=False)
    if torch.cuda.is_available():
        count = min(20 * steps, len(images) // BATCH_SIZE) * BATCH_SIZE
        report(gpu_comparisons(images[:count]), gpu=True)
    else:
        print("no GPU: compile + bf16 not measured")
    text = json.dumps({"machine": machine(), "rounds": rounds, "rows": rows}, indent=2)
    results.write_text(text + "\n")
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each pair is timed")
    parser.add_argument("--steps", type=int, default=20, help="batches of 128 images a round")
    arguments = parser.parse_args()
    main(arguments.rounds, arguments.steps)
