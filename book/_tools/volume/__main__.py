"""`python -m book._tools.volume pdf` or `epub`: the whole book in one file under `_build`."""

from __future__ import annotations

import argparse
import sys

from book._tools import ROOT
from book._tools.volume import epub, pdf
from book._tools.volume.browser import NoBrowserError
from book._tools.volume.pages import MissingPageError


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m book._tools.volume", description=__doc__)
    parser.add_argument("format", choices=["pdf", "epub"])
    wanted = parser.parse_args().format
    try:
        make = pdf.make if wanted == "pdf" else epub.make
        report: pdf.Report | epub.Report = make(ROOT, ROOT / "_build")
        print(f"==> {report.summary}")
    except (NoBrowserError, MissingPageError) as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
