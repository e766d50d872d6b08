# make run    classify a photograph on the simulated accelerator
# make test   run all tests
# make lint   check style and types
# The first call sets up .venv; later calls start at once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PICTURE ?= examples/cat.png

# What an installed package is built from: a change means installing again.
SOURCES := pyproject.toml setup.py $(wildcard hls/*.cpp hls/*.hpp)
HLS_COMPILERS := $(notdir $(shell command -v g++) $(shell command -v clang++))

.PHONY: run test lint clean

run: $(VENV)/installed
	$(BIN)/pynq-snn run $(PICTURE)

test: $(VENV)/installed-for-tests
	$(BIN)/python -m pytest $(PYTEST_OPTIONS)

lint: $(VENV)/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
ifneq ($(HLS_COMPILERS),)
	$(MAKE) -C hls lint LINTERS="$(HLS_COMPILERS)"
endif

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis pynq_snn/*.so
	$(MAKE) -C hls clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/installed-for-tests: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@ $(VENV)/installed
