# make train   a population learns the adding problem; CONFIG=... and ARGS='...' are passed on
# make test    the whole suite
# make quick   the part of it that is worth running before each commit
# make table   TABLE=cells: its sweep, or what is missing of it, then its table from the results;
#              DATA=... is the file that some sweeps take
# make venv    the environment alone
# make check   what CI checks before the tests: format, lint, types, generated tables
# make docs    the site, from docs/ and docstrings, in site/
# make pins    requirements.txt made anew from pyproject.toml (needs uv)

PYTHON ?= python3
CONFIG ?= configs/adding.py
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: train test quick table venv check docs pins

train: venv
	@$(BIN)/python -m experiments.train --config=$(CONFIG) $(ARGS)

table: venv
	@git diff --quiet HEAD -- ':(exclude)results' || \
	  { echo "error: commit your changes first: results name the commit they are of" >&2; exit 2; }
	@$(BIN)/python -m experiments.sweep --workdir=runs/$(TABLE) $(ARGS) \
	  --config=configs/sweeps/$(TABLE).py$(if $(DATA),:$(DATA)) || [ $$? = 1 ]  # some diverged
	@$(BIN)/python -m scripts.paper.results runs/$(TABLE)
	@$(BIN)/python -m scripts.paper

PYTEST := $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile \
  --no-loadscope-reorder

test: venv
	@$(PYTEST) $(ARGS)

# Only the files that have such tests, since to read the others takes a while.
quick: venv
	@$(PYTEST) -m quick $(ARGS) $$(grep -rl 'mark\.quick' tests --include='test_*.py')

check: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m scripts.paper --check

docs: $(VENV)/docs
	@$(BIN)/python -m scripts.website

$(VENV)/docs: $(VENV)/installed
	@echo "installing what makes the site into $(VENV) (once)"
	@$(PIP) install --no-build-isolation --editable '.[docs]'
	@touch $@

venv: $(VENV)/installed

$(VENV)/installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is `$(PYTHON) -V`: must be 3.11 or later (make PYTHON=python3.12 ...)" >&2; exit 2; }
	@echo "installing into $(VENV) (once, about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes --requirement requirements.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

pins:
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra lab --extra dev \
	  --generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements.txt
