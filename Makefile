# Everything runs in .venv, which the first target makes. `make` alone shows the list.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The peers that benchmarks run beside nescio have an environment of their own.
PEERS := benchmarks/.venv
REPORT ?= demo.html
# An index with torch's CPU builds, for Linux where the usual one gives the CUDA build:
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=

SHELL := bash
INPUTS := pyproject.toml constraints.txt CMakeLists.txt $(wildcard native/*)
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install \
  --no-compile --constraint constraints.txt \
  $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
# Of pip's words: large downloads, what was installed, and everything from an error on.
SHORTEN := sed -n -e '/^ *Downloading .*MB)/p' -e '/^ *ERROR/,$$p' -e '/^ *error/,$$p'

# Two processes; the tests of a file stay together, with what they set up.
SIDE_BY_SIDE := -n 2 --dist loadfile

# With --quiet, --strict would not see what is warned of.
STRICT_DOCS = said=$$($(BIN)/mkdocs build --strict 2>&1) || { echo "$$said"; exit 1; }

# Modules are compiled as they are first imported, not all at once when installed.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH
# The theme's advertisement of its successor.
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check coverage verify bench docs clean model model-file

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.local ## install what a first look needs and write demo.html
	@$(BIN)/nescio demo --html "$(REPORT)"

test: $(VENV)/.dev model ## run the tests
	@$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) -m "not verify and not real_server"

check: $(VENV)/.dev ## what CI runs: format, lint, types, layers, docs, tests
	@echo "== format"; $(BIN)/ruff format --check --quiet . || \
	  { echo "run: $(BIN)/ruff format ."; exit 1; }
	@echo "== lint"; $(BIN)/ruff check --quiet .
	@echo "== types"; $(BIN)/basedpyright --pythonpath $(BIN)/python
	@echo "== layers"; said=$$($(BIN)/lint-imports --no-cache --no-logo) \
	  || { echo "$$said"; exit 1; }
	@echo "== docs"; $(STRICT_DOCS)
	@$(MAKE) --no-print-directory model model-file
	@echo "== tests"; $(BIN)/python -m pytest --no-header $(SIDE_BY_SIDE)

# Apart from `check`: watching every line takes most of the tests' time.
coverage: $(VENV)/.dev model model-file ## the tests, and which lines they never reach
	@$(BIN)/python -m pytest -q --cov $(SIDE_BY_SIDE)

verify: $(VENV)/.dev model model-file ## the long checks; writes results/*.json
	@$(BIN)/nescio models get gemma3-270m --accept-license
	@$(BIN)/python -m pytest -q -m verify
	@set -e; for script in experiments/[a-z]*.py tests/verify/[a-z]*.py; do \
	  case "$$script" in *'*'* | */test_* | */conftest.py) continue ;; esac; \
	  echo "== $$script"; $(BIN)/python "$$script"; done

bench: $(PEERS)/.peers model ## speed and memory beside the peers; writes results/
	@$(BIN)/nescio models get gemma3-270m --accept-license
	@set -e; for script in import_time kernel engine corpus_scoring sampling calibration \
	  consistency lens losses watching ensemble speculative; do \
	  echo "== benchmarks/$$script.py"; $(PEERS)/bin/python benchmarks/$$script.py; done

docs: $(VENV)/.dev ## build the documentation into site/
	@$(STRICT_DOCS)
	@echo "site/index.html"

clean: ## remove everything that was built, .venv too
	rm -rf $(VENV) $(PEERS) build dist site htmlcov .coverage .pytest_cache .ruff_cache \
	  .hypothesis .import_linter_cache demo.html demo-answer.html src/nescio/_native.*.so
	find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

model:
	@$(BIN)/nescio models get smollm2

# For the real server in the tests.
model-file: $(VENV)/.dev
	@$(BIN)/nescio models get smollm2 --gguf build/smollm2.gguf

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo \
	  "There is no $(PYTHON). Name one: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
	  "nescio needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V)." \
	  "Name another: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 2; }

# What builds the native kernel. CMake and Ninja come from the system if it has them.
$(VENV)/.build: constraints.txt | $(BIN)/python
	@set -o pipefail; $(INSTALL) scikit-build-core nanobind \
	  $$(command -v cmake >/dev/null || echo cmake) \
	  $$(command -v ninja >/dev/null || echo ninja) 2>&1 | $(SHORTEN)
	@touch $@

$(PEERS)/.peers: $(INPUTS) $(wildcard benchmarks/requirements*.txt) $(VENV)/.local
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@echo "== installing nescio and its peers into $(PEERS); this takes minutes"
	@set -o pipefail; pip="$(PEERS)/bin/python -m pip --disable-pip-version-check \
	  install --no-compile --constraint constraints.txt \
	  --constraint benchmarks/constraints.txt \
	  $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))"; { \
	  $$pip -r benchmarks/requirements.txt scikit-build-core nanobind \
	  && $$pip --no-deps -r benchmarks/requirements-alone.txt \
	  && $$pip --no-build-isolation --editable ".[local]"; } 2>&1 | $(SHORTEN)
	@touch $@

$(VENV)/.local: EXTRAS := local
$(VENV)/.dev: EXTRAS := local,plot,dev
$(VENV)/.local $(VENV)/.dev: $(INPUTS) $(VENV)/.build
	@echo "== installing nescio[$(EXTRAS)] into $(VENV); the first time takes minutes"
	@set -o pipefail; $(INSTALL) --no-build-isolation --editable ".[$(EXTRAS)]" 2>&1 \
	  | $(SHORTEN)
	@$(BIN)/python -c 'import nescio._native' 2>/dev/null || echo \
	  "The native kernel was not built (no C++ compiler?); NumPy does its work, slower."
	@touch $(VENV)/.local $@
