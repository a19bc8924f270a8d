# Needs Python 3.11 or newer, make and a package index. Everything lives in .venv/ beside this file.
PYTHON ?= python3
BIN := .venv/bin
SITE ?= demo-site

.PHONY: demo test fast check bench lock clean

# The main job on a small invented organisation: logs in, reports, evidence and a proven purge out.
demo: .venv/ready
	$(BIN)/fairwatch demo $(SITE)

# Everything: style, types, and all tests. Tests that need Squid, Chromium or OpenSSL skip without them.
test: check
	$(BIN)/python -m pytest -n 2 --dist loadfile

# What a change is tried with first: seconds.
fast: .venv/ready
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/ready
	$(BIN)/python bench/ingest_speed.py
	$(BIN)/python bench/weekly_speed.py

# One environment, from exact versions and digests; made anew when the lock changes.
.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Fairwatch needs Python 3.11 or newer")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# Resolve the newest versions that pyproject.toml allows, with their digests and without addresses.
lock:
	$(BIN)/python -m piptools compile --quiet --strip-extras --generate-hashes --allow-unsafe \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header \
	  --extra dev --output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv demo-site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
