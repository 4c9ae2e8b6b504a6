"""Reading minutes on the pages, counted by `book._ext.reading`.

- Under its title each chapter says how long it is to read, and how long its notebook runs.
- ``{minutes}`` is a role: the minutes of a page (``dcgan``) or of a folder's chapters (``gan/``).
- ``{reading-path}`` is a table of pages with their minutes and the sum. Each line of it is a page,
  read to its end, or ``page | title of the last section that is read``.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import docname_join
from sphinx.util.docutils import SphinxRole

from book._ext.book_site import GeneratedMarkdown, table
from book._ext.reading import minutes
from book._tools import ROOT, name_of, notebooks

TIMES = ROOT / "book" / "reference" / "times.json"


def spoken(count: int) -> str:
    """``1 minute``, ``53 minutes``, ``3 h 5 min``."""
    if count < 100:
        return f"{count} minute{'s' * (count != 1)}"
    return f"{count // 60} h {count % 60} min"


class Minutes(SphinxRole):
    """The minutes of a page, or of all chapters of a folder, in words."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        target = docname_join(self.env.docname, self.text)
        folder = ROOT / target
        if folder.is_dir():
            pages = [path for path in notebooks() if path.parent == folder]
        else:
            pages = [Path(self.env.doc2path(target))]
        try:
            total = sum(map(minutes, pages))
        except OSError:
            message = self.inliner.reporter.error(
                f"minutes: there is no page {target!r}; name it as in {{doc}}", line=self.lineno
            )
            return [], [message]
        for path in pages:
            self.env.note_dependency(str(path))
        return [nodes.inline("", spoken(total), classes=["minutes"])], []


class ReadingPath(GeneratedMarkdown):
    """Pages in the order in which they are read, with the minutes of each and of all."""

    has_content = True

    def markdown(self) -> str:
        rows, total = [], 0
        for line in self.content:
            page, _, title = (part.strip() for part in line.partition("|"))
            path = Path(self.env.doc2path(docname_join(self.env.docname, page)))
            self.env.note_dependency(str(path))
            count = minutes(path, until=title or None)
            total += count
            part = f"to the end of *{title}*" if title else "all of it"
            rows.append([f"{{doc}}`{page}`", part, str(count)])
        rows.append(["**together**", "", f"**{total}**"])
        return table(["page", "read", "minutes"], rows)


@cache
def seconds() -> dict[str, float]:
    """How long each notebook runs, as measured."""
    measured = json.loads(TIMES.read_text("utf-8"))["notebooks"]
    return {name: entry["seconds"] for name, entry in measured.items()}


def mark(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Write the minutes of a chapter under its title."""
    path = Path(app.env.doc2path(page)) if doctree else None
    if not path or path.suffix != ".ipynb":
        return
    said = f"{spoken(minutes(path))} to read"
    if runs := seconds().get(name_of(path)):
        said += f" · the notebook runs in {runs:.0f} seconds"
    line = f'</h1>\n<p class="reading-time">{said}</p>'
    context["body"] = context["body"].replace("</h1>", line, 1)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_role("minutes", Minutes())
    app.add_directive("reading-path", ReadingPath)
    app.connect("html-page-context", mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
