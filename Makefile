# Everything runs in an environment made from the lock file: .venv is rebuilt when the lock changes.
PYTHON ?= python3
VENV := .venv
# Each test process would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE
BIN := $(VENV)/bin
# Processes of test-real and ship-check; 0: one, without workers.
REAL_WORKERS ?= 2

.PHONY: demo test test-thorough test-real test-gateways test-page test-kserve e2e laws ship-check bench lint types fmt lock clean
.DEFAULT_GOAL := test

$(VENV)/.locked: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("aioctl needs Python 3.11 or newer (set PYTHON=...)" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: $(VENV)/.locked
	$(BIN)/aioctl demo --services 50

test: $(VENV)/.locked # one process a core; files stay whole, as their fixtures are costly, and the dearest come first
	$(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder

test-thorough: $(VENV)/.locked # what `make test` plays a sample of
	$(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder -m thorough --thorough

test-real: $(VENV)/.locked # in two processes, each with API servers of its own: mostly they wait for them
	$(BIN)/python -m testbed.real.build
	$(BIN)/python -m pytest -q -m real --real -n $(REAL_WORKERS) --dist loadscope --no-loadscope-reorder

test-gateways: $(VENV)/.locked # services on real istiod and Envoy Gateway; cold, building them takes half an hour of two cores
	nice $(BIN)/python -m testbed.real.build gateways
	$(BIN)/python -m testbed.real.private_network $(BIN)/python -m pytest -q -m gateways --gateways tests/real_gateways

test-page: $(VENV)/.locked # the operators' page in a headless Chromium, if there is one; screenshots go to dist/screenshots
	$(BIN)/python -m pytest -q -m browser --browser tests/page

test-kserve: $(VENV)/.locked # KServe's own suite of a release, from its Go module, against this controller; ten minutes
	$(BIN)/python -m testbed.kserve_suite

e2e: $(VENV)/.locked # the life of an installation on a whole cluster without containers; cold, building it takes 25 minutes of two cores
	nice $(BIN)/python -m testbed.real.build whole
	$(BIN)/python -m testbed.real.private_network $(BIN)/python -m pytest -q -m whole --whole tests/whole_cluster

laws: $(VENV)/.locked # 4,500 states of each profile of the migration, 100,000 mutated conversions, five virtual minutes of all at once
	$(BIN)/python -m tests.model --states 4500 --processes 2
	$(BIN)/python -m bench convert --parts losses
	$(BIN)/python -m bench soak --minutes 5

ship-check: $(VENV)/.locked # what ships, judged by programs of others; says what it cannot have here, and why
	$(BIN)/python -m testbed.real.build
	$(BIN)/python -m testbed.tools
	$(BIN)/python -m release licences
	$(BIN)/python -m pytest -q -m ship --real --ship -n $(REAL_WORKERS) --dist loadfile tests/ship
	@$(BIN)/python -m release unchecked

bench: $(VENV)/.locked # for a machine that does nothing else: twenty minutes
	$(BIN)/python -m testbed.real.build
	$(BIN)/python -m bench all

lint: $(VENV)/.locked
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.locked
	$(BIN)/mypy

fmt: $(VENV)/.locked
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: # needs uv on the path; everything else needs only the result
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --extra otel --group dev pyproject.toml -o requirements.lock --quiet

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
