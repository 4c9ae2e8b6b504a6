"""Two lists of the package's reference, made from the package itself.

- ``{api-names}`` links every documented name to its page. It carries their anchors, too: an
  address such as ``api.html#companion.data.fashion_mnist``, of the time when the reference was one
  page, leads to the name and so to the page.
- ``{companion-commands}`` is a table of the commands and what each is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

from book._ext.book_site import GeneratedMarkdown, table


class Names(nodes.General, nodes.Element):
    """Where the list of names will stand, once all pages are read."""


class ApiNames(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        return [Names()]


def list_names(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put one list for each page of the reference in the place of ``Names``."""
    for place in doctree.findall(Names):
        found: list[nodes.Node] = []
        for target in _in_order(app, page):
            entries = _entries(app, target)
            if entries:
                title = nodes.paragraph("", "", classes=["api-names-title"])
                title += make_refnode(
                    app.builder, page, target, "", nodes.Text(app.env.titles[target].astext())
                )
                found += [title, _list(app, page, target, entries)]
        place.replace_self(found)


def _in_order(app: Sphinx, page: str) -> list[str]:
    """The pages below a page, as its table of contents has them."""
    return [name for name in app.env.toctree_includes.get(page, ()) if name in app.env.titles]


def _entries(app: Sphinx, page: str) -> dict[str, list[str]]:
    """Each function, class and constant of a page, with the names of its members."""
    objects = app.env.get_domain("py").objects  # type: ignore[attr-defined]
    here = sorted(
        name
        for name, entry in objects.items()
        if entry.docname == page and entry.objtype != "module" and not entry.aliased
    )
    members = {name: name.rpartition(".")[0] for name in here}
    top = {name: [] for name in here if members[name] not in members}  # type: dict[str, list[str]]
    for name, owner in members.items():
        if owner in top:
            top[owner].append(name)
    return top


def _list(app: Sphinx, page: str, target: str, entries: dict[str, list[str]]) -> nodes.bullet_list:
    items = nodes.bullet_list(classes=["api-names"])
    for name, members in entries.items():
        shown = nodes.literal("", name.removeprefix("companion."))
        link = make_refnode(app.builder, page, target, name, shown, name)
        items += nodes.list_item("", nodes.paragraph("", "", link), ids=[name, *members])
    return items


class Commands(GeneratedMarkdown):
    """The commands of `companion`, from their own help."""

    def markdown(self) -> str:
        from companion.cli import app

        rows = [
            [f"`{name}`", (command.help or "").split("\n")[0].replace("|", "\\|")]
            for name, command in _commands("companion", typer.main.get_command(app))
        ]
        return table(["command", "what it does"], rows)


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Each command with its arguments. (Typer has its own copy of Click, of no public type.)"""
    if hasattr(command, "commands"):
        for part, inner in command.commands.items():
            yield from _commands(f"{name} {part}", inner)
    else:
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        given = [argument.metavar or argument.name.upper() for argument in arguments]
        yield " ".join([name, *given]).replace("|", " or "), command


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_node(Names)
    app.add_directive("api-names", ApiNames)
    app.add_directive("companion-commands", Commands)
    app.connect("doctree-resolved", list_names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
