"""The type in which figures are computed."""

from torch import Tensor


def double(x: Tensor) -> Tensor:
    """In float64: on the tensor's own device, or on the CPU if that is an MPS, which has none."""
    return (x.cpu() if x.device.type == "mps" else x).double()
