"""Convolutions that look back only, at once over a whole image or pixel after pixel.

Source: van den Oord, Kalchbrenner and Kavukcuoglu (2016), *Pixel Recurrent Neural Networks*,
section 3.4.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import checks

KINDS = ("A", "B", "above", "rows")


class MaskedConv2d(nn.Conv2d):
    r"""A convolution that looks back only.

    With the pixel :math:`(i, j)` at the center of the kernel, the weights are zero except at

    ======= ==========================================================================
    "A"     rows above, and the pixels to the left in row :math:`i`: for the image itself
    "B"     the same and :math:`(i, j)`: for features, which have seen no pixel too many
    "above" rows above only: for the image
    "rows"  rows above and all of row :math:`i`: for features that have seen rows above only
    ======= ==========================================================================

    What lies outside the image counts as zero. The part of the kernel below row :math:`i`, or, in
    a kernel of one row, to the right of :math:`j`, is not even stored.

    Args:
        kind: of mask, see above.
        in_channels, out_channels: as for a convolution.
        kernel: height and width of the whole window, both odd.

    Raises:
        ValueError: if the kind is unknown or the kernel's height or width even.

    Source: van den Oord, Kalchbrenner and Kavukcuoglu (2016), section 3.4.
    """

    mask: Tensor

    def __init__(
        self, kind: str, in_channels: int, out_channels: int, kernel: tuple[int, int] = (3, 3)
    ) -> None:
        checks.one_of("kind", kind, KINDS)
        if kernel[0] % 2 == 0 or kernel[1] % 2 == 0:
            raise ValueError(
                f"kernel must be odd, or no pixel is at its center, got {tuple(kernel)}; "
                "use (3, 3) or (1, 7)"
            )
        self.above, self.left = kernel[0] // 2, kernel[1] // 2
        self.right = self.left if self.above else 0
        super().__init__(in_channels, out_channels, (self.above + 1, self.left + 1 + self.right))
        mask = torch.ones(self.kernel_size)
        first_unseen = {"A": self.left, "B": self.left + 1, "above": 0}
        if kind in first_unseen:
            mask[-1, first_unseen[kind] :] = 0
        self.register_buffer("mask", mask, persistent=False)

    @property
    def seen(self) -> Tensor:
        """The weights with those of unseen pixels set to zero."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``."""
        x = F.pad(x, (self.left, self.right, self.above, 0))
        return F.conv2d(x, self.seen, self.bias)


class Seen:
    """The inputs of a masked convolution so far, in the frame of zeros that it sees around them."""

    def __init__(self, conv: MaskedConv2d, n: int, size: tuple[int, ...]) -> None:
        self.conv, self.weight = conv, conv.seen
        height, width = size[0] + conv.above, conv.left + size[1] + conv.right
        self.values = self.weight.new_zeros(n, conv.in_channels, height, width)
        first = conv.left
        self.inside = self.values[:, :, conv.above :, first : first + size[1]]

    def write(self, i: int, j: int | slice, values: Tensor) -> None:
        """Inputs ``(N, in_channels)`` of one pixel; or of a row, with one dimension more."""
        self.inside[:, :, i, j] = values

    def row(self, i: int) -> Tensor:
        """The convolution in row ``i``: ``(N, out_channels, W)``."""
        window = self.values[:, :, i : i + self.conv.above + 1]
        return F.conv2d(window, self.weight, self.conv.bias)[:, :, 0]

    def at(self, i: int, j: int) -> Tensor:
        """The convolution at one pixel: ``(N, out_channels)``."""
        rows, columns = self.weight.shape[2:]
        window = self.values[:, :, i : i + rows, j : j + columns]
        return F.linear(window.flatten(1), self.weight.flatten(1), self.conv.bias)
