"""One page of the built site as a part of a volume: what only a screen needs is taken away.

Anchors become unique over all pages (`vae-elbo--eq-elbo`), links between pages lead to them, folded
code and buttons are left out, and solutions are taken out of their exercises to stand at the end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from bs4 import BeautifulSoup, NavigableString, Tag

from book._tools.volume.contents import Entry

HEADINGS = ["h1", "h2", "h3", "h4", "h5", "h6"]

# What a reader clicks, and what only a screen shows; folded code with its output.
SCREEN = ".headerlink, script, style, .toctree-wrapper, details.hide, .sd-btn, .only-dark"

# Spans that look like the text around them: names, operators, spaces, words of a literal.
PLAIN = "pre span.n, pre span.o, pre span.p, pre span.w, dt.sig span span, code > span.pre"


class MissingPageError(RuntimeError):
    """A page that `_toc.yml` names is not in the built site."""


@dataclass
class Page:
    """A page of the volume.

    Attributes:
        entry: its place in the book.
        title: the text of its heading, with the chapter's number.
        body: its content, headings from `h1` on.
        solutions: the solutions of its exercises, taken out of the content.
    """

    entry: Entry
    title: str
    body: Tag
    solutions: list[Tag] = field(default_factory=list)

    @property
    def sections(self) -> list[tuple[str, str]]:
        """Anchor and title of each section of the second level."""
        return [(str(head["id"]), text(head)) for head in self.body.find_all("h2")]


def text(tag: Tag) -> str:
    return " ".join(tag.get_text().split())


def identifier(slug: str, name: str) -> str:
    """An anchor of a page, unique in the volume and a valid name in XML.

    >>> identifier("vae-elbo", "book/vae/elbo-solution-1")
    'vae-elbo--book-vae-elbo-solution-1'
    """
    return f"{slug}--{re.sub(r'[^A-Za-z0-9_.-]', '-', name)}"


def read(site: Path, entry: Entry, slugs: Mapping[str, str]) -> Page:
    """Read a page of the site and make it fit into the volume.

    Args:
        site: the folder of the built site.
        entry: which page.
        slugs: for each page of the volume its slug, `{"book/vae/elbo": "vae-elbo"}`.

    Raises:
        MissingPageError: if the site does not have the page.
    """
    path = site / f"{entry.name}.html"
    if not path.exists():
        raise MissingPageError(f"expected {path}, as _toc.yml says, got no file; run 'make book'")
    soup = BeautifulSoup(path.read_text("utf-8"), "html.parser")
    body = soup.select_one("article.bd-article > section")
    assert isinstance(body, Tag), f"{path} has no article"
    canonical = soup.select_one('link[rel="canonical"]')
    online = str(canonical["href"]) if canonical else ""
    for tag in body.select(SCREEN):
        tag.decompose()
    _rename_anchors(body, entry.slug)
    _lead_links(body, entry, slugs, online)
    _place_images(body, site, path)
    _open_folds(body)
    _name_headings(body, entry.slug)
    _bind_punctuation(body)
    page = Page(entry, text(title_of(body)), body)
    page.solutions = _take_solutions(body)
    for tag in body.select(PLAIN):
        tag.unwrap()
    body.smooth()
    for tag in body.select("div.cell, section, p"):  # what held only what was taken
        if not tag.get_text(strip=True) and not tag.find(["img", "svg", "div", "span"]):
            tag.decompose()
    return page


def title_of(body: Tag) -> Tag:
    title = body.find("h1")
    assert isinstance(title, Tag), "a page has a title"
    return title


def _rename_anchors(body: Tag, slug: str) -> None:
    """Make the ids unique in the volume; of equal ids in one page, only the first is a target.

    The links of a drawing get titles, for readers who do not see it.
    """
    seen = set()
    for tag in [body, *body.find_all(id=True)]:
        name = str(tag["id"])
        if name in seen:
            del tag["id"]
            continue
        seen.add(name)
        tag["id"] = identifier(slug, name)
    body["class"] = "page"
    for link in body.select("svg a"):
        title = BeautifulSoup("", "html.parser").new_tag("title")
        title.string = text(link)
        link.insert(0, title)
    for tag in body.select("svg *"):  # arrows are drawn by reference
        for name, value in tag.attrs.items():
            if str(value).startswith("url(#"):
                tag[name] = f"url(#{identifier(slug, str(value)[5:-1])})"


def _lead_links(body: Tag, entry: Entry, slugs: Mapping[str, str], online: str) -> None:
    """Lead links between pages to anchors of the volume, and links to other files to the site.

    A file of the site that is no page of the volume (a download) is linked where the site lives;
    where its address is not known, the words stay without a link.
    """
    for link in body.find_all("a", href=True):
        address = urlsplit(str(link["href"]))
        if address.scheme or address.netloc:
            continue
        # Relative to the page, as a browser has it, but in a site whose root is "/".
        target = unquote(urljoin(f"/{entry.name}.html", address.path)).strip("/")
        slug = slugs.get(target.removesuffix(".html"))
        if "image-reference" in link.get_attribute_list("class"):
            link.unwrap()
        elif slug:
            anchor = unquote(address.fragment)
            link["href"] = f"#{identifier(slug, anchor) if anchor else slug}"
        elif online:
            link["href"] = urljoin(online, str(link["href"]))
            link["class"] = "external"
        else:
            link.unwrap()


def _place_images(body: Tag, site: Path, page: Path) -> None:
    """Name images by their path within the site, and give widths as parts of the column."""
    for image in body.find_all("img"):
        source = (page.parent / unquote(str(image["src"]))).resolve()
        image["src"] = source.relative_to(site.resolve()).as_posix()
        width = re.search(r"width:\s*([\d.]+)px", str(image.get("style", "")))
        if width:  # the site's column is 700 pixels wide
            image["style"] = f"width: {min(100, round(float(width[1]) / 7))}%"


def _open_folds(body: Tag) -> None:
    """Show what a drop-down list folds, under its title."""
    for fold in body.find_all("details"):
        fold.name, fold.attrs = "div", {"class": "admonition"}
        summary = fold.find("summary")
        if isinstance(summary, Tag):
            summary.name, summary.attrs = "p", {"class": "admonition-title"}


def _name_headings(body: Tag, slug: str) -> None:
    """Give each heading an anchor, the title the page's own."""
    for number, head in enumerate(body.find_all(HEADINGS)):
        head["id"] = slug if head.name == "h1" else f"{slug}---{number}"


