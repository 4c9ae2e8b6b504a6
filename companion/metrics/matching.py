"""Codes that were learned without labels, held against labels."""

import torch
from torch import Tensor


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
    pairs = codes.long() * size + labels.long()
    if min(codes.min(), labels.min()) < 0 or max(codes.max(), labels.max()) >= size:
        raise ValueError(f"codes and labels must be 0 ... {size - 1}; raise `size` to have more")
    return torch.bincount(pairs, minlength=size * size).view(size, size)


def best_matching(counts: Tensor) -> Tensor:
    r"""The one-to-one matching of rows to columns with the largest sum of counts.

    .. math:: \pi^\ast = \operatorname{argmax}_\pi \sum_i n_{i, \pi(i)}

    over all permutations :math:`\pi`. It is found exactly, by dynamic programming over the sets
    of columns that the first rows have taken: :math:`2^K K` steps instead of :math:`K!`.

    Args:
        counts: ``(K, K)`` with K at most 16, as from `contingency`.

    Returns:
        ``(K,)`` int64, the column of each row.

    Raises:
        ValueError: if the counts are not square, or K is above 16.
    """
    size = len(counts)
    if counts.shape != (size, size) or size > 16:
        raise ValueError(
            f"counts must be square with at most 16 rows, got {tuple(counts.shape)}; "
            "use scipy.optimize.linear_sum_assignment for more"
        )
    # From the set of taken columns, as bits, to the best sum and the columns in the rows' order.
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    for row in counts.tolist():
        longer: dict[int, tuple[float, tuple[int, ...]]] = {}
        for taken, (total, columns) in best.items():
            for column, count in enumerate(row):
                key = taken | 1 << column
                if key != taken and total + count > longer.get(key, (-torch.inf, ()))[0]:
                    longer[key] = total + count, (*columns, column)
        best = longer
    ((_, columns),) = best.values()
    return torch.tensor(columns)


def mutual_information(counts: Tensor) -> float:
    r"""Of rows and columns, in nats, with the counts' shares as probabilities.

    .. math:: I = \sum_{ij} p_{ij} \log \frac{p_{ij}}{p_i\, p_j}

    It is 0 if rows and columns are independent and needs no matching.
    """
    joint = counts.double() / counts.sum()
    independent = joint.sum(dim=1, keepdim=True) * joint.sum(dim=0, keepdim=True)
    met = joint > 0
    return (joint[met] * (joint[met] / independent[met]).log()).sum().item()
