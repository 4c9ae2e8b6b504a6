"""Nats per image to bits per dimension."""

import math

import pytest
import torch

from companion.likelihoods import bits_per_dimension


def test_uniform_pixels_cost_8_bits() -> None:
    assert bits_per_dimension(torch.tensor(-784 * math.log(256)), 784).item() == pytest.approx(8)


def test_one_bit_per_dimension_on_fashion_mnist_is_543_nats() -> None:
    log_prob = torch.tensor([-543.4, -2 * 543.4], dtype=torch.float64)
    bits = bits_per_dimension(log_prob, 784)
    torch.testing.assert_close(bits, torch.tensor([1.0, 2.0]).double(), rtol=1e-4, atol=0)
