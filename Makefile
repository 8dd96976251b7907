# Everything a person or CI runs. `make quickstart` and `make test` need nothing but Python >= 3.11.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: quickstart test test-slow lint docs tutorials bench bench-smoke gpu paper-gpu install clean

quickstart: install  ## the main job: events, training, a generated dataset and its report
	$(BIN)/mleg quickstart

test: install  ## the default test suite
	$(BIN)/python -m pytest -n 2

test-slow: install  ## what takes minutes: long trainings, many process kills
	$(BIN)/python -m pytest -m slow

lint: install  ## style, types and the layers of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: install  ## the site of the documents, in build/site
	$(BIN)/mkdocs build --quiet

tutorials: install  ## runs the notebooks, whose outputs the site then shows, in minutes
	rm -rf build/tutorials && mkdir -p build && cp -r docs/tutorials build/tutorials
	cd build/tutorials && $(CURDIR)/$(BIN)/jupyter-execute --inplace *.ipynb

# The others want a checkpoint or events, or train for long: `python -m benchmarks --help`.
BENCH := averaging codec cost-model tallies evaluate train-overhead tune-stacked amplification

bench: install  ## side-by-side measurements; tables on the terminal, JSON in benchmarks/results
	for row in $(BENCH); do $(BIN)/python -m benchmarks $$row || exit 1; done

bench-smoke: install  ## every benchmark, very small: that it runs, in a few minutes
	$(BIN)/python -m pytest -m smoke tests/benchmarks

gpu: install  ## on a machine with a GPU, in minutes: the tests that need one, and what it gains
	$(BIN)/python -m pytest -m gpu
	$(BIN)/python -m benchmarks gpu

SECONDS := 600

paper-gpu: install  ## every recipe with its source's values, each for SECONDS of a GPU
	$(BIN)/python -m benchmarks budgets --seconds $(SECONDS)

install: $(INSTALLED)

# torch comes first and alone: where a CPU build of the locked version is at hand, it is taken.
$(INSTALLED): pyproject.toml constraints.txt
	@echo "Installing into $(VENV): some minutes the first time"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--editable '.[pythia,hep,study,export,dev]'
	touch $@

clean:
	rm -rf $(VENV) mleg-storage
