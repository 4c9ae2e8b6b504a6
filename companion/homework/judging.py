"""What an answer gave is compared with the truth, and with the famous wrong answers."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from companion.homework.question import Inputs, Question, Result
from companion.homework.running import Failure, run

UNKNOWN = "it is none of the known mistakes, so compare each term with the formula"
SITE = "https://images-from-noise.github.io/images-from-noise/book/"


def draws(question: Question, seed: int, count: int) -> list[Inputs]:
    """Random inputs for one question, the same for the same seed."""
    rng = torch.Generator().manual_seed(seed)
    return [question.inputs(rng) for _ in range(count)]


def judge(
    question: Question,
    inputs: Sequence[Inputs],
    outputs: Sequence[Result | Failure],
    *,
    seed: int = 0,
    others: Sequence[tuple[int, Question]] = (),
) -> str | None:
    """What is wrong with an answer, in one sentence without its subject, or None if it is right.

    Args:
        inputs: as from :func:`draws` with ``seed``.
        outputs: what :func:`companion.homework.running.run` gave for each of them.
        others: the same question of other variants, by their numbers, whose answers are told apart.
    """
    for output in outputs:
        if isinstance(output, Failure):
            return output.says
    results = [x for x in outputs if not isinstance(x, Failure)]
    truths = [_wide(question.reference(*x)) for x in inputs]
    differ = [
        i
        for i, (got, truth) in enumerate(zip(results, truths, strict=True))
        if not _close(got, truth, question.tolerance)
    ]
    if not differ:
        return None
    for wrong in question.wrong.values():
        theirs = [run(question.name, wrong.answer, inputs[i], question.call) for i in differ]
        if all(
            not isinstance(x, Failure) and _close(results[i], x, question.tolerance)
            for i, x in zip(differ, theirs, strict=True)
        ):
            return f"{wrong.says}; see {link(wrong.see)}"
    for variant, other in others:
        if _agrees(other, [inputs[i] for i in differ], [results[i] for i in differ]):
            return f"is the answer of variant {variant}; take the numbers of your own notebook"
    first = differ[0]
    parts = getattr(question.call, "gives", ())
    says = _difference(results[first], truths[first], question.tolerance, f"seed {seed}", parts)
    how = _factor([(results[i], truths[i]) for i in differ], question.tolerance)
    return says.replace(UNKNOWN, how) if how else says


def link(see: str) -> str:
    """The address of a place in the book: an equation's label has a prefix in its address."""
    page, _, label = see.partition("#")
    anchor = f"equation-{label}" if label.startswith("eq-") else label
    return f"{SITE}{page}.html#{anchor}" if label else f"{SITE}{page}.html"


def _agrees(question: Question, inputs: Sequence[Inputs], results: Sequence[Result]) -> bool:
    try:
        return all(
            _close(got, _wide(question.reference(*x)), question.tolerance)
            for x, got in zip(inputs, results, strict=True)
        )
    except (RuntimeError, ValueError, IndexError):  # another variant's shapes
        return False


def _factor(pairs: Sequence[tuple[Result, Result]], tolerance: float) -> str:
    """The one factor or summand by which all numbers differ from the right ones, in words."""
    firsts = [[x[0] if isinstance(x, tuple) else x for x in pair] for pair in pairs]
    if any(got.shape != truth.shape for got, truth in firsts):
        return ""
    got, truth = (
        torch.cat([x.double().flatten() for x in side]) for side in zip(*firsts, strict=True)
    )
    if len(got) < 2 or not torch.isfinite(got).all() or _near(got, truth, tolerance).all():
        return ""
    factor = got.dot(truth) / truth.dot(truth)
    if factor and _near(got / factor, truth, tolerance).all():
        return f"every number is {float(factor):.4g} times the right one"
    more = (got - truth).mean()
    if _near(got - more, truth, tolerance).all():
        word = "more" if more > 0 else "less"
        return f"every number is {abs(float(more)):.4g} {word} than the right one"
    return ""


def _difference(
    got: Any, truth: Any, tolerance: float, where: str, parts: Sequence[str] = ()
) -> str:
    """In what the two differ: kind, length, shape, dtype, or numbers; the parts may have names."""
    if isinstance(truth, tuple):
        if not isinstance(got, tuple):
            return f"must return {len(truth)} tensors, got one; return them as a tuple, in order"
        if len(got) != len(truth):
            return f"must return {len(truth)} tensors, got {len(got)}; return them in order"
        for i, (a, b) in enumerate(zip(got, truth, strict=True), 1):
            if not _close(a, b, tolerance):
                part = parts[i - 1] if parts else f"result {i} of {len(truth)}"
                return f"in {part}: {_difference(a, b, tolerance, where)}"
    if isinstance(got, tuple):
        return f"must return one tensor, got a tuple of {len(got)}; return the result alone"
    if got.shape != truth.shape:
        if sorted(got.shape) == sorted(truth.shape):
            return (
                f"must return shape {tuple(truth.shape)}, got {tuple(got.shape)}; the dimensions "
                "stand in another order"
            )
        return (
            f"must return shape {tuple(truth.shape)}, got {tuple(got.shape)}; "
            "look at which dimensions are summed or averaged, and whether one of size 1 is left"
        )
    kind = str(got.dtype).removeprefix("torch.")
    if truth.is_floating_point() and not got.is_floating_point():
        return f"must return floats, got {kind}; compute with the inputs' floats throughout"
    if got.is_floating_point() and not truth.is_floating_point():
        return f"must return integers, got {kind}; compute with integers throughout"
    if not torch.isfinite(got).all() and torch.isfinite(truth).all():
        return (
            "gives NaN or infinity where the right value is finite; look for a logarithm of zero, "
            "a division by zero or an exponential that overflows"
        )
    row = int((~_near(got, truth, tolerance)).reshape(-1).nonzero()[0])
    place = "" if got.ndim == 0 else f" at place {_index(row, tuple(got.shape))}"
    return (
        f"gives {float(got.reshape(-1)[row]):.6g}, expected {float(truth.reshape(-1)[row]):.6g}"
        f"{place} for a random input ({where}); {UNKNOWN}"
    )


def _index(flat: int, shape: tuple[int, ...]) -> str:
    index = []
    for size in reversed(shape):
        flat, here = divmod(flat, size)
        index.append(here)
    return str(index[::-1])


def _close(got: Result, truth: Result, tolerance: float) -> bool:
    if isinstance(got, tuple) or isinstance(truth, tuple):
        return (
            isinstance(got, tuple)
            and isinstance(truth, tuple)
            and len(got) == len(truth)
            and all(_close(a, b, tolerance) for a, b in zip(got, truth, strict=True))
        )
    if got.shape != truth.shape or got.is_floating_point() != truth.is_floating_point():
        return False
    return bool(_near(got, truth, tolerance).all())


def _near(got: Tensor, truth: Tensor, tolerance: float) -> Tensor:
    return torch.isclose(got.double(), truth.double(), rtol=tolerance, atol=tolerance)


def _wide(truth: Any) -> Result:
    return tuple(t.detach() for t in truth) if isinstance(truth, tuple | list) else truth.detach()
