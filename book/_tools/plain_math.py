"""Formulas that need nothing but TeX: macros expanded, numbers as tags, one pair of `$$`.

JupyterLab, Colab, VS Code and GitHub know no macros of ours, number no equations, and look for
mathematics before they look for anything else: no blank line may stand inside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

Macros = Mapping[str, str | Sequence[object]]

TOKEN = re.compile(r"\\(?:[A-Za-z]+|.)|[{}]|[^\\{}]", re.DOTALL)
ENVIRONMENT = re.compile(r"\\begin\{(align|gather|equation|multline)(\*?)\}(.*)\\end\{\1\2\}", re.S)
INNER = {"align": "aligned", "gather": "gathered", "multline": "gathered"}


def expand(tex: str, macros: Macros) -> str:
    r"""`tex` with every macro replaced by what it stands for, arguments and nested macros included.

    Args:
        tex: a formula, without dollars.
        macros: as MathJax takes them: a name (without backslash) to a replacement, or to a
            replacement with `#1`, `#2`, ... and the number of arguments.

    Raises:
        ValueError: a macro lacks an argument, or a brace is never closed.
    """
    tokens = TOKEN.findall(tex)
    out, i = [], 0
    while i < len(tokens):
        token = tokens[i]
        i += 1
        macro = macros.get(token[1:]) if len(token) > 1 else None
        if macro is None:
            out.append(token)
            continue
        body, count = (macro, 0) if isinstance(macro, str) else (str(macro[0]), int(str(macro[1])))
        for k in range(1, count + 1):
            argument, i = _argument(tokens, i, token, tex)
            body = body.replace(f"#{k}", argument)
        out.append(expand(body, macros))
    return "".join(out)


def _argument(tokens: list[str], i: int, macro: str, tex: str) -> tuple[str, int]:
    """The argument that begins at token `i`, without its braces, and where the rest begins."""
    while i < len(tokens) and tokens[i].isspace():
        i += 1
    if i == len(tokens):
        raise ValueError(f"{macro} lacks an argument in {tex!r}; write it in braces")
    if tokens[i] != "{":
        return tokens[i], i + 1
    depth, start = 0, i + 1
    for end in range(i, len(tokens)):
        depth += {"{": 1, "}": -1}.get(tokens[end], 0)
        if depth == 0:
            return "".join(tokens[start:end]), end + 1
    raise ValueError(f"a brace after {macro} is never closed in {tex!r}; close it")


def inline(tex: str, macros: Macros) -> str:
    """`$...$` on one line."""
    return f"${_one_line(_no_tags(expand(tex, macros)))}$"


def display(tex: str, macros: Macros, *, number: str = "", one_line: bool = False) -> str:
    """`$$...$$` with the number of the equation as its tag.

    Args:
        tex: a formula, or an environment such as `align` that brings its own mathematics mode.
        macros: as for `expand`.
        number: what the site shows in parentheses; empty for an equation without a number.
        one_line: for a formula in a quotation, whose marks `>` would become a part of it.
    """
    tex = _no_tags(expand(tex, macros)).strip()
    parts = [_aligned(part) for part in re.split(r"\n\s*\n", tex)]
    tex = parts[0]
    if len(parts) > 1:  # what a blank line divides are equations of their own, one below the other
        tex = "\\begin{gathered}\n" + " \\\\\n".join(parts) + "\n\\end{gathered}"
    if number:
        tex += rf" \tag{{{number}}}"
    return f"$$ {_one_line(tex)} $$" if one_line else f"$$\n{tex}\n$$"


def _aligned(part: str) -> str:
    """A part of a formula as it may stand between `$$`."""
    part = part.strip()
    if match := ENVIRONMENT.fullmatch(part):
        name, body = match[1], match[3].strip("\n")
        inner = INNER.get(name)
        return f"\\begin{{{inner}}}\n{body}\n\\end{{{inner}}}" if inner else body
    if r"\\" in part and r"\begin{" not in part:  # Sphinx breaks such a formula into lines, too
        return f"\\begin{{split}}\n{part}\n\\end{{split}}"
    return part


def _one_line(tex: str) -> str:
    lines = (re.sub(r"(?<!\\)%.*", "", line).strip() for line in tex.splitlines())
    return " ".join(line for line in lines if line)


def _no_tags(tex: str) -> str:
    """`x_{<t}` without what looks like the beginning of an HTML tag."""
    return re.sub(r"<(?=[A-Za-z/!?])", r"\\lt ", tex)
