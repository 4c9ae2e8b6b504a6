r"""Sequences that test a memory, and nothing else: what is asked for lies far back.

A sequence of T steps with d numbers each is an image of T rows and d columns, shape
``(1, T, d)``, with values in [0, 1]; whatever trains on images trains on it.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from companion import checks, noise


def adding_problem(
    n: int, length: int, *, rng: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    r"""Add the two numbers that are marked, among many that are not.

    Step :math:`t` shows a number :math:`v_t \sim U[0, 1]` and a mark :math:`m_t`, which is 1 at
    one random step of the first half and at one of the second half, and 0 elsewhere:

    .. math:: x_t = (v_t, m_t), \qquad y = \sum_{t=1}^{T} m_t\, v_t

    **Chance.** The best answer that does not look at the sequence is :math:`\mathbb{E}[y] = 1`.
    Its mean squared error is the variance of the sum of two independent numbers from
    :math:`U[0, 1]`, each of variance :math:`\mathbb{E}[v^2] - \mathbb{E}[v]^2`, which is
    :math:`1/3 - 1/4 = 1/12`, so it is :math:`1/6 \approx 0.1667`.

    Args:
        n: how many sequences.
        length: steps of each, T, at least 2.
        rng: the generator to draw from; torch's default generator if it is not given.

    Returns:
        Sequences ``(n, 1, T, 2)`` in [0, 1], and the sums ``(n,)``.

    Raises:
        ValueError: if there is no sequence, or too few steps for two marks.

    Source: Hochreiter and Schmidhuber (1997), section 5.4, in the form of Arjovsky, Shah and
    Bengio (2016), section 5.2; they mark with -1 and 1, and the sums are scaled in the former.
    """
    checks.integer("n", n)
    checks.integer("length", length, least=2)
    like = torch.empty((), device=noise.home(rng))
    values = noise.uniform(n, length, like=like, rng=rng)
    half = length // 2
    first = noise.integers(half, n, 1, like=like, rng=rng)
    second = half + noise.integers(length - half, n, 1, like=like, rng=rng)
    marks = torch.zeros_like(values).scatter_(1, torch.cat([first, second], dim=1), 1.0)
    return torch.stack([values, marks], dim=2)[:, None], (values * marks).sum(dim=1)


def copy_task(
    n: int,
    delay: int,
    *,
    count: int = 10,
    symbols: int = 8,
    rng: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Remember some symbols through a delay, then say them again.

    With S symbols (``count``) from an alphabet of K (``symbols``) and the delay T, a sequence has
    T + 2S steps: the S symbols, T - 1 blanks, one mark that asks for the answer, S blanks. The
    right answer is a blank at each of the first T + S steps, then the S symbols in their order.
    The chance level is :func:`copy_chance`.

    Args:
        n: how many sequences.
        delay: T, at least 1.
        count: symbols to be remembered, S.
        symbols: of the alphabet, K; the blank has the index K, the mark K + 1.
        rng: the generator to draw from; torch's default generator if it is not given.

    Returns:
        Sequences ``(n, 1, T + 2S, K + 2)``, each step the indicator of what it shows, and the
        answers, ``int64`` in 0 ... K, of shape ``(n, T + 2S)``.

    Raises:
        ValueError: if an argument is too small.

    Source: Hochreiter and Schmidhuber (1997), section 5, for the idea; Arjovsky, Shah and Bengio
    (2016), section 5.1, for this form of it.
    """
    checks.integer("n", n)
    _check_copy(delay, count, symbols)
    like = torch.empty((), device=noise.home(rng))
    blank, mark = symbols, symbols + 1
    words = noise.integers(symbols, n, count, like=like, rng=rng)
    shown = torch.full((n, delay + 2 * count), blank, device=like.device)
    answers = shown.clone()
    shown[:, :count] = words
    shown[:, count + delay - 1] = mark
    answers[:, -count:] = words
    return F.one_hot(shown, symbols + 2).float()[:, None], answers


def copy_chance(delay: int, *, count: int = 10, symbols: int = 8) -> float:
    r"""The cross-entropy per step of the copy task without a memory, in nats.

    It takes no memory to know *when* symbols are asked for, only which ones. Blanks then cost
    nothing and each of S symbols, uniform on K, costs :math:`\ln K`; over T + 2S steps

    .. math:: \frac{S \ln K}{T + 2S} = \frac{10 \ln 8}{T + 20}

    with ten of eight symbols.

    Args:
        delay, count, symbols: as for :func:`copy_task`.

    Raises:
        ValueError: if an argument is too small.

    Source: Arjovsky, Shah and Bengio (2016), section 5.1.
    """
    _check_copy(delay, count, symbols)
    return count * math.log(symbols) / (delay + 2 * count)


def _check_copy(delay: int, count: int, symbols: int) -> None:
    checks.integer("delay", delay)
    checks.integer("count", count)
    checks.integer("symbols", symbols, least=2)