def _bind_punctuation(body: Tag) -> None:
    """Let no line begin with the comma after a formula, or end with the bracket before it."""
    for formula in body.select("span.math"):
        bound = BeautifulSoup("", "html.parser").new_tag("span", attrs={"class": "bound"})
        before, after = formula.previous_sibling, formula.next_sibling
        formula.replace_with(bound)
        bound.append(formula)
        if type(before) is NavigableString and (match := re.search(r"[(\[“‘]+$", before)):
            before.replace_with(before[: match.start()])
            bound.insert(0, match[0])
        if type(after) is NavigableString and (
            match := re.match(r"[^\s\w]\S{0,8}|\w{1,2}\b", after)
        ):
            after.replace_with(after[match.end() :])
            bound.append(match[0])


def _take_solutions(body: Tag) -> list[Tag]:
    """Take the solutions out; each exercise gets a link to its own."""
    solutions = []
    for solution in body.select("div.solution"):
        solution.extract()
        solution["class"] = "solution"
        link = solution.select_one(".admonition-title a")
        exercise = body.find(id=str(link["href"])[1:]) if link else None
        if isinstance(exercise, Tag):
            exercise.append(reference("to-solution", f"#{solution['id']}", "Solution"))
        solutions.append(copy(solution))
    return solutions


def reference(kind: str, address: str, words: str) -> Tag:
    """A paragraph that holds one link."""
    soup = BeautifulSoup("", "html.parser")
    paragraph, link = soup.new_tag("p", attrs={"class": kind}), soup.new_tag("a", href=address)
    link.string = words
    paragraph.append(link)
    return paragraph
