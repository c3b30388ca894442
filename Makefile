# make test does everything on a fresh machine: virtual environment, packages, tests.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
VENV        := .venv
BIN         := $(VENV)/bin
READY       := $(VENV)/ready
JOBS        ?= 2
FOLDERS     := spec golden rtl sim firmware tests bench

.PHONY: help setup test lint clean

help:           ## show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## create .venv and install the pinned packages

# ensurepip is what Debian splits off into python3-venv
$(READY): pyproject.toml constraints.txt
	@missing=""; \
	for tool in g++ perl; do command -v $$tool >/dev/null || missing+=" $$tool"; done; \
	python=""; \
	for candidate in python3.11 python3 python3.12 python3.13 python3.14; do \
	    if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        python=$$candidate; break; fi; done; \
	if [ -z "$$python" ]; then missing+=" python3 python3-venv"; \
	elif ! $$python -c 'import ensurepip, venv' 2>/dev/null; then missing+=" python3-venv"; fi; \
	if [ -n "$$missing" ]; then \
	    echo "setup: wanted g++, perl and Python >= 3.11 with venv; run: apt-get install -y$$missing" >&2; \
	    exit 1; fi; \
	[ -x $(BIN)/python ] || $$python -m venv $(VENV); \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --constraint constraints.txt --editable '.[dev]'
	@touch $@

test: $(READY)  ## run pytest on tests/ and sim/
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal tests/ sim/

lint: $(READY)  ## ruff and mypy
	$(BIN)/ruff check $(FOLDERS)
	$(BIN)/mypy

clean:          ## remove .venv and build products in the checkout (the cache in ~/.cache/hqdm stays)
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find $(FOLDERS) -name __pycache__ -type d -prune -exec rm -rf {} +
