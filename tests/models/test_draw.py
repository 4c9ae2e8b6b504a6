"""DRAW: windows against loops, the bound against its terms by hand, canvases that add up."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from companion import train
from companion.likelihoods import binarize
from companion.models.draw import DRAW
from companion.models.glimpses import Window, filterbank, read, window, write


def pixels(n: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Black-and-white images."""
    rng = torch.Generator().manual_seed(5)
    return (torch.rand(n, *shape, generator=rng) < 0.4).to(dtype)


def small(dtype: torch.dtype = torch.float32, shape: tuple[int, int, int] = (1, 8, 8)) -> DRAW:
    torch.manual_seed(0)
    model = DRAW(4, latent_dim=3, hidden_size=6, read_size=3, write_size=3, image_shape=shape)
    return model.to(dtype)


def some_window(n: int = 2) -> Window:
    rng = torch.Generator().manual_seed(2)
    y, x, stride, variance, intensity = torch.rand(5, n, generator=rng, dtype=torch.float64)
    return Window(8 * y, 6 * x, 1 + stride, 0.2 + variance, 0.5 + intensity)


# ---- Windows -------------------------------------------------------------------------------------


def test_zero_parameters_cover_the_whole_image() -> None:
    look = window(torch.zeros(1, 5), points=5, height=28, width=28)
    assert look.y.item() == look.x.item() == 13.5
    assert look.stride.item() == 27 / 4  # the outer filters lie on the outer pixels
    assert look.variance.item() == look.intensity.item() == 1


def test_the_five_numbers_are_those_of_gregor() -> None:
    numbers = torch.tensor([[0.5, -0.5, math.log(4.0), math.log(0.1), math.log(3.0)]])
    look = window(numbers, points=4, height=28, width=20)
    assert look.x.item() == pytest.approx(19 / 2 * 1.5)
    assert look.y.item() == pytest.approx(27 / 2 * 0.5)
    assert look.variance.item() == pytest.approx(4)
    assert look.stride.item() == pytest.approx(27 / 3 * 0.1)  # of the longer side
    assert look.intensity.item() == pytest.approx(3)


def test_filters_are_normalized_gaussians() -> None:
    center, stride = torch.tensor([3.2, 5.0]), torch.tensor([1.5, 0.7])
    variance = torch.tensor([0.8, 2.0])
    filters = filterbank(center, stride, variance, points=4, size=11)
    assert filters.shape == (2, 4, 11)
    torch.testing.assert_close(filters.sum(dim=2), torch.ones(2, 4))
    for n in range(2):
        for i in range(4):
            mu = center[n] + (i - 1.5) * stride[n]
            density = [math.exp(-((a - mu) ** 2) / (2 * variance[n])) for a in range(11)]
            expected = torch.tensor(density) / sum(density)
            torch.testing.assert_close(filters[n, i], expected)


def test_filters_far_outside_give_no_nan() -> None:
    center = torch.tensor([-1e4], requires_grad=True)
    filters = filterbank(center, torch.ones(1), torch.full((1,), 1e-3), points=2, size=5)
    assert torch.equal(filters[0, 0], torch.tensor([1.0, 0, 0, 0, 0]))
    filters.square().sum().backward()
    assert center.grad is not None
    assert center.grad.isfinite().all()


@pytest.mark.parametrize("channels", [1, 3])
def test_reading_and_writing_equal_sums_over_pixels(channels: int) -> None:
    look, points = some_window(), 3
    images = torch.rand(2, channels, 9, 7, dtype=torch.float64)
    rows = filterbank(look.y, look.stride, look.variance, points, 9)
    columns = filterbank(look.x, look.stride, look.variance, points, 7)
    seen = read(images, look, points)
    expected = torch.einsum("nia,ncab,njb->ncij", rows, images, columns)
    torch.testing.assert_close(seen, expected * look.intensity[:, None, None, None])
    patch = torch.rand(2, channels, points, points, dtype=torch.float64)
    stroke = write(patch, look, 9, 7)
    expected = torch.einsum("nia,ncij,njb->ncab", rows, patch, columns)
    torch.testing.assert_close(stroke, expected / look.intensity[:, None, None, None])


