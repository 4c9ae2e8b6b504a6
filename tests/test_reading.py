"""The minutes that a page takes to read, on small pages that are counted by hand."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from book._ext.reading import minutes


def page(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# One word", 1),  # at least one
        ("word " * 600, 3),
        ("```python\n" + "x = 1\n" * 60 + "```", 3),
        ("$$\nx = y\n$$\n" * 12, 3),
        ("$$\nx = y\n$$ (eq-name)\n\n" * 12, 3),
        ("```{math}\nx\n```\n" * 12, 3),
        ("word " * 400 + "\n\n## Exercises\n\n" + "word " * 900, 2),
        ("word " * 400 + "\n\n## Further reading\n\n" + "word " * 900, 2),
    ],
)
def test_words_code_and_formulas_take_their_time(tmp_path: Path, text: str, expected: int) -> None:
    assert minutes(page(tmp_path, text)) == expected


def test_folded_cells_take_no_time(tmp_path: Path) -> None:
    code = "\n\n".join(["x = 1"] * 80)
    for tags, expected in (([], 5), (["hide-input"], 1), (["hide-cell"], 1)):
        cells = [new_markdown_cell("word " * 200), new_code_cell(code, metadata={"tags": tags})]
        path = tmp_path / f"cells-{'-'.join(tags)}.ipynb"
        nbformat.write(new_notebook(cells=cells), path)
        assert minutes(path) == expected


def test_a_page_can_be_read_up_to_a_section(tmp_path: Path) -> None:
    path = page(
        tmp_path,
        "# Title\n"
        + "word " * 400
        + "\n\n## Part\n"
        + "word " * 400
        + "\n\n## Rest\n"
        + "word " * 800,
    )
    assert [minutes(path, until=title) for title in ("Title", "Part", "Rest", None)] == [2, 4, 8, 8]
    with pytest.raises(
        ValueError, match=r"no section 'Nothing', expected one of Title, Part, Rest; use"
    ):
        minutes(path, until="Nothing")
