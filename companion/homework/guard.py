"""While an answer runs, the functions that it is asked to write refuse to be called.

A function's code object is exchanged, so aliases that were taken before refuse, too. This deters;
it does not lock: whoever reads the source file again, or the checker's memory, gets around it. The
grader (:mod:`companion.homework.grading`) runs answers where there is nothing to be found.
"""

import contextlib
import importlib
import sys
from collections.abc import Iterable, Iterator
from types import FunctionType
from typing import Any, NoReturn

ASSIGNMENTS = ["companion", "homework", "assignments"]


class RefusedError(Exception):
    """A function was called that the student is asked to write."""


class RefusedAccessError(RefusedError, PermissionError):
    """The system was asked for what a graded answer does not get; libraries can do without it."""


def refuse(dotted: str) -> NoReturn:
    """Called in the place of a banned function."""
    raise RefusedError(
        f"calls {dotted}, which does what you are asked to write; compute it yourself from "
        "elementary functions of torch"
    )


@contextlib.contextmanager
def guard(banned: Iterable[str]) -> Iterator[None]:
    """Within it the named functions, methods and classes refuse, whatever name they go by.

    Raises:
        ImportError, AttributeError: a name does not exist.
    """
    found = {dotted: find(dotted) for dotted in banned}
    with contextlib.ExitStack() as undo:
        for dotted, (holder, attribute, thing) in found.items():
            if isinstance(thing, FunctionType):
                undo.callback(setattr, thing, "__code__", thing.__code__)
                thing.__code__ = _refusal(dotted, thing.__code__.co_freevars)
            elif isinstance(thing, type) and "__init__" in vars(thing):
                init = thing.__init__  # type: ignore[misc]
                undo.callback(setattr, init, "__code__", init.__code__)
                init.__code__ = _refusal(dotted, init.__code__.co_freevars)
            else:  # a builtin, or a class without a constructor of its own
                _exchange(holder, attribute, thing, dotted, undo)
        undo.enter_context(_no_second_import({find_module(dotted) for dotted in found}))
        yield


def find(dotted: str) -> tuple[Any, str, Any]:
    """What holds a name, the last part of the name, and what it stands for."""
    module = find_module(dotted)
    *path, attribute = dotted.removeprefix(module + ".").split(".")
    holder: Any = sys.modules[module]
    for step in path:
        holder = getattr(holder, step)
    return holder, attribute, getattr(holder, attribute)


def find_module(dotted: str) -> str:
    """The module in which a dotted name stands: its longest part that can be imported."""
    parts = dotted.split(".")
    for end in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:end])
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
            return name
    raise ImportError(f"there is no module in which {dotted} could stand")


def _refusal(dotted: str, free: tuple[str, ...]) -> Any:
    """A code object that refuses, with the free variables of the one whose place it takes."""
    lines = [
        "def outer():",
        *(f"    {name} = None" for name in free),
        "    def refusal(*args, **kwargs):",
        f"        from {__name__} import refuse",
        f"        refuse({dotted!r})",
        *(f"        {name}" for name in free),
        "    return refusal",
    ]
    space: dict[str, Any] = {}
    exec("\n".join(lines), space)
    return space["outer"]().__code__


def _exchange(
    holder: Any, attribute: str, thing: Any, dotted: str, undo: contextlib.ExitStack
) -> None:
    """Put a refusal in all places where a module, or the holder, keeps the thing."""

    def refusal(*args: Any, **kwargs: Any) -> NoReturn:
        refuse(dotted)

    places = [(holder, attribute)]
    for module in list(sys.modules.values()):
        names = [k for k, v in list(getattr(module, "__dict__", {}).items()) if v is thing]
        places += [(module, name) for name in names if (module, name) != (holder, attribute)]
    for place, name in places:
        with contextlib.suppress(AttributeError, TypeError):  # a module that cannot be changed
            setattr(place, name, refusal)
            undo.callback(setattr, place, name, thing)


def _has_answers(module: str) -> bool:
    """Whether a module is one of an assignment's, but not the one that says how to call."""
    parts = module.split(".")
    return parts[:3] == ASSIGNMENTS and len(parts) > 4 and parts[-1] != "calls"


class _Refuser:
    """Stands first among the importers, and does not import certain modules once more."""

    def __init__(self, modules: set[str]):
        self.modules = modules

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name in self.modules or _has_answers(name):
            refuse(name)


@contextlib.contextmanager
def _no_second_import(modules: set[str]) -> Iterator[None]:
    """Banned modules are not loaded again, and those with answers not at all."""
    refuser = _Refuser(modules)
    answers = {name: sys.modules.pop(name) for name in list(sys.modules) if _has_answers(name)}
    sys.meta_path.insert(0, refuser)  # type: ignore[arg-type]
    try:
        yield
    finally:
        sys.meta_path.remove(refuser)  # type: ignore[arg-type]
        sys.modules.update(answers)
