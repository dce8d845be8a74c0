# The commands of a clone. Python 3.11 or newer and make are all they need; everything goes into .venv.
#
#   make demo    a working product on embedded parts, with a mail catcher to look into
#   make test    the whole suite, on SQLite, PostgreSQL, Valkey, real SMTP and Chromium
#   make faults  the fault matrix at length: kills, restarts, races, the soak (PEOPLE=50000 for the whole of it)
#   make check   lint, format, types, templates
#   make bench   the measurements of bench/
#   make migration ARGS="what it does"    the next migration, drafted from the models
#   make lock    the lock files again, from pyproject.toml (needs uv)
#   make clean   away with everything that was made here, except data/

VENV := .venv
BIN := $(VENV)/bin

# The newest Python that runs here, can make environments and is new enough. Override with make PYTHON=/path/to/python.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { command -v $$p; break; }; done)

DEMO_INSTALLED := $(VENV)/.installed
TEST_INSTALLED := $(VENV)/.installed-for-tests
# What a first start needs is compiled by it; doing so for every file takes as long as the rest of the installation.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-compile

# Tests of different files run side by side; WORKERS=0 runs all in one process, ARGS="-k name" picks some.
# Much of their time they wait for other processes: three keep two processors at work.
WORKERS ?= 3
ARGS ?=
# The files of tests lie in memory where there is room for them: each waits for the disk at every commit, and none is to outlive it.
IN_MEMORY := $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 2000000 { print "PYTEST_DEBUG_TEMPROOT=/dev/shm" }')

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

.PHONY: help demo test faults check bench migration lock clean chromium
.DEFAULT_GOAL := help

help:
	@sed -n 's/^#   //p' Makefile

demo: $(DEMO_INSTALLED)
	@$(BIN)/preference-center demo $(ARGS)

test: $(TEST_INSTALLED) chromium
	@$(IN_MEMORY) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

faults: $(TEST_INSTALLED)
	@$(BIN)/python -m pytest -s -o python_files="test_*.py long_*.py" tests/faults $$($(BIN)/python -m tests.faults.matrix) $(ARGS)

check: $(TEST_INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/djlint --lint --quiet templates

bench: $(TEST_INSTALLED)
	@$(BIN)/python -m bench $(ARGS)

migration: $(TEST_INSTALLED)
	@$(BIN)/python -m tests.support.new_migration $(ARGS)

# A wheel cannot bring Chromium: this finds it, brings it, or says in one line what to install.
chromium: $(TEST_INSTALLED)
	@$(BIN)/python -m tests.support.chromium

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "Python 3.11 or newer with its venv module is needed (on Debian: apt-get install python3 python3-venv)." >&2; exit 1; fi
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(DEMO_INSTALLED): $(BIN)/python requirements.txt requirements-build.txt pyproject.toml
	@echo "Installing the locked libraries"
	@$(PIP_INSTALL) --require-hashes -r requirements.txt -r requirements-build.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(TEST_INSTALLED): $(DEMO_INSTALLED) requirements-test.txt
	@echo "Installing what the tests need"
	@$(PIP_INSTALL) --require-hashes -r requirements-test.txt
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true  # their warnings, shown once here, are not ours
	@touch $@

lock:
	@command -v uv >/dev/null || { echo "make lock needs uv (pip install uv)." >&2; exit 1; }
	@$(LOCK) pyproject.toml -o requirements.txt
	@$(LOCK) pyproject.toml --extra test -c requirements.txt -o requirements-test.txt
	@printf 'hatchling\neditables\n' | $(LOCK) - -c requirements-test.txt -o requirements-build.txt

clean:
	@rm -rf $(VENV) demo-data build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
