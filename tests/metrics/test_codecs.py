"""PNG and WebP: containers are subtracted, nothing else."""

from collections.abc import Callable
from io import BytesIO

import pytest
import torch
from PIL import Image

from companion.data import fashion_mnist, to_float
from companion.metrics import png_bits_per_dimension, webp_bits_per_dimension

Bits = Callable[..., float]

# What surrounds the one IDAT chunk's data: signature, IHDR, IDAT's frame, IEND.
PNG_CONTAINER = 8 + (12 + 13) + 12 + 12


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return to_float(fashion_mnist("test").images[:100])


def test_png_is_the_file_less_its_container(images: torch.Tensor) -> None:
    total = 0
    for image in (images * 255).round().to(torch.uint8):
        file = BytesIO()
        Image.fromarray(image[0].numpy()).save(file, "PNG", optimize=True)
        total += 8 * (len(file.getvalue()) - PNG_CONTAINER)
    assert png_bits_per_dimension(images) == pytest.approx(total / images.numel())


def test_webp_is_the_file_less_its_container(images: torch.Tensor) -> None:
    total = 0
    for image in (images[:20] * 255).round().to(torch.uint8):
        file = BytesIO()
        gray = Image.fromarray(image[0].numpy()).convert("RGB")
        gray.save(file, "WEBP", lossless=True, quality=75, method=6)
        read_back = Image.open(BytesIO(file.getvalue())).convert("L")
        assert read_back.tobytes() == image.numpy().tobytes()  # it is lossless
        total += 8 * (len(file.getvalue()) - 25)
    # RIFF files are padded to an even length: at most one byte each is counted differently.
    assert webp_bits_per_dimension(images[:20]) == pytest.approx(total / 20 / 784, abs=8 / 784)


@pytest.mark.parametrize("bits", [png_bits_per_dimension, webp_bits_per_dimension])
def test_noise_costs_8_bits_and_black_almost_nothing(bits: Bits) -> None:
    noise = torch.rand(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert 7.99 <= bits(noise) < 8.3
    assert bits(torch.zeros(4, 1, 64, 64)) < 0.1
    color = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert 7.99 <= bits(color) < 8.8


@pytest.mark.parametrize("bits", [png_bits_per_dimension, webp_bits_per_dimension])
def test_sheets_spare_tables(bits: Bits, images: torch.Tensor) -> None:
    assert 3 < bits(images, tile=10) < bits(images) < 5


def test_sheets_hold_every_image_once_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    from companion.metrics import codecs

    sheets: list[torch.Tensor] = []

    def payload(sheet: torch.Tensor) -> int:
        sheets.append(sheet)
        return 0

    monkeypatch.setattr(codecs, "_png_payload", payload)
    images = torch.arange(9)[:, None, None, None].expand(9, 3, 2, 4) / 255
    png_bits_per_dimension(images, tile=2)
    assert [sheet.shape for sheet in sheets] == [(4, 8, 3)] * 2  # the ninth fills no sheet
    assert sheets[1][::2, ::4, 0].tolist() == [[4, 5], [6, 7]]
