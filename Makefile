# `make` lists the targets. Needed on the machine: python3 (3.11 or newer) with venv, make and git.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_BENCH := $(VENV)/.installed-bench
# Two workers at least, so that a test which depends on another's leftovers fails everywhere.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); [ "$$n" -ge 2 ] && echo "$$n" || echo 2)
ARGS ?=
ONCE ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help check-python setup demo test lint fix migrate serve bench docs lock clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-9s %s\n", $$1, $$2 }'

setup: $(INSTALLED) ## Make .venv with the pinned dependencies and the project (quick the second time)

demo: $(INSTALLED) ## Run the demonstration (ONCE=1: play it through and stop)
	ONCE="$(ONCE)" $(BIN)/python -m demo

test: $(INSTALLED) ## Run the tests (ARGS="-k consent" adds arguments, WORKERS=1 runs one process)
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

lint: $(INSTALLED) ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: $(INSTALLED) ## Repair style and format where that is safe
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

migrate: $(INSTALLED) ## Bring the configured database to the newest schema
	$(BIN)/cdx db upgrade $(ARGS)

serve: $(INSTALLED) ## Serve the API with the configuration of the environment
	$(BIN)/cdx serve $(ARGS)

bench: $(INSTALLED_BENCH) ## Run the benchmarks and write docs/benchmarks.md
	$(BIN)/python -m bench $(ARGS)

docs: $(INSTALLED) ## Write docs/api/openapi.json from the code that serves it
	@mkdir -p docs/api
	$(BIN)/cdx openapi > docs/api/openapi.json.new && mv docs/api/openapi.json.new docs/api/openapi.json

# The switches keep addresses of the machine that compiles out of the locks.
COMPILE := .cache/lock/bin/pip-compile --quiet --no-config --allow-unsafe --generate-hashes --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header
lock: check-python ## Compile requirements/*.in to locks with hashes (ARGS="--upgrade" takes newer versions)
	@[ -x .cache/lock/bin/pip-compile ] || { $(PYTHON) -m venv .cache/lock && .cache/lock/bin/pip install --quiet --upgrade pip pip-tools; }
	for name in main dev bench; do $(COMPILE) $(ARGS) -o requirements/$$name.txt requirements/$$name.in || exit 1; done

clean: ## Remove what the other targets made
	rm -rf $(VENV) .cache .demo .pytest_cache .hypothesis build ./*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Debian splits venv off python3: say so instead of failing half-way with a traceback.
check-python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11 or newer (Debian, Ubuntu: apt-get install python3 python3-venv)." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$$($(PYTHON) --version) is too old: Python 3.11 or newer is needed. Name another one: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) comes without venv: install it (Debian, Ubuntu: apt-get install python3-venv)." >&2; exit 1; }

# The stamp is written last, so that an interrupted set-up starts again.
$(INSTALLED): requirements/dev.txt setup.cfg pyproject.toml | check-python
	@rm -f $@ $(INSTALLED_BENCH)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

$(INSTALLED_BENCH): requirements/bench.txt $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@
