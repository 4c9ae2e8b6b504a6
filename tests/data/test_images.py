"""Ranges and shapes: what is let through, and the one sentence for what is not."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch import Tensor

from companion import checks
from companion.data import (
    as_model_input,
    check_images,
    check_labels,
    to_float,
    to_uint8,
)

levels = arrays(np.uint8, array_shapes(min_dims=1, max_dims=4, max_side=6))


@given(levels)
def test_to_float_is_numpys_division_and_to_uint8_its_inverse(array: np.ndarray) -> None:
    images = torch.from_numpy(array)
    floats = to_float(images)
    assert floats.dtype == torch.float32
    np.testing.assert_array_equal(floats.numpy(), array.astype(np.float32) / np.float32(255))
    assert torch.equal(to_uint8(floats), images)


def test_to_float_leaves_its_argument_and_the_memory_format_alone() -> None:
    images = torch.full((2, 3, 4, 4), 255, dtype=torch.uint8)
    images = images.to(memory_format=torch.channels_last)
    floats = to_float(images)
    assert images.max() == 255
    assert floats.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_to_uint8_rounds_to_the_nearest_level(dtype: torch.dtype) -> None:
    images = torch.rand(1000, generator=torch.Generator().manual_seed(0)).to(dtype)
    distance = (to_uint8(images) - images.double() * 255).abs()
    assert distance.max() <= 0.5 + 1e-4  # halfway, either level will do


def test_to_uint8_of_an_image_with_gradient() -> None:
    assert to_uint8(torch.ones(2, requires_grad=True)).tolist() == [255, 255]


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))
def test_images_in_range_pass_at_any_shape(n: int, c: int, h: int, w: int) -> None:
    check_images(torch.rand(n, c, h, w))
    check_images(torch.rand(n, c, h, w).half(), (c, h, w))


GRAY = (1, 28, 28)
good = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
bad_images = [
    # given, shape, error, what the sentence says was given, and the remedy in it
    (np.zeros((2, 1, 28, 28)), None, TypeError, "got ndarray", "torch.as_tensor"),
    (torch.tensor([[[[0, 255]]]]).byte(), None, TypeError, "got uint8 up to 255", "to_float"),
    (torch.zeros(1, 1, 2, 2).long(), None, TypeError, "got int64 up to 0", "images.float()"),
    (good > 0, None, TypeError, "got bool", "images.float()"),
    (good * 2 - 1, None, ValueError, "got values from -", "(images + 1) / 2"),
    (good * 255, None, ValueError, "got values from 0", "images / 255"),
    (good * 1.1 - 0.05, None, ValueError, "got values from -0.0", "clamp(0, 1)"),
    (torch.randn(9, 1, 28, 28), None, ValueError, "got values from -", "clamp(0, 1)"),
    (good / 0, None, ValueError, "to inf", "clamp(0, 1)"),
    (good.where(good > 0.01, torch.nan), None, ValueError, "got NaN", "divides by zero"),
    (torch.rand(28, 28), GRAY, ValueError, "got (28, 28)", "images[None, None]"),
    (torch.rand(1, 28, 28), GRAY, ValueError, "got (1, 28, 28)", "images[None]"),
    (torch.rand(5, 28, 28), GRAY, ValueError, "got (5, 28, 28)", "images[:, None]"),
    (torch.rand(5, 28, 28), None, ValueError, "(N, C, H, W), got (5, 28, 28)", "images[:, None]"),
    (torch.rand(5, 784), GRAY, ValueError, "got (5, 784)", "images.view(-1, 1, 28, 28)"),
    (torch.rand(5, 785), GRAY, ValueError, "got (5, 785)", "images[:, 1:].reshape(-1, 1, 28, 28)"),
    (torch.rand(5, 785), None, ValueError, "got (5, 785)", "images[:, 1:].reshape(-1, 1, 28, 28)"),
    (torch.rand(5, 784), None, ValueError, "got (5, 784)", "images.view(-1, 1, 28, 28)"),
    (torch.rand(5, 64), GRAY, ValueError, "got (5, 64)", "noise"),
    ([good, good], GRAY, TypeError, "got list", "torch.stack(images)"),
    (torch.rand(2, 28, 28, 1), GRAY, ValueError, "got (2, 28, 28, 1)", "permute(0, 3, 1, 2)"),
    (torch.rand(2, 3, 28, 28), GRAY, ValueError, "got (2, 3, 28, 28)", "mean(1, keepdim=True)"),
    (good, (3, 28, 28), ValueError, "(N, 3, 28, 28), got (2, 1, 28, 28)", "expand(-1, 3, -1, -1)"),
    (torch.rand(2, 4, 28, 28), (3, 28, 28), ValueError, "got (2, 4, 28, 28)", "3 channels"),
    (torch.rand(2, 1, 32, 32), GRAY, ValueError, "got (2, 1, 32, 32)", "pad or crop"),
    (torch.rand(1, 2, 1, 28, 28), GRAY, ValueError, "got (1, 2, 1, 28, 28)", "reshape"),
    (torch.rand(0, 1, 28, 28), GRAY, ValueError, "got shape (0, 1, 28, 28)", "check the slice"),
]


@pytest.mark.parametrize(("images", "shape", "error", "got", "remedy"), bad_images)
def test_bad_images_give_one_sentence_with_given_expected_and_remedy(
    images: Tensor,
    shape: tuple[int, ...] | None,
    error: type[Exception],
    got: str,
    remedy: str,
) -> None:
    with pytest.raises(error) as caught:
        check_images(images, shape)
    sentence = str(caught.value)
    assert sentence.startswith("images must ")
    assert got in sentence
    assert remedy in sentence.split("; ")[1]
    assert "\n" not in sentence


def test_the_remedies_for_shape_and_range_are_right() -> None:
    flat = torch.rand(5, 784)
    check_images(flat.view(-1, 1, 28, 28), GRAY)
    table = torch.rand(5, 785)
    check_images(table[:, 1:].reshape(-1, 1, 28, 28), GRAY)
    check_images(torch.stack([good[0], good[1]]), GRAY)
    check_images(torch.rand(2, 28, 28, 1).permute(0, 3, 1, 2), GRAY)
    check_images(torch.rand(2, 3, 28, 28).mean(1, keepdim=True), GRAY)
    check_images(good.expand(-1, 3, -1, -1), (3, 28, 28))
    check_images(((good * 2 - 1) + 1) / 2, GRAY)


def test_rounding_errors_at_the_ends_are_no_mistake() -> None:
    check_images(torch.tensor([[[[-1e-6, 1 + 1e-6]]]]))


def test_gradients_pass_by_the_check() -> None:
    images = torch.rand(1, 1, 2, 2, requires_grad=True)
    check_images(images)
    images.sum().backward()
    assert images.grad is not None


def test_values_are_not_read_where_that_would_wait_for_the_device() -> None:
    # A meta tensor has no values: reading them would raise.
    check_images(torch.empty(2, 1, 28, 28, device="meta"), GRAY)
    check_labels(torch.empty(2, dtype=torch.int64, device="meta"), 10)
    with pytest.raises(TypeError, match=r"got uint8; use companion\.data\.to_float"):
        check_images(torch.empty(2, 1, 28, 28, dtype=torch.uint8, device="meta"))


def test_the_checks_do_not_break_a_compiled_graph() -> None:
    @torch.compile(backend="eager", fullgraph=True)
    def double(images: Tensor, labels: Tensor) -> Tensor:
        check_images(images, GRAY)
        check_labels(labels, 10)
        return 2 * images

    assert torch.equal(double(good, torch.tensor([1, 2])), 2 * good)


@pytest.mark.parametrize(
    ("labels", "error", "got", "remedy"),
    [
        ([0, 1], TypeError, "got list", "torch.as_tensor(labels).long()"),
        (torch.tensor([0.0, 1.0]), TypeError, "got float32", ".long()"),
        (torch.tensor([0, 1], dtype=torch.int32), TypeError, "got int32", ".long()"),
        (torch.eye(10).long(), ValueError, "got (10, 10)", "labels.argmax(1)"),
        (torch.tensor([1, 10]), ValueError, "0 to 9, got 1 to 10", "from 0"),
        (torch.tensor([-1, 3]), ValueError, "0 to 9, got -1 to 3", "from 0"),
    ],
)
def test_bad_labels_give_one_sentence(
    labels: Tensor, error: type[Exception], got: str, remedy: str
) -> None:
    with pytest.raises(error, match=f"labels must .*{re.escape(got)}.*; .*{re.escape(remedy)}"):
        check_labels(labels, 10)


def test_labels_in_range_pass() -> None:
    check_labels(torch.arange(10), 10)
    check_labels(torch.empty(0, dtype=torch.int64), 10)


@pytest.mark.parametrize(
    ("images", "remedy"),
    [(good, "leave"), ([[1.0]], "use torch.as_tensor"), (torch.zeros(2).long(), "use torch.as_t")],
)
def test_to_float_takes_nothing_but_levels(images: Tensor, remedy: str) -> None:
    with pytest.raises(TypeError, match=rf"to_float takes a uint8 tensor .*, got .*; {remedy}"):
        to_float(images)


def test_what_a_model_gets_of_a_batch() -> None:
    levels = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1)
    labels, heights = torch.arange(3), torch.ones(3, dtype=torch.float64)
    tokens = torch.ones(3, 2, dtype=torch.uint8)
    batch = as_model_input((levels, levels[:, None], labels, heights, tokens), torch.float32)
    assert torch.equal(batch[0].flatten(), torch.tensor([0, 0.2, 1.0]))
    assert torch.equal(batch[1].flatten(), batch[0].flatten())
    assert [tensor.dtype for tensor in batch[2:]] == [torch.int64, torch.float32, torch.uint8]
    assert as_model_input((levels,), torch.float64)[0].dtype == torch.float64


def test_values_are_looked_at_on_any_device_when_asked() -> None:
    checks.pixel_range("images", torch.tensor([-1e-6, 1 + 1e-6]))
    checks.pixel_range("images", torch.empty(0))
    with pytest.raises(ValueError, match=r"got values from 0 to 255; use images / 255"):
        checks.pixel_range("images", torch.tensor([0.0, 255.0]))
    with pytest.raises(RuntimeError, match="meta"):  # it has no values, and was looked at
        checks.pixel_range("images", torch.empty(2, device="meta"))


def test_to_uint8_takes_nothing_but_floats_in_range() -> None:
    with pytest.raises(TypeError, match="got uint8; leave"):
        to_uint8(torch.tensor([3], dtype=torch.uint8))
    with pytest.raises(ValueError, match="got values from 0 to 255"):
        to_uint8(torch.tensor([0.0, 255.0]))
