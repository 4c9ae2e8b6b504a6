"""What a homework is made of: questions, and the famous wrong answers to each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Inputs = tuple[Any, ...]
Result = Tensor | tuple[Tensor, ...]


@dataclass(frozen=True)
class Wrong:
    """A wrong answer that is given so often that it deserves a sentence.

    Attributes:
        answer: the mistake as code; it takes the question's arguments.
        says: one sentence: what is wrong, why, and what is right.
        see: where the book explains it, ``page#label``, such as ``vae/vae#eq-vae-elbo``.
    """

    answer: Callable[..., Any]
    says: str
    see: str


@dataclass(frozen=True)
class Question:
    """One function that a student writes, and what is needed to judge it.

    Attributes:
        name: the function's name.
        points: what a right answer is worth.
        inputs: draws random arguments: tensors and numbers.
        reference: the right values of these arguments, computed in float64 and independently: by a
            closed form, by quadrature or by ``torch.distributions``, never by companion's function
            for the same thing.
        wrong: the famous wrong answers by name.
        banned: dotted names of functions that refuse while an answer runs.
        call: ``call(answer, *inputs)``, where an answer is not simply called with its inputs; a
            function of the homework's ``calls.py``.
        tolerance: relative and absolute.
    """

    name: str
    points: int
    inputs: Callable[[torch.Generator], Inputs]
    reference: Callable[..., Result]
    wrong: Mapping[str, Wrong]
    banned: tuple[str, ...] = ()
    call: Callable[..., Any] | None = None
    tolerance: float = 1e-4
