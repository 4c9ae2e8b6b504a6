"""The Markdown of a resolved page: no role, no directive, no label, every link to the site.

Sphinx has already resolved what a page refers to; what is left are nodes, and each kind of node is
written here as Markdown that JupyterLab, Colab, VS Code and GitHub show alike. A kind that is not
known raises `UnknownNodeError`, so that nothing is lost in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from docutils import nodes

from book._tools.plain_math import display
from book._tools.plain_words import HOLDERS, SILENT, Page, UnknownNodeError, Words, longest_run

# Boxes without a title whose word on the page is not the name of their node.
ADMONITION = {"seealso": "See also", "admonition": ""}


class Writer(Words):
    """Writes the blocks of one page."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.quoted = 0  # how many quotations we are in

    # ---- Blocks ----------------------------------------------------------------------------------

    def blocks(self, children: Iterable[nodes.Node]) -> str:
        """Blocks with a blank line between them; what is not in a block makes one paragraph."""
        parts: list[str] = []
        loose: list[nodes.Node] = []
        for child in [*children, None]:
            if isinstance(child, nodes.Inline | nodes.Text):
                loose.append(child)
                continue
            if loose:
                parts.append(paragraph(self.inlines(loose)))
                loose = []
            if child is not None:
                parts.append(self.block(child))
        return "\n\n".join(part for part in parts if part.strip())

    def block(self, node: nodes.Node) -> str:
        assert isinstance(node, nodes.Element)
        name = type(node).__name__
        if name in SILENT:
            return ""
        if isinstance(node, nodes.Admonition) and name not in HOLDERS:
            return self.admonition(node)
        classes = node.get("classes", [])
        if any(c in classes for c in ("sd-card-title", "sd-card-header")) or name in (
            "sd_tab_label",
            "rubric",
        ):
            text = self.blocks(node.children).replace("**", "")
            return f"**{text}**" if text else ""
        if name in HOLDERS:
            return self.blocks(node.children)
        method = getattr(self, f"block_{name}", None)
        if method is None:
            raise UnknownNodeError(
                f"{node.source}:{node.line}: a plain notebook does not know how to write "
                f"<{name}>; teach it in book/_tools/plain_text.py"
            )
        return str(method(node))

    def block_paragraph(self, node: nodes.Element) -> str:
        return paragraph(self.inlines(node.children))

    def block_transition(self, node: nodes.Element) -> str:
        return "---"

    def block_math_block(self, node: nodes.Element) -> str:
        return display(
            node.astext(),
            self.page.macros,
            number=self.number(node),
            one_line=bool(self.quoted),
        )

    def block_literal_block(self, node: nodes.Element) -> str:
        language = str(node.get("language", "")).replace("ipython3", "python")
        language = "" if language in ("none", "default") else language
        text = node.astext().strip("\n")
        fence = "`" * max(3, 1 + longest_run(text, "`"))
        return f"{fence}{language}\n{text}\n{fence}"

    block_doctest_block = block_literal_block

    def block_bullet_list(self, node: nodes.Element) -> str:
        return self.items(node, ["- "] * len(node.children))

    def block_enumerated_list(self, node: nodes.Element) -> str:
        start = int(node.get("start", 1))
        return self.items(node, [f"{start + i}. " for i in range(len(node.children))])

    def items(self, node: nodes.Element, marks: list[str]) -> str:
        texts = [
            indented(mark, self.blocks(item.children))
            for mark, item in zip(marks, node.children, strict=True)
        ]
        return ("\n\n" if any("\n\n" in text for text in texts) else "\n").join(texts)

    def block_definition_list(self, node: nodes.Element) -> str:
        parts = []
        for item in node.children:
            assert isinstance(item, nodes.Element)
            terms = [c for c in item.children if isinstance(c, nodes.term | nodes.classifier)]
            rest = [c for c in item.children if c not in terms]
            term = ", ".join(self.inlines(t.children) for t in terms)
            text = self.blocks(child for part in rest for child in part.children)
            parts.append(indented("- ", f"**{term}**: {text}"))
        return "\n".join(parts)

    def block_block_quote(self, node: nodes.Element) -> str:
        return self.quote("", node.children)

    def block_attribution(self, node: nodes.Element) -> str:
        return f"— {self.inlines(node.children)}"

    def block_line_block(self, node: nodes.Element) -> str:
        lines = [
            self.block_line_block(line)
            if isinstance(line, nodes.line_block)
            else self.inlines(line.children)
            for line in node.children
        ]
        return "  \n".join(lines)

    def block_topic(self, node: nodes.Element) -> str:
        title, rest = self.titled(node)
        return self.quote(title, rest)

    block_sidebar = block_topic

    def block_dropdown_main(self, node: nodes.Element) -> str:
        """Of sphinx-design: a summary and what it folds."""
        summary = [c for c in node.children if type(c).__name__ == "dropdown_title"]
        rest = [c for c in node.children if c not in summary]
        title = "".join(self.inlines(part.children) for part in summary)
        return self.quote(re.sub(r"<svg.*?</svg>", "", title), rest)  # the icon that folds it

    def block_footnote(self, node: nodes.Element) -> str:
        label, *rest = node.children
        return f"<sup>{label.astext()}</sup> {self.blocks(rest)}"

    def block_caption(self, node: nodes.Element) -> str:
        return f"**{self.inlines(node.children)}**"

    def block_figure(self, node: nodes.Element) -> str:
        """The image, the caption under it, the legend."""
        rest = [c for c in node.children if not isinstance(c, nodes.caption)]
        image = [c for c in rest if not isinstance(c, nodes.legend)]
        legend = [c for c in rest if isinstance(c, nodes.legend)]
        parts = [self.blocks(image), self.caption(node), self.blocks(legend)]
        return "\n\n".join(part for part in parts if part)

    def caption(self, node: nodes.Element) -> str:
        """`**Fig. 4.3** What is to be seen.`, of a figure or a table."""
        kind = nodes.title if isinstance(node, nodes.table) else nodes.caption
        texts = [self.inlines(c.children) for c in node.children if isinstance(c, kind)]
        number = f"**{self.number(node)}**" if self.number(node) else ""
        return " ".join(part for part in (number, *texts) if part)

    def number(self, node: nodes.Element) -> str:
        return next((self.page.numbers[i] for i in node["ids"] if i in self.page.numbers), "")

    def block_table(self, node: nodes.Element) -> str:
        outer, self.in_table = self.in_table, True
        rows = [
            [self.entry(entry) for entry in row.children if isinstance(entry, nodes.Element)]
            for row in node.findall(nodes.row)
        ]
        first = next(iter(node.findall(nodes.row)))
        if not list(node.findall(nodes.thead)):
            rows.insert(0, [""] * len(rows[0]))
        self.in_table = outer
        align = {"text-left": ":---", "text-center": ":---:", "text-right": "---:"}
        marks = [
            next((align[c] for c in entry.get("classes", ()) if c in align), "---")
            for entry in first.children
            if isinstance(entry, nodes.Element)
        ]
        lines = [f"| {' | '.join(row)} |" for row in (rows[0], marks, *rows[1:])]
        caption = self.caption(node)
        return "\n".join(lines) if not caption else caption + "\n\n" + "\n".join(lines)

    def entry(self, node: nodes.Element) -> str:
        return re.sub(r"\n\n|\n(?=[-\d])", "<br>", self.blocks(node.children)).replace("\n", " ")

    # ---- Boxes -----------------------------------------------------------------------------------

    def admonition(self, node: nodes.Element) -> str:
        """A note, an exercise, a theorem: its title in bold, the rest below, all of it quoted."""
        title, rest = self.titled(node)
        if not any(isinstance(c, nodes.title) for c in node.children):
            title = ADMONITION.get(type(node).__name__, type(node).__name__.capitalize())
        if number := self.number(node):
            title = f"{number[0].upper()}{number[1:]} {title.strip()}".strip()
        return self.quote(title, rest)

    def titled(self, node: nodes.Element) -> tuple[str, list[nodes.Node]]:
        titles = [c for c in node.children if isinstance(c, nodes.title)]
        rest = [c for c in node.children if c not in titles]
        return "".join(self.inlines(c.children) for c in titles), rest

    def quote(self, title: str, children: Iterable[nodes.Node]) -> str:
        self.quoted += 1
        text = self.blocks(children)
        self.quoted -= 1
        if title:
            text = f"**{title.replace('**', '')}**\n\n{text}"
        return "\n".join(f"> {line}".rstrip() for line in text.strip().split("\n"))


def paragraph(text: str) -> str:
    """A paragraph none of whose lines begins as a list, a heading or a quotation does."""
    text = re.sub(r"^([#>+-]+)(?=\s)", r"\\\1", text.strip(), flags=re.MULTILINE)
    return re.sub(r"^(\d+)([.)])(?=\s)", r"\1\\\2", text, flags=re.MULTILINE)


def indented(mark: str, text: str) -> str:
    """An item of a list: its mark, and what follows in the mark's column."""
    first, *rest = text.split("\n")
    return "\n".join([mark + first, *(" " * len(mark) + line if line else "" for line in rest)])
