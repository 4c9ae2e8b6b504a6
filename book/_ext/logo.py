"""Draw the book's logo and favicon: a shirt that appears out of noise, pixel by pixel.

Run ``python book/_ext/logo.py`` to write ``book/_static/logo.svg`` and ``favicon.svg``.
"""

import random
from pathlib import Path

SHIRT = """
..............
....##..##....
...########...
..##########..
.############.
.############.
.###.####.###.
.....####.....
....######....
....######....
....######....
....######....
....######....
..............
""".split()

INK = (0x3B, 0x7D, 0xBF)
STATIC = Path(__file__).resolve().parent.parent / "_static"


def draw(rows: list[str], pixel: int, seed: int = 4) -> str:
    """Pixels whose opacity goes from chance at the upper left to the picture itself."""
    rng = random.Random(seed)
    size = len(rows)
    parts = []
    for y, row in enumerate(rows):
        for x, mark in enumerate(row):
            noise = max(0.0, 1 - (x + 0.6 * y) / (0.8 * size))
            chance = rng.random()
            opacity = 1 - 0.75 * noise * chance if mark == "#" else 0.55 * noise * chance
            if opacity > 0.05:
                parts.append(
                    f'<rect x="{x * pixel}" y="{y * pixel}" width="{pixel}" height="{pixel}" '
                    f'opacity="{opacity:.2f}"/>'
                )
    side = size * pixel
    color = "#{:02x}{:02x}{:02x}".format(*INK)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" '
        f'shape-rendering="crispEdges" fill="{color}">' + "".join(parts) + "</svg>\n"
    )


if __name__ == "__main__":
    for name in ("logo.svg", "favicon.svg"):
        (STATIC / name).write_text(draw(SHIRT, pixel=8), encoding="utf-8")
