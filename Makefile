# The front door for developers. On a machine with Python >= 3.11, make and git, each verb alone sets up what it needs.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
WORKERS ?= auto

.PHONY: help demo story dev docs lint test test-real bench fuzz lock clean

help:
	@echo "make demo      weigh a real model, then tamper with it and see each tampering refused"
	@echo "make story     one model from its data to its recall: stated, approved, logged, checked"
	@echo "make test      set up and run the test suite"
	@echo "make dev       set up .venv with every extra and the tools"
	@echo "make lint      ruff, mypy --strict, and the contract of the floors"
	@echo "make test-real run everything, real components included; nothing may skip"
	@echo "make docs      write the pages of commands, rules and codes"
	@echo "make bench     measure side by side with other tools"
	@echo "make fuzz      run every fuzz target for a bounded time (SECONDS=60)"
	@echo "make lock      renew the hashed requirements"

demo: $(VENV)/.run .work/demo-wheel
	$(BIN)/python examples/demo.py .work/demo-wheel demo

story: $(VENV)/.dev
	$(BIN)/python examples/story.py story

dev: $(VENV)/.dev

lint: $(VENV)/.dev
	$(BIN)/ruff format --check src tests bench examples
	$(BIN)/ruff check src tests bench examples
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) -q

test-real: $(VENV)/.dev .venv-interop/.ready .venv-torch/.ready
	WEIGHBRIDGE_REAL=1 $(BIN)/python -m pytest -n $(WORKERS) -q

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py

bench: $(VENV)/.dev .venv-interop/.ready .venv-peers/.ready
	$(BIN)/python bench/bench.py
	$(BIN)/python bench/loading.py
	$(BIN)/python bench/checkpoint.py
	$(BIN)/python -m tests.real.fetch --lay .work/models
	$(BIN)/python bench/scanners.py --real .work/models
	$(BIN)/python bench/weights.py .work/models
	$(BIN)/python bench/tlog.py
	$(BIN)/python bench/attest.py
	$(BIN)/python bench/lineage.py
	$(BIN)/python bench/run.py
	$(BIN)/python bench/opcodes.py --write different "each time" "no arguments"

SECONDS ?= 60
fuzz: $(VENV)/.dev
	$(PIP) install --require-hashes -r requirements/fuzz.txt
	$(BIN)/python tests/fuzz/run.py --seconds $(SECONDS)

UV ?= uv
lock:
	for verb in run dev interop peers fuzz; do $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header requirements/$$verb.in -o requirements/$$verb.txt; done
	$(UV) pip compile -q --no-deps --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header requirements/demo.in -o requirements/demo.txt

clean:
	rm -rf $(VENV) .venv-interop .venv-peers .venv-torch .work demo story build dist

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "weighbridge needs Python 3.11 or newer: make PYTHON=/path/to/python3"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes -r requirements/run.txt
	$(PIP) install --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

.venv-interop/.ready: requirements/interop.txt | $(BIN)/python
	$(PYTHON) -m venv .venv-interop
	.venv-interop/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/interop.txt
	@touch $@

.venv-peers/.ready: requirements/peers.txt | $(BIN)/python
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/peers.txt
	@touch $@

.venv-torch/.ready: requirements/torch.txt | $(BIN)/python
	$(PYTHON) -m venv .venv-torch
	.venv-torch/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes -r requirements/torch.txt
	@touch $@

.work/demo-wheel: requirements/demo.txt | $(BIN)/python
	@mkdir -p .work
	@rm -rf $@.part && $(PIP) download --no-deps --require-hashes -r requirements/demo.txt -d $@.part && mv $@.part $@
