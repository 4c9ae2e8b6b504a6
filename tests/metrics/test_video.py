"""Errors of frames against sums by hand, and the two predictions on motions that they know."""

import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from companion.metrics import constant_velocity, copy_last_frame, frame_errors, frame_ssim
from companion.metrics.video import shift


def flight(dy: int, dx: int, frames: int = 6, size: int = 16) -> Tensor:
    """A random 4 x 4 patch that flies on a black ground, from the middle."""
    patch = torch.rand(4, 4, generator=torch.Generator().manual_seed(1))
    sequence = torch.zeros(1, frames, 1, size, size)
    for t in range(frames):
        y, x = 6 + t * dy, 6 + t * dx
        sequence[0, t, 0, y : y + 4, x : x + 4] = patch
    return sequence


def test_frame_errors_sum_over_pixels_and_average_over_sequences() -> None:
    truth = torch.zeros(2, 3, 1, 4, 4)
    predicted = truth.clone()
    predicted[0, 1] = 0.5  # 16 pixels of 1/4
    predicted[1, 2, 0, 0, 0] = 1.0
    assert frame_errors(predicted, truth).tolist() == [0.0, 2.0, 0.5]


def test_ssim_is_1_for_equal_frames_and_less_for_others() -> None:
    truth = flight(1, 0)
    noisy = (truth + 0.1 * torch.rand_like(truth)).clamp(0, 1)
    torch.testing.assert_close(frame_ssim(truth, truth), torch.ones(6, dtype=torch.float64))
    values = frame_ssim(noisy, truth)
    assert values.shape == (6,)
    assert (values < 0.99).all()


def test_ssim_equals_its_formula_on_one_window() -> None:
    """Frames of 7 x 7 pixels hold one window; sample variances, constants .01^2 and .03^2."""
    rng = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 1, 1, 1, 7, 7, generator=rng, dtype=torch.float64)
    x, y = a.flatten(), b.flatten()
    covariance = torch.cov(torch.stack([x, y]))
    top = (2 * x.mean() * y.mean() + 1e-4) * (2 * covariance[0, 1] + 9e-4)
    bottom = (x.mean() ** 2 + y.mean() ** 2 + 1e-4) * (covariance.trace() + 9e-4)
    assert frame_ssim(a, b).item() == pytest.approx((top / bottom).item(), rel=1e-5)


@pytest.mark.parametrize("size", [(7, 9), (16, 16), (32, 32)])
def test_ssim_is_that_of_scikit_image(size: tuple[int, int]) -> None:
    rng = torch.Generator().manual_seed(0)
    truth = torch.rand(3, 4, 1, *size, generator=rng, dtype=torch.float64)
    predicted = (truth + 0.2 * torch.rand(truth.shape, generator=rng)).clamp(0, 1)
    predicted[0, 0] = 0.0  # no variance at all
    frames = predicted.flatten(0, 2).numpy(), truth.flatten(0, 2).numpy()
    theirs = [structural_similarity(a, b, data_range=1.0) for a, b in zip(*frames, strict=True)]
    wanted = torch.tensor(theirs, dtype=torch.float64).view(3, 4).mean(dim=0)
    torch.testing.assert_close(frame_ssim(predicted, truth), wanted, atol=1e-12, rtol=0)


def test_copying_repeats_the_last_frame() -> None:
    frames = flight(1, 1)
    copies = copy_last_frame(frames, 4)
    assert copies.shape == (1, 4, 1, 16, 16)
    assert all(torch.equal(copies[:, t], frames[:, -1]) for t in range(4))


@pytest.mark.parametrize(("dy", "dx"), [(0, 0), (1, 0), (0, -1), (-1, 1)])
def test_constant_velocity_is_exact_for_one_motion_away_from_the_walls(dy: int, dx: int) -> None:
    frames = flight(dy, dx)
    predicted = constant_velocity(frames[:, :3], 3)
    assert torch.equal(predicted, frames[:, 3:])


def test_each_sequence_has_its_own_velocity() -> None:
    frames = torch.cat([flight(1, 0), flight(0, 1), flight(-1, -1)])
    assert torch.equal(constant_velocity(frames[:, :2], 4), frames[:, 2:])


def test_what_leaves_the_frame_is_lost() -> None:
    images = torch.ones(1, 1, 3, 3)
    moved = shift(images, torch.tensor([[1, -2]]))
    assert moved[0, 0].tolist() == [[0, 0, 0], [1, 0, 0], [1, 0, 0]]
    assert not shift(images, torch.tensor([[5, 0]])).any()


def test_mistakes_are_refused() -> None:
    frames = flight(1, 0)
    with pytest.raises(ValueError, match="the same shape, got .*compare as many frames"):
        frame_errors(frames[:, :3], frames)
    with pytest.raises(ValueError, match="the same shape"):
        frame_ssim(frames[:, :3], frames)
    with pytest.raises(ValueError, match=r"at least 7 x 7 pixels, .* got 6 x 16; use frame_errors"):
        frame_ssim(frames[..., :6, :], frames[..., :6, :])
    with pytest.raises(TypeError, match="predicted must be .* uint8 up to .*; use .*to_float"):
        frame_errors((255 * frames).byte(), frames)
    with pytest.raises(ValueError, match="needs at least two frames, got 1"):
        constant_velocity(frames[:, :1])
    with pytest.raises(ValueError, match=r"frames must have shape \(N, T, 1, H, W\)"):
        copy_last_frame(frames[0])
    with pytest.raises(ValueError, match=r"got values from 0 to .*use predicted / 255"):
        frame_errors(255 * frames, frames)
