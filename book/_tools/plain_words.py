"""What stands within a line of a resolved page, as Markdown: words, formulas, links, images."""

from __future__ import annotations

import base64
import mimetypes
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

from docutils import nodes

from book._tools.plain_math import Macros, inline

# What leaves no trace in Markdown.
SILENT = {"comment", "target", "index", "substitution_definition", "sd_tab_input", "sd_icon"}
# What is only there to hold its children.
HOLDERS = {"container", "compound", "section", "legend", "proof_node", "PassthroughTextElement"}
HOLDERS |= {"inline", "abbreviation", "generated", "sd_badge"}
MARKS = {"emphasis": "*", "title_reference": "*", "strong": "**"}
TAGS = {"subscript": "sub", "superscript": "sup", "footnote_reference": "sup"}


class UnknownNodeError(Exception):
    """A page holds something of which this module does not know how to write it."""


@dataclass
class Page:
    """What the Markdown of a page must know about the site."""

    site: str  # its address, with a slash at the end
    url: str  # of the page
    numbers: Mapping[str, str] = field(default_factory=dict)  # of an id: "Fig. 4.3", "4.3"
    macros: Macros = field(default_factory=dict)
    folder: Path = Path()  # to which the addresses of images are relative


class Words:
    """Writes what stands within a line; `attachments` collects the images that it shows."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.attachments: dict[str, dict[str, str]] = {}
        self.in_table = False

    def inlines(self, children: Iterable[nodes.Node]) -> str:
        return "".join(self.inline(child) for child in children)

    def inline(self, node: nodes.Node) -> str:
        if isinstance(node, nodes.Text):
            return escaped(str(node), in_table=self.in_table)
        assert isinstance(node, nodes.Element)
        name = type(node).__name__
        if name in SILENT:
            return ""
        if isinstance(node, nodes.math):
            text = inline(node.astext(), self.page.macros)
            return bars(text) if self.in_table else text
        if isinstance(node, nodes.literal):
            return self.code(node.astext())
        if isinstance(node, nodes.image):
            return self.image(node)
        if name == "download_reference":
            return self.link(node, f"{self.page.site}_downloads/{node['filename']}")
        if isinstance(node, nodes.reference):
            return self.link(node, node.get("refuri") or f"#{node['refid']}")
        if isinstance(node, nodes.raw):
            return node.astext() if "html" in node.get("format", "") else ""
        inner = self.inlines(node.children)
        if mark := MARKS.get(name):
            return f"{mark}{inner}{mark}" if inner else ""
        if tag := TAGS.get(name):
            return f"<{tag}>{inner}</{tag}>"
        if name in HOLDERS:
            return inner
        raise UnknownNodeError(
            f"{node.source}:{node.line}: a plain notebook does not know how to write <{name}> "
            "within a line; teach it in book/_tools/plain_text.py"
        )

    def code(self, text: str) -> str:
        text = " ".join(text.split("\n"))
        if self.in_table:
            text = text.replace("|", "\\|")
        fence = "`" * (1 + longest_run(text, "`"))
        pad = " " if text.startswith("`") or text.endswith("`") else ""
        return f"{fence}{pad}{text}{pad}{fence}"

    def link(self, node: nodes.Element, address: str) -> str:
        url = urljoin(self.page.url, address)
        text = self.inlines(node.children) or escaped(url)
        return f"[{text}]({url.replace(' ', '%20').replace('(', '%28').replace(')', '%29')})"

    def image(self, node: nodes.Element) -> str:
        """An image of the book travels with the cell; one from elsewhere stays a link."""
        uri, alt = str(node["uri"]), escaped(str(node.get("alt", "")).replace("\n", " "))
        if "://" in uri:
            return f"![{alt}]({uri})"
        path = self.page.folder / uri
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        name = re.sub(
            r"[^\w.-]+", "-", uri
        )  # the folders, too: a cell may show a/1.png and b/1.png
        self.attachments[name] = {kind: base64.b64encode(path.read_bytes()).decode()}
        return f"![{alt}](attachment:{name})"


def escaped(text: str, *, in_table: bool = False) -> str:
    """Words in which Markdown finds nothing to interpret."""
    text = re.sub(r"\\(?=[\W_])", r"\\\\", text)
    text = re.sub(r"([`*$~])|(?<!\w)(_)|(_)(?!\w)", lambda m: "\\" + m[0], text)
    text = re.sub(r"&(?=#?\w+;)", "&amp;", text)
    text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)
    text = text.replace("](", "]&#40;")
    return text.replace("|", "\\|") if in_table else text


def bars(math: str) -> str:
    """A formula for a table, in which a bar would end the cell."""
    return math.replace("\\|", "\\Vert ").replace("|", "\\vert ")


def longest_run(text: str, mark: str) -> int:
    return max((len(run) for run in re.findall(f"{re.escape(mark)}+", text)), default=0)
