"""How many minutes a page takes to read, counted from its source.

Prose is read at 200 words a minute; a displayed formula takes a quarter of a minute, a line of
code in plain sight three seconds. Folded cells, *Exercises*, *Solutions* and *Further reading* do
not count: they are opened by choice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from book._tools.measure import FOLDED, lines_of, words_in

SECONDS = {"prose": 60 / 200, "code": 3.0, "formula": 15.0}  # a word, a line, a formula
BY_CHOICE = re.compile(r"exercises?|solutions?|further reading", re.IGNORECASE)


def minutes(path: Path, until: str | None = None) -> int:
    """The minutes that a page takes, at least one.

    Args:
        path: A notebook or a Markdown file.
        until: The title of the last section that is read; without it the page is read to its end.

    Raises:
        ValueError: If no section has this title.
    """
    seconds = _sections(path)
    if until is not None and until not in seconds:
        raise ValueError(
            f"{path.name} has no section {until!r}, expected one of {', '.join(seconds)}; "
            "use the title as it stands in the page's source"
        )
    total = 0.0
    for title, section in seconds.items():
        total += 0 if BY_CHOICE.match(title) else section
        if title == until:
            break
    return max(1, round(total / 60))


@cache
def _sections(path: Path) -> dict[str, float]:
    """The seconds of each section, by the title of its heading (``#`` or ``##``)."""
    found: dict[str, float] = {}
    title = ""
    for kind, line in _lines(path):
        if kind == "prose" and (heading := re.match(r"##? +(.+)", line)):
            title = heading[1].strip()
        count = words_in(line) if kind == "prose" else 1
        found[title] = found.get(title, 0.0) + SECONDS[kind] * count
    return found


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """What is read, line by line, with its kind: "prose", "code" or "formula"."""
    text = path.read_text("utf-8")
    if path.suffix != ".ipynb":
        yield from lines_of(text)
        return
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield from lines_of(source)
        elif not FOLDED & {*cell["metadata"].get("tags", ())}:
            yield from (("code", line) for line in source.splitlines() if line.strip())
