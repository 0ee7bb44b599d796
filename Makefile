# Every target but help and clean makes .venv ready first, which takes no time once it is.
BIN := .venv/bin

.PHONY: help setup demo test lint types wheel docs check validate clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## Make .venv: pinned packages, and bayescale editable
	@tools/setup.sh

demo: setup  ## Show what bayescale does
	@$(BIN)/bayescale demo

test: setup  ## Run the tests, on every core
	$(BIN)/pytest -n auto --dist loadfile

lint: setup  ## Check style, formatting, and that imports run one way
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo --no-cache

types: setup  ## Check types
	$(BIN)/mypy

wheel: setup  ## Build the sdist and the wheel into dist/ and look inside them
	rm -rf build dist bayescale.egg-info
	$(BIN)/python -m build --quiet --no-isolation
	rm -rf build bayescale.egg-info
	BAYESCALE_DIST=dist $(BIN)/pytest -q tests/test_packaging.py

docs: setup  ## Build the documentation into site/ and look at it in a browser
	$(BIN)/sphinx-build -W --keep-going -q -b html docs site
	BAYESCALE_SITE=site $(BIN)/pytest -q -m slow tests/test_site.py

check: lint types test wheel docs  ## All of the above: what a change must pass

# pytest's status 5 says that there are no slow tests.
validate: setup  ## Run the longer studies, properties at large, and the benchmarks
	$(BIN)/pytest -n auto --dist loadfile -m "hypothesis and not slow" --hypothesis-profile=large
	$(BIN)/pytest -m slow || [ $$? -eq 5 ]
	@for script in benchmarks/*.py; do \
		[ ! -e "$$script" ] || { echo "== $$script"; $(BIN)/python "$$script" || exit 1; }; \
	done

clean:  ## Remove what builds and tools leave behind, but not .venv
	rm -rf build dist site bayescale.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
