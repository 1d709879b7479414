# `make demo` and `make test` do all set-up on a fresh machine; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-lab-fuzz test-cluster kind conformance lint format bench clean

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) system-packages  ## Python packages into .venv, Debian packages by apt where possible

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

.PHONY: system-packages
system-packages:
	@.ci/system-packages

demo: setup  ## the main job on the lab: two worked examples
	$(BIN)/netprobe run manifests/two-tier/suite.yaml
	$(BIN)/netprobe run manifests/five-workloads/suite.yaml

test: setup  ## every test that needs no cluster
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	$(BIN)/pytest -q -n 4 --dist loadgroup --ignore tests/cluster

test-lab-fuzz: setup  ## minutes of random clusters, lab against simulator
	NETPROBE_FUZZ_SECONDS=$${NETPROBE_FUZZ_SECONDS:-180} $(BIN)/pytest -q tests/lab -k fuzz

test-cluster: setup  ## tests against a real cluster: $$NETPROBE_TEST_KUBECONFIG, or ../shared/realcluster
	NETPROBE_TEST_KUBECONFIG=$${NETPROBE_TEST_KUBECONFIG:-$$($(BIN)/python -m tests.cluster.real)} \
		$(BIN)/pytest -q tests/cluster tests/contract tests/corpus/test_server.py

kind: setup  ## a kind cluster with Calico on this machine, checked by doctor (needs docker and kind)
	$(BIN)/netprobe kind up

conformance: setup  ## the whole conformance suite on the lab, with enforcement and without
	NETPROBE_CONFORMANCE=all $(BIN)/pytest -q tests/conformance/test_lab.py

lint: setup  ## ruff and mypy
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: setup  ## format the sources
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: setup  ## the benchmarks; each prints ratios measured in one run
	for bench in benchmarks/bench_*.py; do $(BIN)/python $$bench || exit 1; done

clean:  ## remove what the build made
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
