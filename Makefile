# Images from Noise. `make help` lists what can be made.
# Each step leaves a stamp, so that nothing is installed or built twice.

PYTHON ?= python3
VENV   ?= .venv
PORT   ?= 8000
NB     ?=
# Of `make bundle`: for which systems and Pythons (by default the one of .venv), and, if you have
# one, an index with torch without CUDA. Of `make figures`: page or projector.
PLATFORMS   ?= linux windows macos
PYTHONS     ?=
TORCH_INDEX ?=
STYLE       ?= page

BIN       := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SITE      := _build/html/index.html
VOLUME    := _build/images-from-noise
SOURCES   := $(shell find book companion -type f \
               -not -name '*.pyc' -not -path '*/.*' 2>/dev/null) \
             _config.yml _toc.yml CHANGELOG.md CITATION.cff

# One thread a process: on small machines several threads for small tensors are slower than one.
TEST_ENV := OMP_NUM_THREADS=1 MPLBACKEND=agg PYTHONDONTWRITEBYTECODE=1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help install book pdf epub serve unit test test-threads check notebooks homework preflight figures bundle lock clean distclean

help:  ## list these commands
	@echo "Images from Noise: what can be made"
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20
	@echo "Variables: PYTHON=python3.12 (the interpreter), NB=book/gan/dcgan.ipynb (one notebook), PORT=8000,"
	@echo "  PLATFORMS='linux windows macos' PYTHONS='3.12 3.13' TORCH_INDEX=... (bundle), STYLE=projector (figures)"

install: $(INSTALLED)  ## make .venv and install the package with everything it needs

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "make: $(PYTHON) is $$($(PYTHON) --version 2>&1 || echo missing); this book needs Python 3.11 or newer:" \
	       "install it, then run 'make PYTHON=/path/to/python3.11 ...'." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "make: $(PYTHON) has no venv module; on Debian and Ubuntu run 'sudo apt install python3-venv'," \
	       "then try again." >&2; exit 1; }
	@test -x $(BIN)/python || { echo "==> making the virtual environment $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "==> installing the package and its tools into $(VENV) (about 6.4 GB with torch, once; some minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all]'
	@touch $@

book: $(SITE)  ## build the site into _build/html
	@echo "==> the site is $(SITE); 'make serve' shows it at http://localhost:$(PORT)"

$(SITE): $(INSTALLED) $(SOURCES)
	@echo "==> building the site into _build/html (warnings are errors)"
	@rm -rf _build/html
	@$(BIN)/jupyter-book build -W -n --keep-going --quiet . || { rm -f $@; exit 1; }
	@touch $@

pdf: $(VOLUME).pdf  ## print the whole book into one PDF (needs Chromium)

epub: $(VOLUME).epub  ## pack the whole book into one EPUB (needs Chromium)

$(VOLUME).pdf $(VOLUME).epub: $(SITE)
	@echo "==> making $@"
	@$(BIN)/python -m book._tools.volume $(subst .,,$(suffix $@))

serve: $(SITE)  ## show the site at http://localhost:8000
	@echo "==> serving the site at http://localhost:$(PORT) (stop with Ctrl-C)"
	@$(BIN)/python -m http.server $(PORT) --directory _build/html

check: $(INSTALLED)  ## check style and types (seconds)
	@echo "==> ruff: style"
	@$(BIN)/ruff check --quiet .
	@echo "==> mypy: types"
	@$(BIN)/mypy

unit: $(INSTALLED)  ## test the package only, without its homework (three minutes on two cores)
	@echo "==> pytest: the package"
	@$(TEST_ENV) $(BIN)/pytest -n 2 -m 'not slow'

test: $(INSTALLED) $(SITE) check  ## run every check and every test (three quarters of an hour on two cores)
	@echo "==> pytest: package, notebooks under one thread, site"
	@$(TEST_ENV) $(BIN)/pytest -n 2 --cov --cov-report=term --cov-fail-under=90

test-threads: $(INSTALLED)  ## run the notebooks under two threads, too
	@echo "==> pytest: notebooks under two threads"
	@$(TEST_ENV) NOTEBOOK_THREADS=2 $(BIN)/pytest -k notebook_gives_its_stored tests/test_notebooks.py

notebooks: $(INSTALLED)  ## run all notebooks, or NB=..., and rewrite their stored outputs
	@echo "==> running $(or $(NB),every notebook)"
	@$(BIN)/python -m book._tools.execute $(NB)

homework: $(INSTALLED)  ## build students' notebooks and graders into dist/homework, or VARIANT=7
	@echo "==> building the homework, variant $(or $(VARIANT),0)"
	@$(BIN)/companion homework build --variant $(or $(VARIANT),0)

preflight: $(INSTALLED)  ## run all notebooks, or NB=..., once before a class; nothing is written
	@$(TEST_ENV) $(BIN)/python -m book._tools.preflight $(NB)

figures: $(INSTALLED)  ## run all notebooks, or NB=..., and pack their figures as SVG into _build/figures.zip
	@$(TEST_ENV) $(BIN)/python -m book._tools.figures --style $(STYLE) $(NB)

bundle: $(SITE)  ## fill _build/bundle for a USB stick: site, notebooks, data, weights, wheels
	@$(BIN)/python -m book._tools.bundle --platform $(PLATFORMS) \
	  $(if $(PYTHONS),--python $(PYTHONS)) $(if $(TORCH_INDEX),--torch-index $(TORCH_INDEX))

lock: $(INSTALLED)  ## write the versions installed in .venv to constraints.txt
	@echo "==> writing constraints.txt"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,grading]'
	@{ sed '/^[^#]/,$$d' constraints.txt; $(BIN)/python -m pip freeze --all --exclude-editable \
	  | grep -viE '^(nvidia|cuda|triton|pip)[-_a-z0-9]*=='; } > constraints.new
	@mv constraints.new constraints.txt && touch $(INSTALLED)

clean:  ## remove what was built, keep .venv
	@echo "==> removing the site, caches and coverage data"
	@rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov build dist *.egg-info
	@find . -name __pycache__ -not -path './$(VENV)/*' -type d -prune -exec rm -rf {} +

distclean: clean  ## remove .venv, too
	@rm -rf $(VENV)
