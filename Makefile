# Two commands are all a fresh machine needs: make demo, make test.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
CHECKED := src tests benchmarks
# Debian's packages of what tests talk to: a broker, a voice, a sound player, a desktop's messages.
PACKAGES := mosquitto espeak-ng alsa-utils dbus-daemon
PROGRAMS := mosquitto espeak-ng aplay dbus-daemon

.PHONY: demo test check format clean programs

demo: $(VENV)/.demo
	$(BIN)/python -c "from PIL import Image; from skimage import data; \
	import os; os.makedirs('demo', exist_ok=True); \
	Image.fromarray(data.astronaut()).save('demo/astronaut.png')"
	$(BIN)/mien analyze demo/astronaut.png --annotate demo/annotated

test: $(VENV)/.test programs
	$(BIN)/python -m pytest

# Installed where that needs no password; asked for elsewhere.
programs:
	@for program in $(PROGRAMS); do \
		PATH="$$PATH:/usr/sbin" command -v $$program >/dev/null && continue; \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && \
			DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PACKAGES) >/dev/null && break; \
		fi; \
		echo "some tests will be skipped; for all of them: sudo apt-get install $(PACKAGES)"; \
		break; \
	done

check: $(VENV)/.test programs
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
