"""With each page of a chapter, Sphinx writes its plain notebook, and the buttons lead there.

`notebooks/with-outputs` and `notebooks/without-outputs` of the site hold one notebook a chapter;
`book/_tools/plain.py` says what is plain about them. The chapter's own file is not published.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ConfigError, ExtensionError

from book._tools.plain import (
    REPOSITORY,
    TAG,
    WITH,
    WITHOUT,
    plain_notebook,
    without_outputs,
)
from book._tools.plain_words import Page, UnknownNodeError

COLAB = REPOSITORY.replace("https://github.com", "https://colab.research.google.com/github")
BINDER = REPOSITORY.replace("https://github.com", "https://mybinder.org/v2/gh")


def is_notebook(app: Sphinx, name: str) -> bool:
    found = name in app.env.found_docs
    return found and Path(app.env.doc2path(name)).suffix == ".ipynb"


def file_of(name: str) -> str:
    """`vae/elbo.ipynb` of the page `book/vae/elbo`."""
    return f"{name.removeprefix('book/')}.ipynb"


def page_of(app: Sphinx, name: str) -> Page:
    site = app.config.html_baseurl.rstrip("/") + "/"
    if site == "/":
        raise ConfigError("plain notebooks link to the site: set html: baseurl in _config.yml")
    assert app.builder is not None
    numbers: dict[str, str] = {}
    for kind, ids in app.env.toc_fignumbers.get(name, {}).items():
        form = app.config.numfig_format.get(kind, "%s")
        numbers |= {key: form % ".".join(map(str, number)) for key, number in ids.items()}
    return Page(
        site=site,
        url=site + app.builder.get_target_uri(name),
        numbers=numbers,
        macros=app.config.mathjax3_config.get("tex", {}).get("macros", {}),
        folder=Path(app.srcdir),
    )


def write_notebooks(app: Sphinx, document: nodes.document, name: str) -> None:
    """Both notebooks of a page, if it is a chapter."""
    if app.builder.name != "html" or not is_notebook(app, name):
        return
    chapter = nbformat.read(app.env.doc2path(name), as_version=4)
    try:
        plain = plain_notebook(document, chapter, page_of(app, name))
    except (UnknownNodeError, ValueError) as error:
        raise ExtensionError(str(error)) from error
    for folder, notebook in ((WITH, plain), (WITHOUT, without_outputs(plain))):
        path = Path(app.outdir, folder, file_of(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def lead_to_them(
    app: Sphinx, name: str, template: str, context: dict[str, Any], document: Any
) -> None:
    """Download, Colab and Binder give the plain notebook of the page's release."""
    if app.builder.name != "html" or not is_notebook(app, name):
        return
    context["sourcename"] = ""  # the chapter's own file is not copied to _sources
    file, address = file_of(name), context["pathto"]
    download = {"type": "link", "icon": "fas fa-file", "text": ".ipynb"}
    links = [
        download
        | {
            "url": address(f"{WITH}/{file}", 1),
            "tooltip": "Download the notebook",
            "label": "download-notebook-button",
        },
        download
        | {
            "url": address(f"{WITHOUT}/{file}", 1),
            "text": ".ipynb, no outputs",
            "tooltip": "Download the notebook without its outputs",
            "label": "download-stripped-notebook-button",
        },
    ]
    launch = {
        "Binder": f"{BINDER}/{TAG}?urlpath=lab/tree/{WITH}/{file}",
        "Colab": f"{COLAB}/blob/{TAG}/{WITH}/{file}",
    }
    for group in context["header_buttons"]:
        if group.get("label") == "download-buttons":
            pdf = [b for b in group["buttons"] if b["label"] == "download-pdf-button"]
            group["buttons"] = links + pdf
        elif group.get("label") == "launch-buttons":
            for button in group["buttons"]:
                button["url"] = launch[button["text"]]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-resolved", write_notebooks, priority=900)  # when all others are done
    app.connect("html-page-context", lead_to_them, priority=900)  # after the theme's buttons
    return {"parallel_read_safe": True, "parallel_write_safe": True}
