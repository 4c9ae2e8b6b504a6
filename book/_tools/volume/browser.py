"""Chromium with MathJax, which typesets formulas for the PDF and writes them as MathML for EPUB."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Error, Page, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 600_000  # milliseconds; the whole book is one page, and a machine may be busy


class NoBrowserError(RuntimeError):
    """There is no Chromium."""


def chromium() -> str:
    """The path of a Chromium.

    Raises:
        NoBrowserError: if there is none.
    """
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not found or not shutil.which(found):
        raise NoBrowserError(
            f"Chromium typesets the formulas, expected one of {', '.join(names)} on the PATH, "
            f"got {found or 'none'}; install it ('sudo apt install chromium'), or put the path of "
            "a Chromium or Chrome into the environment variable CHROMIUM"
        )
    return found


@contextmanager
def opened(path: Path) -> Iterator[Page]:
    """A page that shows a local file; nothing else than local files is fetched."""
    with sync_playwright() as playwright:
        with playwright.chromium.launch(executable_path=chromium(), args=FLAGS) as browser:
            page = browser.new_page()
            page.set_default_timeout(PATIENCE)
            page.route(
                lambda url: not url.startswith(("file:", "data:")), lambda route: route.abort()
            )
            page.goto(path.as_uri(), wait_until="load")
            yield page


class StuckBrowserError(RuntimeError):
    """Chromium gave no answer."""


@contextmanager
def answering_within(seconds: float) -> Iterator[None]:
    """End Chromium if what is asked of it within takes longer.

    On an overloaded machine the process that composes a PDF can end before it is used, and
    Chromium then waits for it without an end.

    Raises:
        StuckBrowserError: it took longer.
    """

    def end() -> None:
        for child in psutil.Process().children(recursive=True):
            if "chrom" in child.name().lower():
                child.kill()

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        yield
    except Error as error:
        if timer.is_alive():  # a fault of its own
            raise
        raise StuckBrowserError(
            f"Chromium gave no answer within {seconds:g} seconds and was ended; close other "
            "programs and start again"
        ) from error
    finally:
        timer.cancel()


def scripts(settings: dict[str, Any], site: Path) -> str:
    """What a page's head has to hold for `volume.js`, which starts MathJax.

    Args:
        settings: of MathJax's TeX input, the macros among them.
        site: the folder of the built site, where MathJax lies.
    """
    config = {
        "tex": settings,
        "options": {"enableMenu": False, "menuOptions": {"settings": {"assistiveMml": False}}},
        "startup": {"typeset": False},
    }
    files = [site / "_static" / "mathjax" / "tex-chtml.js", Path(__file__).with_name("volume.js")]
    return f"<script>MathJax = {json.dumps(config)};</script>" + "".join(
        f'<script src="{file.as_uri()}"></script>' for file in files
    )
