"""What a volume holds and in which order, from `_toc.yml`, `_config.yml` and `CITATION.cff`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from sphinx_external_toc.parsing import FileItem, parse_toc_yaml


@dataclass(frozen=True)
class Entry:
    """A page of the book.

    Attributes:
        name: its path without extension, as `book/vae/elbo`.
        part: the caption of its part; empty for the landing page.
        depth: 0 for a chapter, 1 for a page below a chapter, and so on.
    """

    name: str
    part: str
    depth: int

    @property
    def slug(self) -> str:
        """What its anchors and its file in the EPUB are called: `vae-elbo`."""
        return self.name.removeprefix("book/").replace("/", "-")


def entries(root: Path) -> list[Entry]:
    """All pages in reading order."""
    toc = parse_toc_yaml(root / "_toc.yml")
    found = [Entry(toc.root.docname, "", 0)]

    def add(name: str, part: str, depth: int) -> None:
        found.append(Entry(name, part, depth))
        for tree in toc[name].subtrees:
            for item in tree.items:
                if isinstance(item, FileItem):
                    add(str(item), part, depth + 1)

    part = ""
    for tree in toc.root.subtrees:
        part = tree.caption or part  # a part without a caption goes on with the one before
        for item in tree.items:
            if isinstance(item, FileItem):
                add(str(item), part, 0)
    return found


@dataclass(frozen=True)
class Imprint:
    """What a title page says, and where the book lives."""

    root: Path

    @cached_property
    def _citation(self) -> dict[str, Any]:
        return yaml.safe_load((self.root / "CITATION.cff").read_text("utf-8"))

    @cached_property
    def config(self) -> dict[str, Any]:
        """`_config.yml` as it stands."""
        return yaml.safe_load((self.root / "_config.yml").read_text("utf-8"))

    @property
    def title(self) -> str:
        return str(self.config["title"])

    @property
    def subtitle(self) -> str:
        """What the citation's title has after the colon, with a capital."""
        rest = str(self._citation["title"]).partition(":")[2].strip()
        return rest[:1].upper() + rest[1:]

    @property
    def author(self) -> str:
        return str(self.config["author"])

    @property
    def year(self) -> str:
        return str(self.config["copyright"])

    @property
    def version(self) -> str:
        return str(self._citation["version"])

    @property
    def released(self) -> str:
        """The day of the release, as `2026-11-25`."""
        return str(self._citation["date-released"])

    @property
    def abstract(self) -> str:
        return " ".join(str(self._citation["abstract"]).split())

    @property
    def keywords(self) -> list[str]:
        return list(self._citation["keywords"])

    @property
    def repository(self) -> str:
        return str(self._citation["repository-code"])

    @property
    def source(self) -> str:
        """The address under which the repository shows its files."""
        options = self.config["sphinx"]["config"]["html_theme_options"]
        return f"{options['repository_url']}/blob/{options['repository_branch']}"

    @property
    def mathjax(self) -> dict[str, Any]:
        """The settings of MathJax's TeX input, the macros of the book among them."""
        return dict(self.config["sphinx"]["config"]["mathjax3_config"]["tex"])
