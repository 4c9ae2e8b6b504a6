"""What this book adds to Sphinx: MathJax from an installed package, and two pages from data.

- MathJax's TeX component and its fonts (1.6 MB) are copied from the PyPI package
  ``sphinx-mathjax-offline`` into the built site, so that no page fetches anything from a CDN.
- ``{model-cards}`` shows the cards that lie beside the trained weights.
- ``{notebook-times}`` shows the times that ``make notebooks`` measured.
"""

from __future__ import annotations

import json
import shutil
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as PlainStyle
from sphinx.application import Sphinx
from sphinx.errors import ConfigError
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
MATHJAX_PACKAGE = "sphinx-mathjax-offline"


def mathjax_folder() -> Path:
    """The folder of MathJax 3 in the installed package."""
    try:
        for file in files(MATHJAX_PACKAGE) or []:
            if file.name == "tex-chtml.js":
                return Path(str(file.locate())).parent
    except PackageNotFoundError:
        pass
    raise ConfigError(
        f"MathJax is missing: expected tex-chtml.js in the package {MATHJAX_PACKAGE}; "
        f"run 'make install' or 'pip install {MATHJAX_PACKAGE}'"
    )


def copy_mathjax(app: Sphinx) -> None:
    """Put MathJax's TeX component and its fonts under ``_static/mathjax`` of the site."""
    if app.builder.format != "html":
        return
    source, target = mathjax_folder(), Path(app.outdir) / "_static" / "mathjax"
    fonts = Path("output/chtml/fonts/woff-v2")
    (target / fonts).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "tex-chtml.js", target / "tex-chtml.js")
    for font in (source / fonts).glob("*.woff"):
        shutil.copyfile(font, target / fonts / font.name)


class GeneratedMarkdown(SphinxDirective):
    """A directive whose content is Markdown that is made from data of the repository."""

    def run(self) -> list[nodes.Node]:
        lines = self.markdown().splitlines()
        container = nodes.container(classes=["generated"])
        self.state.nested_parse(StringList(lines, self.get_location()), 0, container)
        return [container]

    def read_json(self, path: Path) -> Any:
        self.env.note_dependency(str(path))
        return json.loads(path.read_text("utf-8"))

    def markdown(self) -> str:
        raise NotImplementedError


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def plain(value: Any) -> str:
    """A value of a card as a reader wants to see it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}"
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {plain(v)}" for name, v in value.items())
    if isinstance(value, list):
        return ", ".join(plain(v) for v in value)
    return str(value).replace("|", "\\|").replace("\n", " ")


class ModelCards(GeneratedMarkdown):
    """One card a model of the zoo, from ``companion/weights/*.json``."""

    def markdown(self) -> str:
        paths = sorted((ROOT / "companion" / "weights").glob("*.json"))
        if not paths:
            return "No weights are stored.\n"
        return "\n".join(self.card(path) for path in paths)

    def card(self, path: Path) -> str:
        card = self.read_json(path)
        few = card.pop("quick_images", 0)
        full_metrics, few_metrics = card.pop("metrics", {}), card.pop("quick_metrics", {})
        rows = []
        for name, value in card.items():
            text = plain(value)
            if name in ("constructor", "command", "sha256"):
                text = f"`{text}`"
            if name not in ("name", "schema"):
                rows.append([name.replace("_", " "), text])
        metrics = [
            [name.replace("_", " "), plain(value), plain(few_metrics.get(name, "–"))]
            for name, value in full_metrics.items()
        ]
        return "\n".join(
            [
                f':::{{card}} `companion.zoo.load("{path.stem}")`',
                ":class-card: model-card",
                "",
                table(["what", "value"], rows),
                table(["measured", "on the full test set", f"on {plain(few)} images"], metrics),
                ":::",
                "",
            ]
        )


class NotebookTimes(GeneratedMarkdown):
    """The seconds that each notebook took, from ``book/reference/times.json``."""

    def markdown(self) -> str:
        path = ROOT / "book" / "reference" / "times.json"
        if not path.exists():
            return "No times have been measured yet; `make notebooks` measures them.\n"
        times = self.read_json(path)
        rows, total = [], 0.0
        for name, entry in sorted(times["notebooks"].items()):
            total += float(entry["seconds"])
            rows.append([f"{{doc}}`/book/{name}`", f"{entry['seconds']:.0f}"])
        rows.append(["**all of them**", f"**{total:.0f}**"])
        return f"Measured on: {times['machine']}.\n\n" + table(["notebook", "seconds"], rows)


def skip_field_numbers(
    app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out the members of a named tuple; its docstring says what they are."""
    return True if (obj.__doc__ or "").startswith("Alias for field number") else None


def name_folded_cells(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Let a screen reader say the title of a folded cell, which a label would replace."""
    label = ' aria-label="Toggle hidden content"'
    context["body"] = context.get("body", "").replace(f"<summary{label}>", "<summary>")


class BookStyle(PlainStyle):
    """Bibliography entries sorted by author, with authors in full and no bracketed numbers."""

    default_sorting_style = "author_year_title"


def setup(app: Sphinx) -> dict[str, Any]:
    register_plugin("pybtex.style.formatting", "book", BookStyle)
    app.config.mathjax_path = "mathjax/tex-chtml.js"  # type: ignore[attr-defined]
    app.connect("builder-inited", copy_mathjax)
    app.connect("html-page-context", name_folded_cells)
    app.connect("autodoc-skip-member", skip_field_numbers)
    app.add_directive("model-cards", ModelCards)
    app.add_directive("notebook-times", NotebookTimes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
