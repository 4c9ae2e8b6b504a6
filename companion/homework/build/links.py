"""Links from a homework into the book, for notebooks and for the site.

A source writes them ``[text](vae/vae#eq-vae-rate)``, page and label, or by Sphinx's roles
``{doc}``, ``{eq}`` and ``{ref}``.
"""

import re

from companion.homework.judging import link

PLACE = re.compile(r"\[([^\[\]]+)\]\(([a-z_]+/[a-z_]+)(?:#([\w-]+))?\)")
ROLE = re.compile(r"\{(doc|eq|ref)\}`(?:([^`<]+?)\s*<)?([^`>]+)>?`")
# The page of a label, by the first word of the label.
PAGES = {
    "beta": "vae/beta_vae",
    "data": "start/data",
    "dcgan": "gan/dcgan",
    "distances": "start/distances",
    "draw": "rnn/draw",
    "elbo": "vae/elbo",
    "evaluation": "gan/evaluation",
    "gates": "rnn/gates",
    "infogan": "gan/infogan",
    "iwae": "vae/iwae",
    "minimax": "gan/minimax",
    "quick": "start/quickstart",
    "recurrence": "rnn/recurrence",
    "stability": "gan/stability",
    "vae": "vae/vae",
    "video": "rnn/video",
    "vq": "vae/vq_vae",
}


def addresses(text: str) -> str:
    """Markdown for a notebook: all links to the book are addresses."""

    def of_place(found: re.Match[str]) -> str:
        words, page, label = found.groups()
        return f"[{words}]({link(f'{page}#{label}' if label else page)})"

    def of_role(found: re.Match[str]) -> str:
        role, words, target = found.groups()
        if role == "doc":
            page = target.removeprefix("/book/")
            return f"[{words or page}]({link(page)})"
        said = words or ("this equation" if role == "eq" else "this section")
        return f"[{said}]({link(f'{page_of(target)}#{target}')})"

    return ROLE.sub(of_role, PLACE.sub(of_place, text))


def roles(text: str, folder: str) -> str:
    """Markdown for a page of the book: links are roles where Sphinx has one.

    Args:
        folder: of the page, seen from the folder of the book.
    """
    up = "../" * (folder.count("/") + 1)

    def of_place(found: re.Match[str]) -> str:
        words, page, label = found.groups()
        if not label:
            return f"{{doc}}`{words} </book/{page}>`"
        if label.startswith("eq-"):
            return f"{words} {{eq}}`{label}`"
        return f'<a class="reference internal" href="{up}{page}.html#{label}">{words}</a>'

    return PLACE.sub(of_place, text)


def page_of(label: str) -> str:
    """The page on which a label stands.

    Raises:
        KeyError: no page has labels that begin so.
    """
    return PAGES[label.removeprefix("eq-").split("-")[0]]
