"""One progress bar for terminals and notebooks."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm.std import tqdm


def progress_bar(iterable: Iterable[Any] | None = None, **options: Any) -> tqdm:
    """A tqdm bar: on standard error in a terminal, in a display of its own in a notebook.

    In a notebook the bar leaves nothing behind when it closes, so that a stored output does not
    depend on how fast the machine was. A program without a standard error, such as a daemon,
    gets no bar.
    """
    if _in_notebook() and "file" not in options and not options.get("disable"):
        options |= {"file": _NotebookDisplay(), "ascii": False, "ncols": 90}
        return tqdm(iterable, leave=False, **options)
    if "file" not in options and not has_stderr():
        options["disable"] = True
    return tqdm(iterable, leave=False, dynamic_ncols=True, **options)


def has_stderr() -> bool:
    """Whether there is a standard error to write to: a daemon, or pythonw, has none."""
    return sys.stderr is not None and not sys.stderr.closed


def _in_notebook() -> bool:
    """Whether this process is a kernel, which the mere presence of ipykernel does not say."""
    if "ipykernel" not in sys.modules:
        return False
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")


class _NotebookDisplay:
    """A text file as tqdm wants it, shown as one line that is rewritten in place."""

    def __init__(self) -> None:
        from IPython.display import display

        self.handle = display({}, raw=True, display_id=True)

    def write(self, text: str) -> None:
        line = text.strip("\r\n ")
        self.handle.update({"text/plain": line} if line else {}, raw=True)

    def flush(self) -> None:
        pass
