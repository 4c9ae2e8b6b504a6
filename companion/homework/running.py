"""An answer is run on the inputs of a question; the truth is nowhere near.

This module runs in the student's notebook and in the grader's child process.
"""

import functools
import inspect
import linecache
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from companion.homework.guard import RefusedError
from companion.homework.question import Inputs, Result

NOISE = 20  # the seed of torch's own generator while an answer runs
NEW_TENSORS = (
    "in place; compute new tensors, without operations such as x += 1, x[...] = 0 or x.add_(1)"
)


@dataclass(frozen=True)
class Failure:
    """An answer gave no tensors at all: why, as the end of a sentence that starts with its name."""

    says: str


class UnusableError(Exception):
    """What an answer gave cannot be judged; the message is for the student."""


def run(
    name: str, answer: Any, inputs: Inputs, call: Callable[..., Any] | None = None
) -> Result | Failure:
    """What an answer gives for these inputs: tensors on the CPU without gradient, or a failure."""
    if answer is None or answer is ...:
        return Failure(f"there is no answer yet; write the function {name}")
    if not callable(answer):
        return Failure(f"must be a function, got {type(answer).__name__}; write def {name}(...)")
    given = tuple(_copy(x) for x in inputs)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(NOISE)
            got = answer(*given) if call is None else call(answer, *given)
        _unchanged(inputs, given)
        return _results(got)
    except NotImplementedError:
        return Failure(f"there is no answer yet; write the function {name}")
    except RefusedError as refusal:
        return Failure(str(refusal))
    except UnusableError as complaint:
        return Failure(str(complaint))
    except Exception as error:
        return Failure(_told(name, answer, error))


def gives(*parts: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Names what a ``call`` makes of the one result of an answer, for the sentences."""

    def named(call: Callable[..., Any]) -> Callable[..., Any]:
        setattr(call, "gives", parts)  # noqa: B010
        return call

    return named


def tensor(got: Any) -> Tensor:
    """A single result as it is judged.

    Raises:
        UnusableError: it is no ordinary tensor.
    """
    if got is None:
        raise UnusableError("returned None; write return before the result")
    if isinstance(got, tuple | list):
        raise UnusableError(
            f"must return one tensor, got a {type(got).__name__} of {len(got)}; return the result "
            "alone"
        )
    if not isinstance(got, Tensor):
        raise UnusableError(
            f"must return a tensor, got {type(got).__name__}; leave out item(), tolist(), numpy() "
            "and float(), and compute with torch"
        )
    if got.layout != torch.strided or got.device.type == "meta" or got.is_complex():
        raise UnusableError(
            "must return an ordinary tensor of real numbers, got one that is sparse, complex or "
            "without data; leave out what makes it so"
        )
    return got.detach().cpu()


def _results(got: Any) -> Result:
    if isinstance(got, tuple) or (
        isinstance(got, list) and any(isinstance(x, Tensor) for x in got)
    ):
        return tuple(map(tensor, got))
    if isinstance(got, list):
        raise UnusableError("must return a tensor, got a list of numbers; write torch.tensor(...)")
    return tensor(got)


def _told(name: str, answer: Any, error: Exception) -> str:
    """An exception in one sentence: its type, its message, and the line of the answer."""
    message = " ".join(str(error).split())[:300] or "no message"
    if isinstance(error, MemoryError) or "can't allocate memory" in message:
        return "asks for more memory than it gets; make no tensors or lists of that size"
    if "in-place operation" in message:  # torch's refusal to change what has a gradient
        return f"changes an argument {NEW_TENSORS}"
    code = _code(answer)
    frames = [
        (frame.f_code, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if code is not None and frame.f_code.co_filename == code.co_filename
    ]
    if not frames:
        if isinstance(error, TypeError):
            return f"cannot be called as asked ({message}); keep the line def {name}(...) as it was"
        return f"raises {type(error).__name__}: {message}"
    where, line = frames[-1]
    text = linecache.getline(where.co_filename, line).strip()
    quoted = f", `{text[:70]}`" if text else ""
    number = line - where.co_firstlineno + 1
    return f"raises {type(error).__name__} in line {number} of {where.co_name}{quoted}: {message}"


def _code(answer: Any) -> Any:
    """The code of an answer: a function, a part of one, a module, or what can be called."""
    if isinstance(answer, functools.partial):
        return _code(answer.func)
    if isinstance(answer, torch.nn.Module):
        answer = answer.forward
    elif not inspect.isroutine(answer):
        answer = getattr(answer, "__init__" if isinstance(answer, type) else "__call__")
    return getattr(inspect.unwrap(answer), "__code__", None)


def _copy(x: Any) -> Any:
    return x.clone() if isinstance(x, Tensor) else x


def _unchanged(inputs: Sequence[Any], given: Sequence[Any]) -> None:
    for number, (before, after) in enumerate(zip(inputs, given, strict=True), 1):
        if isinstance(before, Tensor) and not torch.equal(before, after.detach()):
            raise UnusableError(f"changes its argument number {number} {NEW_TENSORS}")