def test_writing_is_the_adjoint_of_reading() -> None:
    """With intensity 1: <read(x), w> = <x, write(w)>."""
    look = some_window()._replace(intensity=torch.ones(2, dtype=torch.float64))
    images = torch.rand(2, 1, 9, 7, dtype=torch.float64)
    patch = torch.rand(2, 1, 4, 4, dtype=torch.float64)
    there = (read(images, look, 4) * patch).sum()
    torch.testing.assert_close(there, (images * write(patch, look, 9, 7)).sum())


def test_a_moved_window_reads_what_was_moved() -> None:
    image = torch.zeros(1, 1, 21, 21)
    image[0, 0, 8:11, 8:11] = torch.rand(3, 3)
    look = Window(*(torch.tensor([value]) for value in (9.0, 9.0, 1.0, 0.3, 1.0)))
    moved = look._replace(y=look.y + 4, x=look.x - 3)
    there = read(image.roll((4, -3), dims=(2, 3)), moved, 5)
    torch.testing.assert_close(read(image, look, 5), there)


def test_the_first_windows_cover_the_image_and_write_in_full_strength() -> None:
    """A patch of ones, written by the untrained window, arrives as about one in the middle."""
    model = DRAW()
    state = torch.zeros(1, model.hidden_size)
    with torch.no_grad():
        for layer in (model.to_read_window, model.to_write_window):
            layer.weight.zero_()
            layer.bias[[0, 1, 3]] = 0
        model.to_read_window.bias[4] = 0
    place = model._window(model.to_write_window, state, 5)
    stroke = write(torch.ones(1, 1, 5, 5), place, 28, 28)
    assert stroke[0, 0, 8:20, 8:20].mean().item() == pytest.approx(1, abs=0.15)
    look = model._window(model.to_read_window, state, 5)
    seen = read(torch.ones(1, 1, 28, 28), look, 5)
    torch.testing.assert_close(seen, torch.ones(1, 1, 5, 5))


# ---- The model -----------------------------------------------------------------------------------


@torch.no_grad()
def test_the_bound_is_that_of_torch_distributions() -> None:
    model, images = small(torch.float64), pixels(5, 1, 8, 8, dtype=torch.float64)
    torch.manual_seed(1)
    distortion, rate = model.elbo(images)
    torch.manual_seed(1)
    steps = model.glimpses(images)
    assert len(steps) == 4
    likelihood = Independent(Bernoulli(logits=steps[-1].canvas), 3)
    torch.testing.assert_close(distortion, -likelihood.log_prob(images))
    expected = torch.zeros(5, dtype=torch.float64)
    for step in steps:
        q = Independent(Normal(step.mu, torch.exp(0.5 * step.logvar)), 1)
        expected += kl_divergence(q, Independent(Normal(torch.zeros(5, 3), torch.ones(5, 3)), 1))
    torch.testing.assert_close(rate, expected)
    assert (rate >= 0).all()


@torch.no_grad()
def test_the_bound_lies_below_log_p_estimated_by_importance() -> None:
    """log p(x) of two pixels, by the mean of p(x|z) over many codes from the prior."""
    torch.manual_seed(0)
    model = DRAW(2, latent_dim=1, hidden_size=4, read_size=2, write_size=2, image_shape=(1, 2, 1))
    model.to(torch.float64)
    model.to_patch.weight *= 6
    image = torch.tensor([[[[1.0], [0.0]]]], dtype=torch.float64)
    torch.manual_seed(1)
    bound = model.log_prob_bound(image.expand(4000, -1, -1, -1)).mean()
    canvas = model.paint(torch.randn(100_000, 2, 1, dtype=torch.float64))[0][-1]
    log_p = Independent(Bernoulli(logits=canvas), 3).log_prob(image).exp().mean().log()
    assert bound < log_p
    assert bound > log_p - 1


