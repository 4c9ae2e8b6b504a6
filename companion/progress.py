"""One progress bar for terminals and notebooks."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm.std import tqdm


def progress_bar(iterable: Iterable[Any] | None = None, **options: Any) -> tqdm:
    """A tqdm bar: on standard error in a terminal, in a display of its own in a notebook.

    In a notebook the bar leaves nothing behind when it closes, so that a stored output does not
    depend on how fast the machine was.
    """
    if "ipykernel" in sys.modules and "file" not in options:
        return tqdm(iterable, file=_NotebookDisplay(), leave=False, ascii=False, ncols=90, **options)
    return tqdm(iterable, leave=False, dynamic_ncols=True, **options)


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
