"""Draw the landing page's pictures with the models of the zoo: `python -m book._tools.pictures`.

Writes `book/_static/{noise,gan,vae,rnn}.webp`, lossless, with transparent gaps, so that they sit
on a light and on a dark page alike. The seeds are fixed; nothing is picked by hand.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from book._tools import ROOT
from companion import zoo
from companion.data import fashion_mnist, to_float

FOLDER = ROOT / "book" / "_static"
SCALE = 4  # dots per pixel: sharp on the screens that have two dots per point
GAP = 12  # dots between images


def noise(columns: int = 10, seed: int = 0) -> list[Tensor]:
    """Two pairs of rows: 64 random numbers as an 8x8 tile, and the garment made of them."""
    gan = zoo.load("dcgan")
    rows = []
    for z in torch.randn(2, columns, gan.latent_dim, generator=_rng(seed)):
        # From black at -2 to white at +2, enlarged to the garment's size.
        tiles = (z.view(columns, 1, 8, 8) / 4 + 0.5).clamp(0, 1)
        side = 28 * SCALE
        rows += [torch.nn.functional.interpolate(tiles, (side, side)), _enlarged(gan.generate(z))]
    return rows


def gan_walk(columns: int = 5, seed: int = 2) -> list[Tensor]:
    """Two quarter circles through the noise of the GAN."""
    gan = zoo.load("dcgan")
    start, end = torch.randn(2, 2, gan.latent_dim, generator=_rng(seed))
    angles = torch.linspace(0, torch.pi / 2, columns)[:, None, None]
    path = angles.cos() * start + angles.sin() * end  # (columns, 2, latent_dim)
    return [_enlarged(gan.generate(path[:, row])) for row in range(2)]


def vae_walk(columns: int = 5) -> list[Tensor]:
    """Straight walks between the codes of test images: trousers to dress, sandal to boot."""
    vae = zoo.load("vae")
    images = to_float(fashion_mnist("test").images)
    codes, _ = vae.encode(images[[1, 3, 5, 9]])
    steps = torch.linspace(0, 1, columns)[:, None]
    return [
        _enlarged(vae.mean_image(torch.lerp(start, end, steps)))
        for start, end in (codes[:2], codes[2:])
    ]


def rnn_completion(columns: int = 5, seed: int = 0) -> list[Tensor]:
    """The upper halves of test images, and what the row model makes of them."""
    images = to_float(fashion_mnist("test").images[:columns])
    completed = zoo.load("row_rnn").complete(images, known=14, rng=_rng(seed))
    given = images.clone()
    given[:, :, 14:] = 0.5
    return [_enlarged(given), _enlarged(completed)]


def tile(rows: Sequence[Tensor]) -> Image.Image:
    """Rows of equal images (N, 1, side, side) in [0, 1] on a transparent ground."""
    columns, side = len(rows[0]), rows[0].shape[-1]
    width, height = (n * (side + GAP) - GAP for n in (columns, len(rows)))
    canvas = Image.new("LA", (width, height))
    for r, row in enumerate(rows):
        for c, levels in enumerate((row[:, 0] * 255).round().to(torch.uint8).numpy()):
            place = (c * (side + GAP), r * (side + GAP))
            canvas.paste(Image.fromarray(levels).convert("LA"), place)
    return canvas


def draw(folder: Path = FOLDER) -> dict[str, int]:
    """Write all pictures into `folder`; returns the bytes of each."""
    pictures = {"noise": noise, "gan": gan_walk, "vae": vae_walk, "rnn": rnn_completion}
    sizes = {}
    with torch.no_grad():
        for name, rows in pictures.items():
            path = folder / f"{name}.webp"
            tile(rows()).convert("RGBA").save(path, lossless=True, quality=100, method=6)
            sizes[path.name] = path.stat().st_size
    return sizes


def _enlarged(images: Tensor) -> Tensor:
    """Each pixel as a square of SCALE x SCALE dots."""
    return images.repeat_interleave(SCALE, 2).repeat_interleave(SCALE, 3)


def _rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


if __name__ == "__main__":
    for name, size in draw().items():
        print(f"{name}: {size:,} bytes", file=sys.stderr)
