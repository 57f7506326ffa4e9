# make train   a population learns the adding problem; CONFIG=... and ARGS='...' are passed on
# make test    the whole suite
# make quick   the part of it that is worth running before each commit
# make venv    the environment alone
# make check   what CI checks before the tests: format, lint, types, generated tables
# make pins    requirements.txt made anew from pyproject.toml (needs uv)

PYTHON ?= python3
CONFIG ?= configs/adding.py
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: train test quick venv check pins

train: venv
	@$(BIN)/python -m experiments.train --config=$(CONFIG) $(ARGS)

PYTEST := $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile

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
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra dev \
	  --generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements.txt
