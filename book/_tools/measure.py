"""How long a chapter is to read, and how well its claims are controlled.

The first read is the page without the sections headed *Going deeper*, *Exercises*, *Solutions*
or *Further reading* (up to the next heading of the same or a higher level) and without folded
cells. Words are those of the prose, which stands in directives (an admonition, an exercise), too;
fenced code and displayed formulas in Markdown are no prose, and lines of fenced code count as
lines of code.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

from nbformat import NotebookNode

from book._tools import ROOT
from book._tools.cells import parse, tags

FIRST_WORDS, FIRST_LINES, ALL_WORDS, CONTROLS = 2500, 150, 4500, 5
LATER = re.compile(r"going deeper|exercises?|solutions?|further reading", re.IGNORECASE)
FOLDED = {"hide-cell", "hide-input"}
# Fences in Markdown. A directive holds prose, except these.
FENCE = re.compile(r"\s*(`{3,}|~{3,}|:{3,})\s*(?:\{([\w:-]+)\})?([^`]*)")
CODE = {"code", "code-block", "code-cell", "literalinclude"}
SILENT = {"math", "raw", "bibliography", "toctree"}
TITLED = {"admonition", "card", "dropdown", "exercise"}  # what follows their name is prose
DONE = ROOT / "book" / "_tools" / "first_read.toml"


@dataclass
class Measures:
    """The numbers of one chapter; `unfolded` are cells that only draw or check, in plain sight."""

    first_words: int = 0
    first_lines: int = 0
    words: int = 0
    controls: int = 0
    trains: bool = False
    unfolded: tuple[int, ...] = ()
    untitled: tuple[int, ...] = ()


def measure(notebook: NotebookNode) -> Measures:
    """The measures of a chapter, as the module's text defines them."""
    found = Measures()
    later = 0  # the level of the heading that ended the first read; 0 while it goes on
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            for kind, line in lines_of(cell.source):
                if kind == "code":
                    found.first_lines += not later
                if kind != "prose":
                    continue
                if heading := re.match(r"(#+) +(.*)", line):
                    level = len(heading[1])
                    if not later or level <= later:
                        later = level if LATER.match(heading[2]) else 0
                count = words_in(line)
                found.words += count
                found.first_words += count * (not later)
        elif cell.cell_type == "code":
            tree = parse(cell.source)
            calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
            found.trains |= any(_name(call) in ("train", "step", "backward") for call in calls)
            found.controls += sum(
                _name(call) == "expect" and any(k.arg == "control" for k in call.keywords)
                for call in calls
            )
            folded = bool(FOLDED & {*tags(cell)})
            if not folded and not later:
                found.first_lines += sum(bool(line.strip()) for line in cell.source.splitlines())
            if _only_shows(tree):
                if not folded:
                    found.unfolded += (i,)
                elif not cell.metadata.get("mystnb", {}).get("code_prompt_show", "").strip():
                    found.untitled += (i,)
    return found


def done() -> list[str]:
    """The chapters that must keep the limits, by name."""
    chapters: list[str] = tomllib.loads(DONE.read_text(encoding="utf-8"))["chapters"]
    return chapters


def limits(notebook: NotebookNode) -> Iterator[str]:
    """What a chapter that is done must mend to keep the limits."""
    found = measure(notebook)
    if found.first_words > FIRST_WORDS:
        yield f"the first read has {found.first_words} words, at most {FIRST_WORDS} are allowed"
    if found.first_lines > FIRST_LINES:
        yield (
            f"the first read has {found.first_lines} lines of code, "
            f"at most {FIRST_LINES} are allowed"
        )
    if found.words > ALL_WORDS:
        yield f"the page has {found.words} words, at most {ALL_WORDS} are allowed"
    if found.trains and found.controls < CONTROLS:
        yield f"{found.controls} expect() have a control, a chapter that trains needs {CONTROLS}"
    for i in found.unfolded:
        yield f"cell {i} only draws or checks; tag it hide-input"
    for i in found.untitled:
        yield f"cell {i} is folded without a title (metadata mystnb.code_prompt_show)"


def table(rows: dict[str, Measures]) -> str:
    """The measures of every chapter, one a line."""
    lines = [f"{'':24} {'words':>6} {'first':>6} {'code':>5} {'controls':>8} {'unfolded':>8}"]
    lines += [
        f"{name:24} {m.words:6} {m.first_words:6} {m.first_lines:5} {m.controls:8} "
        f"{len(m.unfolded):8}"
        for name, m in rows.items()
    ]
    return "\n".join(lines)


def lines_of(source: str) -> Iterator[tuple[str, str]]:
    """The lines of Markdown that count, "prose" or "code", and the first of each "formula"."""
    for kind, line in kinds(source):
        if kind:
            yield ("prose" if kind == "title" else kind), line


def kinds(source: str) -> Iterator[tuple[str, str]]:
    """Each line of Markdown with its kind: as in `lines_of`, the "title" of a box, or nothing."""
    fences: list[tuple[str, str]] = []  # those that are open: the marks, the kind of what is inside
    formula = False
    for line in source.splitlines():
        marks, kind = fences[-1] if fences else ("", "prose")
        if marks and line.strip().startswith(marks) and not line.strip().strip(marks[0]):
            fences.pop()
            yield "", line
        elif kind == "prose" and (fence := FENCE.fullmatch(line)):
            marks, name, title = fence.groups(default="")
            is_code = not name or name in CODE
            fences.append((marks, "code" if is_code else "" if name in SILENT else "prose"))
            if name in TITLED:
                yield "title", title
            else:
                yield "formula" if name == "math" else "", line
        elif kind == "prose":
            delimiter = line.count("$$") % 2
            option = fences and re.match(r"\s*:[\w-]+:(\s|$)", line)
            opens = delimiter and not formula
            yield "formula" if opens else "" if formula or option else kind, line
            formula ^= bool(delimiter)
        else:
            yield kind if line.strip() else "", line


def words_in(line: str) -> int:
    """Words of prose: an inline formula is one, the address of a link is none."""
    line = re.sub(r"\$\$.*?\$\$", "", line)
    line = re.sub(r"\$[^$]+\$", "formula", line)
    line = re.sub(r"\]\([^)]*\)", "]", line)
    return sum(bool(re.search(r"\w", word)) for word in line.split())


def _name(call: ast.Call) -> str:
    function = call.func
    return getattr(function, "attr", "") or getattr(function, "id", "")


def _only_shows(tree: ast.Module) -> bool:
    """Whether each statement is an assertion, an `expect(...)`, or one that makes a figure."""

    def shows(node: ast.stmt) -> bool:
        if isinstance(node, ast.For):
            return all(map(shows, node.body))
        if isinstance(node, ast.Assign):
            return isinstance(node.value, ast.Call) and _name(node.value) == "subplots"
        if isinstance(node, ast.Expr):
            return bool(re.match(r"(expect\(|plots\.|axes\b|figure\b)", ast.unparse(node)))
        return isinstance(node, ast.Assert)

    return bool(tree.body) and all(map(shows, tree.body))
