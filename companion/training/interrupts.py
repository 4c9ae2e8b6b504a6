"""Ctrl-C and its relatives, put off until a step is whole."""

import signal
import threading
from types import FrameType
from typing import Self

# What ends a run: Ctrl-C, the stop of a container or a cluster's job, a closed terminal.
SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class Interrupts:
    """A context in which a signal that ends the run is noted, and heard between two steps.

    Half a step, such as a discriminator's without the generator's, could not be resumed. A second
    signal is not put off. Handlers that are not Python's own (an editor's, a notebook's) stay.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
                if signal.getsignal(number) is usual:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number

    @property
    def exit_code(self) -> int | None:
        """What the process should end with, if it was asked to end and not only to stop."""
        asked = self.received is not None and self.received != signal.SIGINT
        return 128 + self.received if asked and self.received else None
