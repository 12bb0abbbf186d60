# Everything starts here: `make demo` and `make test` each set up what they need on a fresh machine.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test e2e studio-bundle soak lint format bench bench-gpu docs dist frozen figures constraints clean

setup: .venv/.core

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "duel needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.core: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/.dev: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch .venv/.core $@

# Trains on the digits that travel with the package, at most three minutes on two cores.
demo: setup
	$(BIN)/duel train demo

# The fast suite, two workers. DUEL_DATA names a folder with the real data sets, if there is one.
test: .venv/.dev
	$(BIN)/pytest -n 2 tests

# The studio in a real browser, headless. Fetches Chromium where there is none, and axe where there is npm.
e2e: .venv/.dev
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
		command -v google-chrome >/dev/null || $(BIN)/playwright install chromium
	@if command -v npm >/dev/null; then npm install --no-save --prefix studio --silent --no-audit --no-fund || \
		echo "axe could not be fetched: its tests are skipped"; fi
	DUEL_E2E=1 $(BIN)/pytest tests/e2e

# The studio's pages, built from studio/ into the package. Only who changes them needs Node.
studio-bundle:
	npm install --no-save --prefix studio --silent --no-audit --no-fund
	npm run build --prefix studio

# Long trials of what must not be lost: kills, faults, flipped bytes, full disks, hostile files, long runs.
# All parts take hours; SOAK="kills --kills 20" chooses one and makes it small: SOAK=--help.
soak: .venv/.dev
	PYTHONPATH=tests $(BIN)/python -m soak $(SOAK)

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Side-by-side measurements; each prints its table.
bench: .venv/.dev
	$(BIN)/python bench/startup.py
	$(BIN)/python bench/step.py

# One CUDA GPU, under ten minutes, no network: speed, shares of its peaks, time to a stated quality.
bench-gpu: .venv/.dev
	$(BIN)/python bench/gpu.py $(GPU)

.venv/.docs: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch .venv/.core $@

# The documentation site, into site/: strict, without a network, every link followed.
# To look at it: python -m http.server --directory site
docs: .venv/.docs
	$(BIN)/python docs/tools/make_site.py

# The wheel and the sdist, into dist/. The same commit gives the same wheel, byte for byte.
dist: .venv/.dev
	rm -rf dist *.egg-info
	SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)} $(BIN)/python -m build --no-isolation
	@ls -l dist

# What of duel is public, as text: tests/test_frozen.py holds the code to it.
frozen: .venv/.dev
	PYTHONPATH=tests $(BIN)/python -m surface

# The figures of the theory and concept pages, into docs/pictures/theory.
figures: .venv/.dev
	PYTHONPATH=docs $(BIN)/python -m figures

# The pins of a release: what a fresh environment with every extra resolves to. Pins of the file PINS are kept,
# by default those that are there; PINS=/dev/null asks for the newest of everything.
PINS ?= constraints.txt
EXTRAS = import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"], sep=",")
constraints:
	$(PYTHON) -m venv --clear build/pins
	build/pins/bin/pip install --quiet --disable-pip-version-check -c $(PINS) -e ".[$$($(PYTHON) -c '$(EXTRAS)')]"
	build/pins/bin/pip freeze --exclude-editable | sed 's/+cpu$$//' > build/pins.txt
	mv build/pins.txt constraints.txt
	rm -rf build/pins

clean:
	rm -rf .venv build dist site *.egg-info
