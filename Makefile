# What a developer does, and what CI calls. It needs python3 (3.11.4 or later) with its venv module, nothing else.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
TYPES := build/types

.DEFAULT_GOAL := help
.PHONY: help setup dream test fast check weights clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## make .venv and install into it, again when pyproject.toml or constraints.txt changed

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --editable ".[dev]" --constraint constraints.txt
	touch $@

dream: setup ## dream Ms. Pac-Man with the bundled weights, measure it
	$(BIN)/atari-dream dream --game pacman --out out/pacman.gif --measure

test: setup ## all tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

fast: setup ## the tests that take no time
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist loadfile --no-loadscope-reorder

check: setup ## style, types, import direction, packaging
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf $(TYPES) && mkdir -p $(TYPES)
	cp -r atari_dream $(TYPES) && cp -r envs agents $(TYPES)/atari_dream
	cd $(TYPES) && ../../$(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../mypy atari_dream
	$(BIN)/python -m pytest tests/test_imports.py tests/test_packaging.py

weights: setup ## record, train and measure anew what is bundled, for GAMES or for all
	$(BIN)/python benchmarks/bundle.py weights $(GAMES)

clean: ## remove what these targets made
	rm -rf .venv build dist out *.egg-info .mypy_cache .pytest_cache .ruff_cache
