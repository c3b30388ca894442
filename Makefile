# On a fresh machine make sample and make test do everything: virtual environment, packages, work.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
VENV        := .venv
BIN         := $(VENV)/bin
READY       := $(VENV)/ready
JOBS        ?= 2
FOLDERS     := spec kit golden rtl learn cycles firmware fpga sim cli tests bench formal examples
MODEL       ?= models/cifar10
SAMPLES     ?= build/sample

.PHONY: help setup sample test formal lint clean

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

# the golden grid is made while the simulator is built and runs; a background job ignores Ctrl-C
sample:         ## sample 16 images with the golden model and one through the RTL, compared
	@[ -f $(MODEL)/w4a4.integers.safetensors ] && [ -f $(MODEL)/decoder.safetensors ] || { \
	    echo "sample: wanted the model in $(MODEL), found none; docs/recipe.md makes one" >&2; \
	    exit 1; }
	@$(MAKE) --no-print-directory setup
	@mkdir -p $(SAMPLES); export OMP_NUM_THREADS=1; \
	$(BIN)/hqdm sample --backend golden -n 16 --steps 20 --model $(MODEL) \
	    -o $(SAMPLES)/golden.png > $(SAMPLES)/golden.txt 2> $(SAMPLES)/golden.err & golden=$$!; \
	trap 'kill $$golden 2>/dev/null || true' EXIT; \
	$(BIN)/hqdm sample --backend rtl --config n16 -n 1 --steps 20 --compare layers \
	    --model $(MODEL) -o $(SAMPLES)/rtl.png; \
	wait $$golden || { cat $(SAMPLES)/golden.err >&2; exit 1; }; cat $(SAMPLES)/golden.txt

test: $(READY)  ## run pytest on tests/ and sim/
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal tests/ sim/

formal: $(READY) ## the formal checks with their long bounds, and defects (make test has the short)
	OMP_NUM_THREADS=1 $(BIN)/python -m formal --long --defects --jobs $(JOBS)

lint: $(READY)  ## ruff, mypy, and imports that only point down
	$(BIN)/ruff check $(FOLDERS)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

clean:          ## remove .venv and build products in the checkout (the cache in ~/.cache/hqdm stays)
	rm -rf $(VENV) build src/*.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find $(FOLDERS) -name __pycache__ -type d -prune -exec rm -rf {} +
