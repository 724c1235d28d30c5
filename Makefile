# Two commands are all a fresh machine needs: make demo, make test.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
CHECKED := src tests benchmarks

.PHONY: demo test check format clean

demo: $(VENV)/.demo
	$(BIN)/python -c "from PIL import Image; from skimage import data; \
	import os; os.makedirs('demo', exist_ok=True); \
	Image.fromarray(data.astronaut()).save('demo/astronaut.png')"
	$(BIN)/mien analyze demo/astronaut.png --annotate demo/annotated

test: $(VENV)/.test
	$(BIN)/python -m pytest

check: $(VENV)/.test
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/mypy
	$(BIN)/python -m pytest

format: $(VENV)/.test
	$(BIN)/ruff format $(CHECKED)
	$(BIN)/ruff check --fix $(CHECKED)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e . scikit-image
	touch $@

# torch first and alone: its pinned build is the one without gigabytes of GPU libraries.
$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) torch
	$(PIP) -e '.[train,act]' scikit-image pytest mypy ruff build hatchling
	touch $@

clean:
	rm -rf $(VENV) demo build dist
