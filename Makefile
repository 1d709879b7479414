# `make demo` and `make test` set up everything on a fresh machine; `make help` lists the other targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Tests start the program hundreds of times: without byte code each start would compile it again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup lock demo test test-lab-fuzz test-cluster kind conformance faults lint format bench clean

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) system-packages  ## install Python packages into .venv, and Debian packages by apt if root

$(STAMP): pyproject.toml requirements.lock
	@echo "creating $(VENV) with $$($(PYTHON) --version)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing Python packages (about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q netprobe
	@touch $@

.PHONY: system-packages
system-packages:
	@.ci/system-packages

lock:  ## write requirements.lock anew: the newest versions that pyproject.toml allows (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--upgrade --no-header --no-annotate --no-emit-index-url --quiet --output-file requirements.lock

demo: setup  ## run two worked examples on the lab
	$(BIN)/netprobe run manifests/two-tier/suite.yaml
	$(BIN)/netprobe run manifests/five-workloads/suite.yaml

# mypy works while tests wait for packets.
test: setup  ## run every test that needs no cluster
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy & types=$$!; \
	$(BIN)/pytest -q -n 4 --dist loadfile --no-loadscope-reorder --ignore tests/cluster; tests=$$?; \
	wait $$types || { echo "mypy has found errors, see above"; exit 1; }; exit $$tests

test-lab-fuzz: setup  ## compare lab and simulator on random clusters for $$NETPROBE_FUZZ_SECONDS
	NETPROBE_FUZZ_SECONDS=$${NETPROBE_FUZZ_SECONDS:-180} $(BIN)/pytest -q tests/lab -k fuzz

test-cluster: setup  ## run tests against a real cluster: $$NETPROBE_TEST_KUBECONFIG, or ../shared/realcluster
	NETPROBE_TEST_KUBECONFIG=$${NETPROBE_TEST_KUBECONFIG:-$$($(BIN)/python -m tests.cluster.real)} \
		$(BIN)/pytest -q tests/cluster tests/contract tests/corpus/test_server.py

kind: setup  ## create a kind cluster with Calico and run doctor on it (needs docker and kind)
	$(BIN)/netprobe kind up

conformance: setup  ## run all conformance cases and worked examples on the lab, some of the cases also without enforcement
	NETPROBE_CONFORMANCE=all $(BIN)/pytest -q -n 2 --dist loadgroup tests/conformance/test_lab.py tests/scenarios/test_lab.py

faults: setup  ## fail API answers, interrupt and kill runs on a lab, by a seed: $$NETPROBE_FAULTS runs
	$(BIN)/python -m tests.faults --runs $${NETPROBE_FAULTS:-6}

lint: setup  ## run ruff and mypy
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: setup  ## format the sources
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: setup  ## run the benchmarks; each prints ratios measured in one run
	for bench in benchmarks/bench_*.py; do $(BIN)/python $$bench || exit 1; done

clean:  ## remove everything that the build created
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
