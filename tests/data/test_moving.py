"""Flying garments: known motions, walls, overlaps, and one random number after the other."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from companion.data import (
    bounce,
    check_sequences,
    fashion_mnist,
    flights,
    moving_fashion,
    paint,
    to_float,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return to_float(fashion_mnist().images[:12])


@pytest.mark.parametrize(("size", "side"), [(32, 14), (64, 28)])
def test_shapes_and_range(images: Tensor, size: int, side: int) -> None:
    sequences = moving_fashion(images, 7, size, rng=generator())
    assert sequences.shape == (12, 7, 1, size, size)
    assert sequences.dtype == torch.float32
    assert sequences.min() >= 0
    assert sequences.max() <= 1
    check_sequences(sequences, size)


def test_the_same_seed_makes_the_same_sequences(images: Tensor) -> None:
    first = moving_fashion(images, rng=generator(3))
    assert torch.equal(first, moving_fashion(images, rng=generator(3)))
    assert not torch.equal(first, moving_fashion(images, rng=generator(4)))
    torch.manual_seed(3)
    assert torch.equal(first, moving_fashion(images))


@pytest.mark.parametrize("size", [32, 64])
def test_a_single_garment_is_always_whole(images: Tensor, size: int) -> None:
    """It never leaves the frame: its sum of pixels and its brightest one stay what they are."""
    sequences = moving_fashion(images, 30, size, garments=1, rng=generator())
    shrunk = images if size == 64 else torch.nn.functional.avg_pool2d(images, 2)
    for n in range(len(images)):
        sums = sequences[n].sum(dim=(1, 2, 3))
        torch.testing.assert_close(sums, shrunk[n].sum().expand(30), rtol=1e-5, atol=1e-4)
        assert torch.equal(sequences[n].amax(dim=(1, 2, 3)), shrunk[n].max().expand(30))


def test_overlapping_garments_show_the_brighter_pixel(images: Tensor) -> None:
    """Two of one garment, batch of one: the frame is the maximum of its two layers."""
    both = moving_fashion(images[:1], 10, 32, garments=2, rng=generator())[0]
    draw = torch.rand(1, 2, 4, generator=generator())
    shrunk = torch.nn.functional.avg_pool2d(images[:1], 2)[0, 0]
    expected = torch.zeros(10, 32, 32)
    for _, y, x, turn in draw[0].tolist():
        velocity = 1.8 * torch.tensor([math.sin(2 * math.pi * turn), math.cos(2 * math.pi * turn)])
        for t, (row, column) in enumerate(bounce(18 * torch.tensor([y, x]), velocity, 18.0, 10)):
            i, j = round(row.item()), round(column.item())
            place = expected[t, i : i + 14, j : j + 14]
            place.copy_(torch.maximum(place, shrunk))
    torch.testing.assert_close(both[:, 0], expected)


def test_every_image_leads_its_own_sequence(images: Tensor) -> None:
    """Brightest pixels: no sequence is darker than the garment that it belongs to."""
    shrunk = torch.nn.functional.avg_pool2d(images, 2)
    first = moving_fashion(images, 1, rng=generator())[:, 0]
    assert (first.sum(dim=(1, 2, 3)) >= shrunk.sum(dim=(1, 2, 3)) - 1e-3).all()


def test_motion_is_straight_and_mirrored_at_the_walls() -> None:
    start, velocity = torch.tensor([0.0, 9.0]), torch.tensor([1.0, -4.0])
    path = bounce(start, velocity, 10.0, 8)
    assert path[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert path[:, 1].tolist() == [9, 5, 1, 3, 7, 9, 5, 1]
    far = bounce(torch.rand(50, 2) * 18, 30 * torch.randn(50, 2), 18.0, 40)
    assert far.shape == (50, 40, 2)
    assert far.min() >= 0
    assert far.max() <= 18


def test_the_speed_is_a_tenth_of_the_way_between_the_walls(images: Tensor) -> None:
    """Center of mass of single garments, in steps that meet no wall: 3.6 pixels of 36."""
    sequences = moving_fashion(images, 3, 64, garments=1, rng=generator(1))[:, :, 0]
    axis = torch.arange(64.0)
    total = sequences.sum(dim=(2, 3))
    center = torch.stack(
        [(sequences.sum(3) * axis).sum(2) / total, (sequences.sum(2) * axis).sum(2) / total], -1
    )
    steps = center[:, 2] - center[:, 0]
    speeds = (steps / 2).norm(dim=1)
    assert speeds.max() < 3.6 + 0.8  # rounded to whole pixels
    assert speeds.median() > 3.0


def test_flights_are_straight_and_on_whole_pixels() -> None:
    """u = (0, 1/2, 0): from the left end of the middle row, one tenth of the way to the right."""
    chance = torch.tensor([[0.5, 0.0, 0.0], [1.0, 1.0, 0.5]])
    paths = flights(chance, travel=20, frames=4)
    assert paths.dtype == torch.int64
    assert paths[0].tolist() == [[10, 0], [10, 2], [10, 4], [10, 6]]
    assert paths[1].tolist() == [[20, 20], [20, 18], [20, 16], [20, 14]]
    many = flights(torch.rand(500, 3, generator=generator()), frames=40)
    assert many.min() == 0
    assert many.max() == 18
    assert many.diff(dim=1).abs().max() == 2


def test_what_leaves_the_frame_is_not_seen(images: Tensor) -> None:
    garments = images[:1]
    paths = torch.tensor([[0, 0], [-3, 25], [64, 0]])[None, None]
    frames = paint(garments, paths, 64)[0, :, 0]
    expected = torch.zeros(3, 64, 64)
    expected[0, :28, :28] = garments[0, 0]
    expected[1, :25, 25:53] = garments[0, 0, 3:]
    assert torch.equal(frames, expected)


def test_moving_fashion_is_flights_that_are_painted(images: Tensor) -> None:
    chance = torch.rand(12, 1, 4, generator=generator(5))[..., 1:]
    painted = paint(images, flights(chance, 36, 7), 64)
    assert torch.equal(painted, moving_fashion(images, 7, 64, 1, rng=generator(5)))


def test_the_images_are_left_alone(images: Tensor) -> None:
    before = images.clone()
    moving_fashion(images, 2)
    assert torch.equal(images, before)


def test_mistakes_are_refused(images: Tensor) -> None:
    with pytest.raises(ValueError, match="size must be one of 32, 64, got 48"):
        moving_fashion(images, size=48)
    with pytest.raises(ValueError, match="frames must be at least 1, got 0"):
        moving_fashion(images, frames=0)
    with pytest.raises(ValueError, match=r"images must have shape \(N, 1, 28, 28\)"):
        moving_fashion(images[:, :, :20])
    with pytest.raises(TypeError, match="got uint8"):
        moving_fashion((255 * images).byte())
    with pytest.raises(ValueError, match=r"frames must have shape \(N, T, 1, 32, 32\), got"):
        check_sequences(images, 32)
    with pytest.raises(TypeError, match="got list"):
        check_sequences([1])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"the same sequences, got \(12, 1, 28, 28\)"):
        paint(images, torch.zeros(12, 20, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match="size must be one of 32, 64, got 28"):
        paint(images, torch.zeros(12, 1, 20, 2, dtype=torch.int64), size=28)
    with pytest.raises(ValueError, match=r"the same sequences, got \(12, 1, 14, 14\)"):
        paint(images[..., ::2, ::2], torch.zeros(12, 1, 20, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"chance must have shape \(..., 3\), got \(12, 4\)"):
        flights(torch.rand(12, 4))


@pytest.mark.parametrize(
    ("shape", "words", "mend"),
    [
        ((2, 5, 3, 32, 32), "turn color to gray with", lambda x: x.mean(2, keepdim=True)),
        ((2, 5, 32, 32, 1), "move the channels forward", lambda x: x.permute(0, 1, 4, 2, 3)),
        ((2, 5, 32, 32), r"add missing dimensions with \[:, :, None\]", lambda x: x[:, :, None]),
        ((2, 5, 1, 40, 40), "build the model for theirs: size=", lambda x: x[..., :32, :32]),
    ],
)
def test_what_is_said_of_videos_of_your_own_mends_them(
    shape: tuple[int, ...], words: str, mend: Callable[[Tensor], Tensor]
) -> None:
    videos = torch.rand(shape, generator=generator())
    with pytest.raises(ValueError, match=words):
        check_sequences(videos, 32)
    check_sequences(mend(videos), 32)
