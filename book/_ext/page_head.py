"""What a page says of itself to search engines, to chats, and to whoever cites it.

- The head has one description, from ``descriptions.toml`` or the first paragraph, Open Graph's
  title, description and picture, and one viewport. Sphinx adds the canonical address.
- ``Cite this page``, folded, at the end: BibTeX with author, version and year of ``CITATION.cff``.
"""

from __future__ import annotations

import html
import re
import textwrap
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "book" / "_static"
DESCRIPTIONS = Path(__file__).with_name("descriptions.toml")
CARD = (1200, 630)  # pixels, what chats show without cutting

# Of each part, the picture on the landing page, and what it shows.
PICTURES = {
    "vae": "Garments that a variational autoencoder draws on its way from one code to another",
    "gan": "Garments that a generative adversarial network draws from noise",
    "rnn": "Upper halves of garments, and the same garments completed by a recurrent network",
    "noise": "Tiles of random gray squares, and below each the garment that a network makes of it",
}


@cache
def citation() -> dict[str, Any]:
    """Author, title, version and date of the book, from ``CITATION.cff``."""
    cited: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    return cited


@cache
def descriptions() -> dict[str, str]:
    return tomllib.loads(DESCRIPTIONS.read_text("utf-8"))


def description(page: str, doctree: nodes.document) -> str:
    """One or two sentences about a page, at most 160 characters."""
    if known := descriptions().get(page.removeprefix("book/")):
        return known
    paragraphs = (node.astext() for node in doctree.findall(nodes.paragraph))
    first = " ".join(next(paragraphs, "").split())
    return textwrap.shorten(first, 160, placeholder=" …")


def picture(page: str) -> str:
    """The name of the picture that stands for a page."""
    part = page.removeprefix("book/").split("/")[0]
    return part if part in PICTURES else "noise"


def bibtex(page: str, title: str, address: str) -> str:
    """The entry of a page; the landing page stands for the whole book."""
    book = citation()
    authors = " and ".join(
        f"{{{person['name']}}}"
        if "name" in person
        else f"{person['family-names']}, {person['given-names']}"
        for person in book["authors"]
    )
    name = page.removeprefix("book/").replace("/", "-").replace("_", "-")
    fields = {"author": authors, "title": f"{{{escaped(title)}}}"}
    fields["howpublished"] = f"In \\emph{{{escaped(book['title'])}}}, version {book['version']}"
    if name == "index":
        name = "book"
        fields |= {
            "title": f"{{{escaped(book['title'])}}}",
            "howpublished": f"Version {book['version']}",
        }
    fields |= {"year": str(book["date-released"].year), "url": address}
    lines = [f"  {field:<12} = {{{value}}}," for field, value in fields.items()]
    return "\n".join([f"@misc{{images-from-noise-{name},", *lines, "}"])


def escaped(text: str) -> str:
    """Text in which BibTeX and TeX read no command."""
    return re.sub(r"([&%$#_{}])", r"\\\1", text)


def add_metadata(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Fill the head of a page, and its end."""
    # docutils states the viewport, too.
    context["metatags"] = re.sub(
        r'<meta [^>]*name="viewport"[^>]*/>\s*', "", context.get("metatags", "")
    )
    if page == app.config.root_doc:
        context["docstitle"] = ""  # the title of the book and of its first page are the same
    if doctree is None or not app.config.html_baseurl:
        return
    title = app.env.titles[page].astext()
    name = picture(page)
    said = {
        "og:type": "website" if page == app.config.root_doc else "article",
        "og:site_name": app.config.html_title,
        "og:title": title,
        "og:description": description(page, doctree),
        "og:url": context["pageurl"],
        "og:image": f"{app.config.html_baseurl.rstrip('/')}/_static/cards/{name}.png",
        "og:image:width": str(CARD[0]),
        "og:image:height": str(CARD[1]),
        "og:image:alt": PICTURES[name],
    }
    tags = [f'<meta name="description" content="{html.escape(said["og:description"])}" />']
    tags += [
        f'<meta property="{key}" content="{html.escape(text)}" />' for key, text in said.items()
    ]
    tags.append('<meta name="twitter:card" content="summary_large_image" />')
    context["metatags"] += "\n    " + "\n    ".join(tags)
    entry = app.builder.highlighter.highlight_block(  # type: ignore[attr-defined]
        bibtex(page, title, context["pageurl"]), "bibtex"
    )
    what = "this book" if page == app.config.root_doc else "this page"
    context["body"] += f'<details class="cite"><summary>Cite {what}</summary>{entry}</details>'


def draw_cards(app: Sphinx, error: Exception | None) -> None:
    """Lay each part's picture on white, in the size of a card, under ``_static/cards``."""
    if error or app.builder.name != "html":
        return
    folder = Path(app.outdir) / "_static" / "cards"
    folder.mkdir(parents=True, exist_ok=True)
    for name in PICTURES:
        card = Image.new("RGB", CARD, "white")
        with Image.open(STATIC / f"{name}.webp") as source:
            width = CARD[0] - 80
            drawing = source.convert("RGBA").resize((width, width * source.height // source.width))
        card.paste(drawing, (40, (CARD[1] - drawing.height) // 2), drawing)
        card.save(folder / f"{name}.png", optimize=True)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", add_metadata)
    app.connect("build-finished", draw_cards)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
