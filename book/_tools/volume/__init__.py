"""The whole book in one file, PDF or EPUB, made from the built site.

`python -m book._tools.volume pdf` and `... epub` write `_build/images-from-noise.pdf` and `.epub`.
`contents` reads the order of the pages, `pages` cleans each, `stage` puts them together with what a
volume adds, `browser` typesets the formulas; `pdf` prints, `epub` packs.
"""
