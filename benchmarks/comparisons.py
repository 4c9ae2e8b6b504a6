"""What is compared with what: every model of the book, on a CPU and on a GPU."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from benchmarks import ways
from benchmarks.ways import Run, by_hand, by_train, indexed, loaded, usual
from companion.data import LabeledImages, adding_problem
from companion.models import (
    DCGAN,
    DRAW,
    GAN,
    IWAE,
    LSGAN,
    R1GAN,
    VAE,
    VQVAE,
    WGAN,
    WGANGP,
    BetaVAE,
    Classifier,
    ConvLSTM,
    GRUByHand,
    HingeGAN,
    InfoGAN,
    LSTMByHand,
    PixelCNN,
    PixelRNN,
    PlainRNN,
    RowRNN,
    SequenceModel,
)

BARE = 0.97  # what `train` must reach of the speed of a loop without any of its services
MODELS: dict[str, Callable[[], nn.Module]] = {
    "VAE": VAE,
    "BetaVAE": BetaVAE,
    "IWAE, k=5": lambda: IWAE(k=5),
    "VQVAE": VQVAE,
    "DCGAN": DCGAN,
    "InfoGAN": InfoGAN,
    "Classifier": Classifier,
    "RowRNN": RowRNN,
    "ConvLSTM": lambda: ConvLSTM(hidden_size=16, layers=1),
    "DRAW": DRAW,
    "PixelRNN": PixelRNN,
    "PixelCNN": PixelCNN,
}
LABELED = ("Classifier",)
SLOW = ("ConvLSTM", "PixelRNN", "PixelCNN")  # for each image: a fifth of the batches will do
SMALL_BATCH = 64  # of the multilayer GANs, as usual scripts have it
MULTILAYER: dict[str, Callable[[], nn.Module]] = {
    "GAN": GAN,
    "LSGAN": LSGAN,
    "WGAN": WGAN,
    "WGANGP": WGANGP,
    "HingeGAN": HingeGAN,
    "R1GAN": R1GAN,
}
SCRIPTS = ("GAN", "WGANGP")  # compared with a usual script, too
BY_HAND: dict[str, type[nn.Module]] = {  # of torch's cells, the same in Python
    "rnn": PlainRNN,
    "lstm": LSTMByHand,
    "gru": GRUByHand,
}


class Comparison(NamedTuple):
    """One way against another, with the ratio of their speeds that is asked for."""

    name: str
    ours: Run
    other: Run
    images: int  # or sequences, that either sees in one run
    bar: float | None = None


def cpu_comparisons(data: LabeledImages) -> list[Comparison]:
    """Every model against the bare loop, and what loading and the order of the channels matter."""
    images, labels = data
    count = len(images)
    comparisons = []
    for name, build in MODELS.items():
        seen = max(ways.BATCH_SIZE, count // 5) if name in SLOW else count
        parts = (images[:seen], labels[:seen])[: 2 if name in LABELED else 1]
        ours = by_train(build(), *parts, device="cpu")
        bare = by_hand(build(), indexed(*parts))
        comparisons.append(Comparison(f"{name}: train / bare loop", ours, bare, seen, BARE))
    ours = by_train(VAE(), images, device="cpu")
    other = by_hand(VAE(), loaded(images), channels_last=False, fused=False)
    comparisons.append(Comparison("VAE: train / DataLoader loop", ours, other, count, 2.0))
    ours = by_train(DCGAN(), images, device="cpu")
    other = by_hand(DCGAN(), indexed(images), channels_last=False)
    comparisons.append(Comparison("DCGAN: channels_last / contiguous", ours, other, count, 1.25))
    return comparisons + multilayer_comparisons(images) + sequence_comparisons(count)


def multilayer_comparisons(images: Tensor) -> list[Comparison]:
    """The multilayer GANs, whose steps are short: small batches, and more of them."""
    images = images.repeat(4, 1, 1, 1)
    count = len(images)
    comparisons = []
    for name, build in MULTILAYER.items():
        ours = by_train(build(), images, device="cpu", batch_size=SMALL_BATCH)
        bare = by_hand(build(), indexed(images, batch_size=SMALL_BATCH))
        comparisons.append(Comparison(f"{name}: train / bare loop", ours, bare, count, BARE))
        if name in SCRIPTS:
            title = f"{name}: train / DataLoader loop"
            script = usual(build(), images, batch_size=SMALL_BATCH)
            comparisons.append(Comparison(title, ours, script, count, 2.0))
    return comparisons


def sequence_comparisons(count: int) -> list[Comparison]:
    """Recurrent networks on the adding problem, 100 steps: what counts are sequences."""
    data = adding_problem(count, 100)
    cells: dict[str, Callable[[], str | nn.Module]] = {}
    for cell, by_steps in BY_HAND.items():
        cells[f"SequenceModel, {cell}"] = partial(str, cell)
        cells[by_steps.__name__] = partial(by_steps, 2, 64)
    comparisons = []
    for name, make in cells.items():
        ours = by_train(SequenceModel(make()), *data, device="cpu")
        bare = by_hand(SequenceModel(make()), indexed(*data), channels_last=False)
        comparisons.append(Comparison(f"{name}: train / bare loop", ours, bare, count, BARE))
    return comparisons


def gpu_comparisons(data: LabeledImages) -> list[Comparison]:
    """On the GPU: compiled and in bf16 against eager float32 and a usual loop; cuDNN by hand.

    The multilayer GANs are left out: their steps are too short to fill a GPU, and a gradient
    penalty cannot be compiled.
    """
    images = data.images
    count = len(images)
    comparisons = []
    for name, build in MODELS.items():
        if name in LABELED:
            continue
        fast = by_train(build().cuda(), images, device="cuda", precision="bf16", compile=True)
        eager = by_train(build(), images, device="cuda")
        title = f"{name}: compile + bf16 / eager float32"
        comparisons.append(Comparison(title, fast, eager, count))
        script = by_hand(build().cuda(), loaded(images, "cuda"), channels_last=False, fused=False)
        title = f"{name}: compile + bf16 / DataLoader loop"
        comparisons.append(Comparison(title, fast, script, count))
    inputs, targets = (part.cuda() for part in adding_problem(count, 100))
    for cell, make in BY_HAND.items():
        kernels = by_train(SequenceModel(cell).cuda(), inputs, targets, device="cuda")
        steps = SequenceModel(make(2, 64)).cuda()
        loop = by_hand(steps, indexed(inputs, targets), channels_last=False)
        title = f"SequenceModel, {cell}: cuDNN / by hand"
        comparisons.append(Comparison(title, kernels, loop, count))
    return comparisons
