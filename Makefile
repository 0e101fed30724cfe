# Two commands for a newcomer: `make demo` and `make test`. Each makes .venv and installs the pinned set.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: demo test lint types check pins clean

demo: .venv/.core
	$(BIN)/python -m schematune demo --out demo-out

test: .venv/.dev
	$(BIN)/python -m pytest

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev
	$(BIN)/mypy

check: lint types test

# torch first and pinned: a CPU machine then pulls no CUDA packages, whatever else asks for torch
.venv/.core: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "schematune needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q "torch==2.13.0"
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	touch $@

.venv/.dev: .venv/.core
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]"
	touch $@

pins: .venv/.dev
	( sed -n '/^#/p' constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | sed 's/+.*//' | tr 'A-Z_' 'a-z-' | sort ) > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf .venv demo-out build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
