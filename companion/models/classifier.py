"""A small convolutional network that tells the ten garments apart.

It serves twice: its logits say which class a generated image shows, and its 64 features span the
space in which `companion.metrics` takes the Fréchet distance. No chapter teaches it; it is the
measuring instrument of the others. Built for images of another shape, it measures your own.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import checks
from companion.data import check_labels
from companion.game import Player
from companion.layers import model_input

IMAGE_SHAPE = (1, 28, 28)  # of what the zoo's classifier sees
NUM_FEATURES = 64  # of each of these images


def shift_and_flip(images: Tensor, shift: int = 1) -> Tensor:
    """Shift each image by up to `shift` pixels each way and mirror every second one, at random.

    Augmentation by one gather for the whole batch: image n, pixel (i, j) is read from row
    i + dy_n and column j + dx_n (counted backwards if mirrored) of the zero-padded batch.
    Randomness comes from torch's default generator.

    images: (N, C, H, W); returns the same shape.
    """
    n, channels, height, width = images.shape
    device = images.device
    padded = F.pad(images, (shift,) * 4)
    dy, dx = torch.randint(0, 2 * shift + 1, (2, n, 1), device=device)
    mirrored = torch.rand(n, 1, device=device) < 0.5
    columns = torch.arange(width, device=device)
    columns = dx + torch.where(mirrored, width - 1 - columns, columns)  # (N, W)
    rows = dy + torch.arange(height, device=device)  # (N, H)
    index = rows[:, :, None] * (width + 2 * shift) + columns[:, None, :]  # (N, H, W)
    index = index.view(n, 1, -1).expand(-1, channels, -1)
    return padded.flatten(2).gather(2, index).view_as(images)


def block(channels_in: int, channels_out: int) -> nn.Sequential:
    """(N, channels_in, H, W) -> (N, channels_out, H // 2, W // 2)."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.GELU(),
        nn.AvgPool2d(2),
    )


class Classifier(nn.Module):
    """Three convolutions, 64 features, ten logits; by default for gray images of 28x28 pixels.

    The features are smooth in the image (GELU and average pooling; no kink, no maximum) and each
    has mean 0 and variance 1 over the training images, which gives distances between them a
    readable scale: two independent sets of real images differ by far less than 64, the summed
    variance of the features.

    Args:
        width: channels of the first convolution; the later ones have 2 and 4 times as many.
        num_classes: number of classes.
        smoothing: label smoothing of the training loss (Szegedy et al. 2016, section 7).
        image_shape: ``(C, H, W)``, with sides of at least 8.
        num_features: how many there are.

    Raises:
        TypeError, ValueError: if a size is out of range.
    """

    tasks = ("classes",)

    def __init__(
        self,
        width: int = 32,
        num_classes: int = 10,
        smoothing: float = 0.05,
        image_shape: tuple[int, int, int] = IMAGE_SHAPE,
        num_features: int = NUM_FEATURES,
    ) -> None:
        super().__init__()
        self.image_shape = checks.image_shape(image_shape)
        channels, height, width_px = self.image_shape
        if min(height, width_px) < 8:
            raise ValueError(
                f"image_shape must have sides of at least 8, which are halved three times, got "
                f"{self.image_shape}; pad or enlarge the images"
            )
        self.num_features = checks.integer("num_features", num_features, least=2)
        checks.integer("width", width, remedy="use 32, say")
        self.num_classes = checks.integer("num_classes", num_classes, least=2)
        self.smoothing = checks.number("smoothing", smoothing, least=0, below=1)
        self.body = nn.Sequential(
            block(channels, width),  # (N, w, 14, 14)
            block(width, 2 * width),  # (N, 2w, 7, 7)
            block(2 * width, 4 * width),  # (N, 4w, 3, 3)
            nn.Flatten(),
            nn.Linear((height // 8) * (width_px // 8) * 4 * width, num_features, bias=False),
            nn.BatchNorm1d(num_features, affine=False),  # mean 0, variance 1
        )
        self.head = nn.Linear(num_features, num_classes)

    def features(self, images: Tensor) -> Tensor:
        """The features of each image: (N, C, H, W) in [0, 1] -> (N, num_features).

        Raises TypeError or ValueError for anything else: an image is never resized behind the
        caller's back, since resizing alone moves the features (28 -> 32 -> 28 pixels costs a
        Fréchet distance 50 times that between two sets of real images). In training mode the batch
        norm needs at least two images.
        """
        images = model_input(self, images, self.image_shape)
        if self.training:
            checks.more_than_one("images", images)
        return self.body(2 * images - 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits: (N, C, H, W) in [0, 1] -> (N, num_classes)."""
        return self.head(F.gelu(self.features(images)))

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the augmented images, a scalar in nats.

        -log softmax(logits)[label], with the target smoothed to 1 - smoothing + smoothing / K on
        the label and smoothing / K elsewhere. labels: (N,) int64 in [0, num_classes).

        Raises TypeError or ValueError for labels of another kind or range.
        """
        check_labels(labels, self.num_classes)
        logits = self(shift_and_flip(images))
        return F.cross_entropy(logits, labels, label_smoothing=self.smoothing)

    def players(self) -> list[Player]:
        """One player: the network against its cross-entropy."""
        return [Player("classifier", self, self.loss, learning_rate=3e-3)]
