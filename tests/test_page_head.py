"""What a page says of itself, from what it is given: its description, its picture, its BibTeX."""

from docutils import nodes
from docutils.core import publish_doctree
from pybtex.database import parse_string

from book._ext import page_head
from book._ext.reading_marks import spoken


def document(text: str) -> nodes.document:
    tree: nodes.document = publish_doctree(text, settings_overrides={"report_level": 5})
    return tree


def test_descriptions_have_the_length_that_is_shown() -> None:
    lengths = {page: len(text) for page, text in page_head.descriptions().items()}
    assert not {page: n for page, n in lengths.items() if not 100 <= n <= 160}


def test_a_page_that_is_not_listed_is_described_by_its_first_paragraph() -> None:
    tree = document("Title\n=====\n\n" + "Some words,\nand more. " * 20 + "\n\nLast.")
    said = page_head.description("book/start/unknown", tree)
    assert said.startswith("Some words, and more. Some")
    assert 100 < len(said) <= 160
    assert said.endswith(" …")
    assert page_head.description("book/start/unknown", document("Short.")) == "Short."


def test_each_part_has_its_picture() -> None:
    pages = ("book/gan/dcgan", "book/vae/index", "book/index", "book/reference/api/gan")
    assert [page_head.picture(page) for page in pages] == ["gan", "vae", "noise", "noise"]


def test_bibtex_can_be_read_whatever_the_title() -> None:
    text = page_head.bibtex("book/part/a_page", "50 % of {A} & B_1, #2", "https://host/page")
    ((key, entry),) = parse_string(text, "bibtex").entries.items()
    assert key == "images-from-noise-part-a-page"
    assert entry.fields["title"] == r"{50 \% of \{A\} \& B\_1, \#2}"
    assert entry.fields["url"] == "https://host/page"


def test_the_landing_page_stands_for_the_book() -> None:
    (entry,) = parse_string(page_head.bibtex("book/index", "x", "y"), "bibtex").entries.values()
    assert entry.key == "images-from-noise-book"
    assert page_head.citation()["title"] in entry.fields["title"]


def test_minutes_are_spoken_in_hours_from_a_hundred_on() -> None:
    assert [spoken(n) for n in (1, 99, 100, 192)] == [
        "1 minute",
        "99 minutes",
        "1 h 40 min",
        "3 h 12 min",
    ]
