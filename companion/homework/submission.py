"""A submission is read: its definitions are what is graded, and nothing else of it is executed.

This module is used where a submission is read and in the child process that executes it.
"""

import ast
import json
import linecache
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# Pure arithmetic of constants: the right-hand sides that are executed.
ARITHMETIC = (
    ast.Constant,
    ast.Name,
    ast.Attribute,
    ast.Tuple,
    ast.List,
    ast.Dict,
    ast.UnaryOp,
    ast.BinOp,
    ast.operator,
    ast.unaryop,
    ast.expr_context,
)
# The first cell of a student's notebook; nobody need look at it.
INSTALL = """\
import sys

if "google.colab" in sys.modules:  # Google Colab does not have the book's package yet
    %pip install -q git+https://github.com/images-from-noise/images-from-noise"""
# What has no place in an answer; a person looks at where it stands.
SUSPICIOUS_MODULES = set(
    """builtins ctypes dis gc importlib inspect linecache marshal mmap multiprocessing os pathlib
    pickle pkgutil runpy shutil signal site socket subprocess sys threading traceback
    urllib""".split()
)
SUSPICIOUS_NAMES = set(
    """__builtins__ __code__ __globals__ __import__ __loader__ __subclasses__ _getframe compile
    eval exec f_back from_file getsource globals open tb_frame vars""".split()
)


class SubmissionError(ValueError):
    """A file cannot be read as a submission."""


def cells(path: str | Path) -> list[str]:
    """The code of a notebook, cell by cell, or of a Python file.

    Raises:
        SubmissionError: the file is missing, or is neither of the two.
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8")
        if path.suffix == ".py":
            return [text]
        found = json.loads(text)["cells"]
        return [_plain("".join(c["source"])) for c in found if c["cell_type"] == "code"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SubmissionError(
            f"{path} cannot be read as a notebook or a Python file ({error!r}); "
            "ask for the .ipynb file as Jupyter saves it"
        ) from error


def parsed(sources: Sequence[str]) -> Iterator[tuple[int, ast.Module | SyntaxError]]:
    """Each cell with its number: its tree, or why there is none."""
    for number, source in enumerate(sources, 1):
        try:
            yield number, ast.parse(source)
        except (SyntaxError, ValueError, RecursionError) as error:
            bad = error if isinstance(error, SyntaxError) else SyntaxError(str(error))
            yield number, bad


def definitions(sources: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Execute imports, functions, classes and constants; what else there is is left out.

    Returns:
        The names, and what failed: one sentence each.
    """
    space: dict[str, Any] = {"__name__": "submission"}
    failed = []
    for number, tree in parsed(sources):
        if isinstance(tree, SyntaxError):
            continue  # reported by `notes`
        file = f"<code cell {number}>"
        lines = sources[number - 1].splitlines(keepends=True)
        linecache.cache[file] = (len(sources[number - 1]), None, lines, file)
        for node in tree.body:
            if not _defines(node):
                continue
            try:
                exec(compile(ast.Module([node], []), file, "exec"), space)
            except Exception as error:
                first = lines[node.lineno - 1].strip()
                failed.append(
                    f"code cell {number}: `{first[:60]}` fails: {type(error).__name__}: {error}"
                )
    return space, failed


def notes(sources: Sequence[str]) -> list[str]:
    """What a person should look at: cells that are no Python, and suspicious names."""
    found = []
    for number, tree in parsed(sources):
        if isinstance(tree, SyntaxError):
            found.append(
                f"code cell {number} is no Python ({tree.msg}, line {tree.lineno}); "
                "what it defines is missing"
            )
            continue
        if sources[number - 1].strip() == _plain(INSTALL):
            continue
        for node in ast.walk(tree):
            names = _suspects(node)
            found += [
                f"code cell {number}, line {node.lineno}: uses {name}"  # type: ignore[attr-defined]
                for name in names
            ]
    return list(dict.fromkeys(found))


def left_out(sources: Sequence[str]) -> set[str]:
    """Names that are assigned by statements that are not executed."""
    missing: set[str] = set()
    defined: set[str] = set()
    for _, tree in parsed(sources):
        for node in [] if isinstance(tree, SyntaxError) else tree.body:
            names = {
                n.id
                for n in ast.walk(node)
                if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            }
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names = {node.name}
            (defined if _defines(node) else missing).update(names)
    return missing - defined


def _plain(source: str) -> str:
    """Without what only IPython understands: magics, shell commands, questions."""
    if source.lstrip().startswith("%%") and not source.lstrip().startswith(("%%time", "%%capture")):
        return ""
    return re.sub(r"^([ \t]*)[%!?].*$", r"\1pass", source, flags=re.MULTILINE)


def _defines(node: ast.stmt) -> bool:
    if isinstance(
        node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    ):
        return True
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        return isinstance(node.value, ast.Lambda) or all(map(_is_arithmetic, ast.walk(node.value)))
    return False


def _is_arithmetic(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):  # math.log(2), float("inf")
        name = ast.unparse(node.func)
        return name.startswith("math.") or name in ("int", "float")
    return isinstance(node, ARITHMETIC)


def _suspects(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        imported = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        imported = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
        name = getattr(node, "id", None) or getattr(node, "attr", None)
        # The first cell imports sys, so nobody else need do so.
        return [name] if name in SUSPICIOUS_NAMES or name == "sys" else []
    return [
        name
        for name in imported
        if name.split(".")[0] in SUSPICIOUS_MODULES
        or (name.startswith("companion.homework") and not name.endswith((".check", "homework")))
    ]
