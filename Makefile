# make run    classify a photograph on the simulated accelerator
# make test   run all tests
# make lint   check style and types
# make test-board   run the board's tests over the real pynq, in environments of their own
# make notebooks  run all notebooks and keep what they print (accuracy on a sample: PYNQ_SNN_CIFAR10=FOLDER)
# make board-wheel  build the package for the board's processor, with a cross compiler
# The first call sets up .venv; later calls start at once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PICTURE ?= examples/cat.png

# What an installed package is built from: a change means installing again.
SOURCES := pyproject.toml setup.py $(wildcard hls/*.cpp hls/*.hpp)
HLS_COMPILERS := $(notdir $(shell command -v g++) $(shell command -v clang++))

# The pynq of the newest and of the oldest image, each with the Python that it can be installed for, where there is one.
first_that_runs = $(shell for python in $(1); do "$$python" -c "" 2>/dev/null && { echo "$$python"; break; }; done)
PYTHON_FOR_PYNQ_3.1.2 := $(call first_that_runs,python3.11 $(wildcard $(HOME)/.pyenv/versions/3.11.*/bin/python))
PYTHON_FOR_PYNQ_3.0.1 := $(call first_that_runs,python3.10 $(wildcard $(HOME)/.pyenv/versions/3.10.*/bin/python))
PYNQ_VERSIONS := $(foreach version,3.1.2 3.0.1,$(if $(PYTHON_FOR_PYNQ_$(version)),$(version)))

.PHONY: run test test-board notebooks board-wheel lint clean

run: $(VENV)/installed
	$(BIN)/pynq-snn run $(PICTURE)

test: $(VENV)/installed-for-tests
	$(BIN)/python -m pytest $(PYTEST_OPTIONS)

test-board: $(PYNQ_VERSIONS:%=test-board-%)
ifeq ($(PYNQ_VERSIONS),)
	@echo "no board tests: pynq needs Python 3.11 or 3.10, and neither is here"
endif

.PRECIOUS: .venv-board-%/installed
test-board-%: .venv-board-%/installed
	.venv-board-$*/bin/python -m pytest $(PYTEST_OPTIONS) tests/board

notebooks: $(VENV)/installed-for-tests
	$(BIN)/python -m tests.keep_notebooks

# The C++ library goes in too: an image may have an older one than this machine's.
BOARD_CXX ?= arm-linux-gnueabihf-g++
BOARD_FLAGS := -mcpu=cortex-a9 -mfpu=neon -static-libstdc++ -static-libgcc

board-wheel: $(VENV)/installed-for-tests
	@command -v $(BOARD_CXX) >/dev/null || { echo "no $(BOARD_CXX): sudo apt install g++-arm-linux-gnueabihf"; exit 1; }
	CXX="$(BOARD_CXX) $(BOARD_FLAGS)" $(BIN)/python setup.py --quiet build --build-base build/board \
	    bdist_wheel --plat-name linux_armv7l

lint: $(VENV)/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
ifneq ($(HLS_COMPILERS),)
	$(MAKE) -C hls lint LINTERS="$(HLS_COMPILERS)"
endif

clean:
	rm -rf $(VENV) .venv-board-* build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis pynq_snn/*.so
	$(MAKE) -C hls clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/installed-for-tests: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@ $(VENV)/installed

# pynq 3 needs the older versions of these packages, and numpy below 2.
.venv-board-%/installed: $(SOURCES)
	$(PYTHON_FOR_PYNQ_$*) -m venv .venv-board-$*
	.venv-board-$*/bin/python -m pip install --quiet --disable-pip-version-check --editable . pytest hypothesis \
	    "pynq==$*" "pycparser<3" "setuptools<=80" "numpy<2"
	touch $@
