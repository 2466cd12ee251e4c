# What a user or a developer does here, each by one word. `make` alone lists them.
SHELL := /bin/bash -o pipefail
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LAB := $(BIN)/python molecule/lab/lab.py
# The oldest Consul that we support, whatever archive is given for the newest.
OLDEST := env --unset CONSUL_ARCHIVE CONSUL_VERSION=1.8.7 $(LAB)
# For tests that run against it.
WITH_CONSUL = CONSUL_BIN="$$($(LAB) consul --binary)" CONSUL_OLDEST_BIN="$$($(OLDEST) consul --binary)"
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Ansible finds the checkout's settings even where the folder is writable for others.
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

.PHONY: help
help:  ## List what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): tests/requirements.txt
	@molecule/lab/prerequisites controller
	@echo "==> Installing Ansible and the kit's tools into $(VENV) (from tests/requirements.txt)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: set PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --disable-pip-version-check --quiet --progress-bar off -r tests/requirements.txt
	@touch $@

.PHONY: venv
venv: $(STAMP)  ## Install Ansible and the kit's tools into .venv

# ---- the demo -------------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: venv  ## Two datacenters in containers on this machine, and the demo running in them
	@molecule/lab/prerequisites lab
	@molecule/demo/run

.PHONY: demo-down
demo-down: venv  ## Stop the demo's lab and remove it
	@$(LAB) down molecule/demo/inventory

# ---- the tests ------------------------------------------------------------------------------------------------------------

.PHONY: check
check: lint unit  ## The fast path: lint and unit tests

.PHONY: lint
lint: venv
	@molecule/lab/prerequisites lint
	ruff check
	ruff format --check
	yamllint --strict .
	mypy
	shellcheck --external-sources .ci/run docs/site/build molecule/lab/prerequisites molecule/demo/run tests/run/analyze tests/run/artifact tests/run/compile.bash tests/run/consul.bash tests/run/demo \
		tests/run/find-python tests/run/fuzz tests/run/python38 tests/run/sanity tests/run/wheel
	ansible-lint --offline
	antsibull-changelog lint
	antsibull-docs lint-collection-docs --plugin-docs .

.PHONY: unit
unit: venv
	@# Most of them wait most of the time.
	pytest -q --numprocesses=4 tests/unit

.PHONY: py-consul
py-consul: venv  ## The client's unit tests with python-consul2's fork py-consul in its place
	@[ -d .cache/py-consul ] || $(BIN)/pip install --disable-pip-version-check --quiet --progress-bar off --target .cache/py-consul 'py-consul>=1.8,<2'
	PYTHONPATH=.cache/py-consul pytest -q tests/unit/plugins/module_utils/uwsgi_consul/test_client.py

# Everything that depends on ansible-core is in noxfile.py, which says what each task is.
.PHONY: sanity
sanity: venv  ## ansible-test sanity on what the artifact holds, with the newest ansible-core that this machine has a Python for
	nox --tags newest -- sanity

# Each ansible-core wants some of the latest Pythons, and a distribution has one. What can't be fetched is named at the end.
.PHONY: pythons
pythons: venv
	@[ -z "$$(python noxfile.py)" ] || UV_HTTP_TIMEOUT=20 timeout 300 uv python install --no-bin 3.12 3.13 || \
		echo "Python 3.12 and 3.13 are not here and can't be fetched: not every ansible-core can be tested" >&2

.PHONY: ends
ends: pythons  ## What depends on ansible-core, with the oldest and the newest version of it that we support
	$(WITH_CONSUL) nox --tags oldest -- units versioned-sanity examples
	$(WITH_CONSUL) nox --tags newest -- lint units sanity

.PHONY: matrix
matrix: pythons  ## The same, complete, with each version of ansible-core that we support (one alone: nox -s core-2.17)
	$(WITH_CONSUL) nox
	@python noxfile.py

.PHONY: integration
integration: venv  ## Lookups and plugin against a real Consul and a real uWSGI
	@molecule/lab/prerequisites plugin $(if $(CI),proxies)
	$(WITH_CONSUL) pytest --numprocesses=2 $(addprefix tests/integration/,examples filter inventory lookup modules)
# These look at clocks, so they have the machine to themselves.
	$(WITH_CONSUL) pytest tests/integration/library tests/integration/plugin

.PHONY: analyze
analyze:  ## The plugin's sources under two compilers' warnings and clang's analyzer
	@molecule/lab/prerequisites plugin fuzz
	tests/run/analyze

.PHONY: fuzz
fuzz:  ## Fuzz what the plugin parses, for 30 s (longer: tests/run/fuzz SECONDS)
	@molecule/lab/prerequisites plugin fuzz
	tests/run/fuzz

.PHONY: artifact
artifact: venv  ## Build the collection, install it into an empty path and run it from there
	CONSUL_BIN="$$($(LAB) consul --binary)" tests/run/artifact

.PHONY: test-wheel
test-wheel: venv  ## Build the Python library's distribution, install it into empty environments and run it there
	CONSUL_BIN="$$($(LAB) consul --binary)" tests/run/wheel

.PHONY: python38
python38:  ## The Python library's modules and unit tests under Python 3.8, the oldest that it runs on
	tests/run/python38

# One scenario alone: make scenario-default, make scenario-datacenters, make scenario-languages
.PHONY: scenario-%
scenario-%: venv
	@molecule/lab/prerequisites lab
	CONSUL_ARCHIVE="$$($(LAB) consul)" molecule test --no-command-borders --scenario-name $*

# From the artifact, as users run it.
scenario-datacenters: artifact
scenario-datacenters: export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.cache/artifact/collections

# One of its apps is compiled here.
scenario-languages: languages

.PHONY: languages
languages:
	@molecule/lab/prerequisites languages

.PHONY: test-demo
test-demo: venv  ## make demo twice, with what it must show
	tests/run/demo

.PHONY: test
test: check docs py-consul analyze fuzz ends artifact integration scenario-default scenario-datacenters scenario-languages test-demo  ## Everything that CI runs
	@echo "All of make test passed."
	@python noxfile.py

# ---- the documentation ----------------------------------------------------------------------------------------------------

.PHONY: docs
docs: venv  ## Build the site: the guides, and a reference of every module, plugin and role
	docs/site/build

# ---- the benchmarks -------------------------------------------------------------------------------------------------------

.PHONY: bench
bench: venv  ## Measure the plugin (make bench BENCH=discovery: only that; see tests/bench/README.md)
	@molecule/lab/prerequisites plugin bench
	CONSUL_BIN="$$($(LAB) consul --binary)" PYTHONPATH=tests python -m bench $(BENCH)

# ---- the rest -------------------------------------------------------------------------------------------------------------

.PHONY: build
build: venv  ## Build the collection's artifact into this folder
	ansible-galaxy collection build --force

.PHONY: wheel
wheel: venv  ## Build the Python library's distribution (wheel) into dist/
	pip wheel --disable-pip-version-check --no-deps --wheel-dir dist .

.PHONY: clean
clean:  ## Remove what was made in this folder
	rm -rf $(VENV) .cache .ansible .mypy_cache .pytest_cache .ruff_cache dist ./*.tar.gz
