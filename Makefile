# The two commands of the README are `make demo` and `make test`; both set up all they need in .venv.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test lint bench clean

demo: .venv/installed
	@$(BIN)/python -m demo $(ARGS)

test: .venv/installed-test
	@sh tests/install_chromium.sh
	@# How many files run side by side, and in which order: tests/conftest.py. More threads than cores would only
	@# slow each other down.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/installed-test
	for script in benchmarks/[a-z]*.py; do \
		echo "== $$script"; $(BIN)/python -m benchmarks.$$(basename $$script .py) || exit 1; done
	$(BIN)/python -m benchmarks.frontend

clean:
	rm -rf .venv build ./*.egg-info

.venv/bin/python:
	$(PYTHON) -m venv .venv

# uv fetches and unpacks side by side: 73 s instead of pip's 234 s on two busy cores. It knows nothing of pip's
# settings, so where those name another index, or uv cannot be had or fails, pip installs. Without --no-compile pip
# byte-compiles thousands of modules that nothing here imports, for a minute. Python does so for what it imports, and
# keeps it.
define install
	@echo "Installing into .venv (a few minutes: torch is large) ..."
	@{ ! $(BIN)/pip config list | grep -q '[.]index-url=' && \
		$(BIN)/pip install --quiet --disable-pip-version-check uv && \
		UV_CACHE_DIR=.venv/uv UV_SYSTEM_CERTS=1 $(BIN)/uv pip install --quiet --python $(BIN)/python -e '$(1)'; } || \
		$(BIN)/pip install --no-compile --quiet --disable-pip-version-check -e '$(1)'
	@rm -rf .venv/uv
endef

.venv/installed: setup.py | .venv/bin/python
	$(call install,.)
	@touch $@

.venv/installed-test: setup.py | .venv/bin/python
	$(call install,.[test])
	@# Once here on two cores: else the tests' processes, which start together, all compile the same.
	@$(BIN)/python -c "import lightning.pytorch, open_clip, transformers.trainer" & \
		$(BIN)/python -c "import hypothesis, matplotlib.pyplot, pandas, playwright.sync_api, tensorboard.program, umap"; \
		wait
	@touch .venv/installed $@
