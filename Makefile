# make head   the demo photo becomes a head in runs/astronaut
# make test   the tests
# make lint   style and types
# make env    only .venv, with everything that the above need (they make it themselves)

PYTHON ?= python3
REQUIREMENTS := -e . -r plugins/requirements.txt -r requirements-dev.txt -r training/requirements.txt
LISTS := pyproject.toml constraints.txt requirements-dev.txt training/requirements.txt plugins/requirements.txt $(wildcard plugins/*/*/pyproject.toml)

.PHONY: env head test lint

env: .venv/complete

.venv/complete: $(LISTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "pshead needs Python 3.11 or newer, but '$(PYTHON)' is not. Name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install -c constraints.txt $(REQUIREMENTS)
	@touch $@

head: env
	.venv/bin/pshead run demo --out runs/astronaut --force --portrait.prompt "photo of a woman, light skin, short brown hair, orange suit"

test: env
	.venv/bin/python -m pytest

lint: env
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
