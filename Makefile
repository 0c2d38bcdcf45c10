# The two commands: `make book` builds the book from its sources, `make test` proves it.
SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := book
PYTHON ?= python3
BIN := .venv/bin
SITE := _build/html

# Where the home folder cannot be written, what Jupyter and Matplotlib keep there goes beside the
# environment.
ifneq ($(shell test -w "$$HOME" && echo yes),yes)
export HOME := $(CURDIR)/.venv/home
endif

.PHONY: book html pdf test quick lint bench mutants results lock clean

book: .venv/installed  ## execute every chapter, then render
	$(BIN)/python tools/chapters.py
	@$(MAKE) --no-print-directory html

html: .venv/installed  ## render the committed, executed notebooks
	rm -rf _build
	$(BIN)/jupyter-book build . -q -W -n --keep-going
	@echo "The book: file://$(CURDIR)/$(SITE)/index.html"

pdf: html  ## print the whole book into one PDF (needs Chromium)
	$(BIN)/python tools/pdf.py

# A process for each core: more threads would only wait for each other.
test: export OMP_NUM_THREADS ?= 1
test: .venv/installed lint html  ## everything a checker wants to know
	$(BIN)/pytest -n logical --dist loadfile --no-loadscope-reorder --nbval tests book

quick: export OMP_NUM_THREADS ?= 1
quick: .venv/installed  ## what the package computes, in half a minute: no page, no browser
	$(BIN)/pytest -q -n logical --dist worksteal -m "not slow" --hypothesis-profile quick tests

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: .venv/installed  ## speeds, as ratios within one run
	$(BIN)/python tests/bench/flow.py
	$(BIN)/python tests/bench/training.py
	$(BIN)/python tests/bench/paper.py
	$(BIN)/python tests/bench/certificate.py
	$(BIN)/python tests/bench/sweeps.py

# TensorFlow's own threads would not outlive the forks.
mutants: export OMP_NUM_THREADS := 1
mutants: .venv/installed  ## how many small changes of support/ the quick tests notice: hours
	$(BIN)/mutmut run --max-children $$(nproc)
	$(BIN)/python tools/mutants.py

results: .venv/installed  ## recompute the stored results that the pages render
	$(BIN)/python tools/results.py

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "This book needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv \
	  || { echo "Could not create .venv; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@mkdir -p .venv/home
	@touch $@

lock:  ## pin requirements.txt anew (needs uv: https://docs.astral.sh/uv/)
	uv pip compile requirements.txt --output-file requirements.lock --upgrade \
	  --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	  --no-strip-extras --no-emit-package poisoned-ssm-book --custom-compile-command "make lock"

clean:
	rm -rf _build .venv
