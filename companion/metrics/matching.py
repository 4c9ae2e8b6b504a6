"""Codes that were learned without labels, held against labels."""

import torch
from torch import Tensor

from companion.metrics.precision import double


def contingency(codes: Tensor, labels: Tensor, size: int) -> Tensor:
    """How often each code meets each label: counts ``(size, size)``, codes down, labels across.

    Args:
        codes, labels: ``(N,)`` integers, 0 ... size - 1.

    Raises:
        ValueError: if there are not as many codes as labels, or one is out of range.
    """
    if codes.shape != labels.shape or codes.ndim != 1:
        raise ValueError(
            f"codes and labels must have one shape (N,), got {tuple(codes.shape)} and "
            f"{tuple(labels.shape)}; give a code and a label for each image"
        )
    labels = labels.to(codes.device)
    pairs = codes.long() * size + labels.long()
    if min(codes.min(), labels.min()) < 0 or max(codes.max(), labels.max()) >= size:
        raise ValueError(f"codes and labels must be 0 ... {size - 1}; raise `size` to have more")
    return torch.bincount(pairs, minlength=size * size).view(size, size)


def best_matching(counts: Tensor) -> Tensor:
    r"""The one-to-one matching of rows to columns with the largest sum of counts.

    .. math:: \pi^\ast = \operatorname{argmax}_\pi \sum_i n_{i, \pi(i)}

    over all permutations :math:`\pi`, found by the Hungarian method (Kuhn 1955).

    Args:
        counts: ``(K, K)``, as from `contingency`.

    Returns:
        ``(K,)`` int64, the column of each row.

    Raises:
        ValueError: if the counts are not square.
    """
    from scipy.optimize import linear_sum_assignment  # lazily: it takes a while to import

    if counts.ndim != 2 or len(counts) != counts.shape[1]:
        raise ValueError(
            f"counts must be square, got {tuple(counts.shape)}; use contingency(codes, labels, K)"
        )
    columns = linear_sum_assignment(counts.cpu(), maximize=True)[1]
    return torch.as_tensor(columns, device=counts.device)


def mutual_information(counts: Tensor) -> float:
    r"""Of rows and columns, in nats, with the counts' shares as probabilities.

    .. math:: I = \sum_{ij} p_{ij} \log \frac{p_{ij}}{p_i\, p_j}

    It is 0 if rows and columns are independent and needs no matching.
    """
    joint = double(counts) / counts.sum().item()
    independent = joint.sum(dim=1, keepdim=True) * joint.sum(dim=0, keepdim=True)
    met = joint > 0
    return (joint[met] * (joint[met] / independent[met]).log()).sum().item()