def test_painting_the_codes_of_a_glimpse_gives_its_canvases() -> None:
    """The decoder needs the codes only: the canvas never sees the image but through them."""
    model, images = small(), pixels(2, 1, 8, 8)
    with torch.no_grad():
        model.to_code.weight[3:] = 0
        model.to_code.bias[3:] = -200.0  # no noise: the codes are their means
        steps = model.glimpses(images)
        canvases, places = model.paint(torch.stack([step.mu for step in steps], dim=1))
    torch.testing.assert_close(canvases, torch.stack([step.canvas for step in steps]))
    torch.testing.assert_close(torch.stack(places[-1]), torch.stack(steps[-1].write))


def test_each_step_adds_a_stroke_to_the_canvas() -> None:
    model = small()
    with torch.no_grad():
        model.to_patch.weight.zero_()
        model.to_patch.bias.zero_()
        canvases, _ = model.paint(torch.randn(2, 4, 3))
    torch.testing.assert_close(canvases, model.blank.detach().expand(4, 2, 1, 8, 8))


def test_the_last_canvas_depends_on_every_code_and_a_canvas_on_no_later_one() -> None:
    model = small()
    z = torch.randn(2, 4, 3, requires_grad=True)
    canvases, _ = model.paint(z)
    for t in range(4):
        (gradient,) = torch.autograd.grad(canvases[t].square().sum(), z, retain_graph=True)
        moved = gradient.abs().sum(dim=(0, 2)) > 0
        assert moved.tolist() == [step <= t for step in range(4)]


def test_loss_is_the_negative_bound_of_binarized_images() -> None:
    model = small(torch.float64)
    gray = torch.rand(6, 1, 8, 8, dtype=torch.float64)
    torch.manual_seed(1)
    losses = model.loss(gray)
    torch.manual_seed(1)
    bound = model.elbo(binarize(gray))
    torch.testing.assert_close(losses["loss"], -bound.value.mean())
    torch.testing.assert_close(losses["loss"], losses["distortion"] + losses["rate"])
    (player,) = model.players()
    assert set(player.module.parameters()) == set(model.parameters())
    player.loss(gray)["loss"].backward()  # type: ignore[index]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_loss_per_image_does_not_depend_on_the_batch() -> None:
    model = small(torch.float64)
    one = pixels(1, 1, 8, 8, dtype=torch.float64)
    torch.manual_seed(1)
    losses = [model.loss(one.expand(n, -1, -1, -1))["loss"].item() for n in (500, 2000)]
    assert losses[1] == pytest.approx(losses[0], rel=0.01)


def test_a_step_lowers_the_loss() -> None:
    model = small()
    images = pixels(64, 1, 8, 8)
    before = -model.log_prob_bound(images).mean()
    train(model, images, epochs=10, batch_size=16, progress=False)
    assert -model.log_prob_bound(images).mean() < before - 2


def test_mistakes_are_refused() -> None:
    model = small()
    gray = torch.full((2, 1, 8, 8), 0.5)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        DRAW(0)
    with pytest.raises(ValueError, match="read_size must be at least 2, got 1"):
        DRAW(2, read_size=1)
    with pytest.raises(ValueError, match=r"got gray values, .*binarize\(images\)"):
        model.log_prob_bound(gray)
    with pytest.raises(ValueError, match=r"images must have shape \(N, 1, 8, 8\)"):
        model.glimpses(torch.zeros(2, 3, 8, 8))
    with pytest.raises(TypeError, match="got uint8"):
        model.log_prob_bound(gray.byte())
    with pytest.raises(ValueError, match=r"floats in \[0, 1\].* from 127.5 to 127.5"):
        model.loss(255 * gray)
    with pytest.raises(ValueError, match=r"z must have shape \(N, 4, 3\), got \(5, 3\)"):
        model.paint(torch.zeros(5, 3))
