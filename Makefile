.DEFAULT_GOAL := help
.PHONY: help bench-operator bench-objectives bench-dataprep images quickstart quickstart-spike install dev test test-fast test-cluster cluster cluster-down lint format generate clean
BIN := .venv/bin

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

quickstart: install  ## install, then prepare data and train a small model on this machine (5 minutes)
	@$(BIN)/pretrain run manifests/quickstart.yaml

quickstart-spike: install  ## the same with a stretch of bad data: watch it roll back and skip
	@$(BIN)/pretrain run manifests/quickstart-spike.yaml

images:  ## build the container images that are stale, by buildah, podman or docker (IMAGES="operator dataprep" chooses)
	@scripts/images $(IMAGES)

install:  ## make .venv with all that a local run needs
	@scripts/install local

dev:  ## make .venv with all that development and tests need
	@scripts/install dev

test: dev lint  ## everything: lint, all tests, fast ones first, and a whole job on a real Kubernetes last (needs root)
	@$(BIN)/python -m pytest -q -n 2 -m "not slow and not cluster"
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "slow and not cluster"
	@PYTHONPATH=tests/cluster $(BIN)/python -m pretrain_cluster prepare
	@$(BIN)/python -m pytest -q -m cluster tests/charts tests/images tests/e2e/control_plane tests/e2e/kubernetes/test_install.py

test-fast: dev lint  ## lint and the tests that take seconds
	@$(BIN)/python -m pytest -q -n 2 -m "not slow and not cluster"

test-cluster: dev  ## all tests on a real Kubernetes, which they start, faults too (needs root)
	@PYTHONPATH=tests/cluster $(BIN)/python -m pretrain_cluster prepare
	@$(BIN)/python -m pytest -q -m cluster

cluster: dev  ## start a Kubernetes with two nodes on this machine, or use CLUSTER=kind or KUBECONFIG
	@PYTHONPATH=tests/cluster $(BIN)/python -m pretrain_cluster up

cluster-down: dev  ## end it; nothing of it is left
	@PYTHONPATH=tests/cluster $(BIN)/python -m pretrain_cluster down

bench-operator: dev  ## measure the operator beside a bare kopf handler (JSON=1: a line of JSON a figure; no other load, please)
	@PYTHONPATH=tests/cluster $(BIN)/python -m benchmarks.operator $(ARGUMENTS)

bench-objectives: dev  ## measure how fast samples of each objective are built, beside peers (JSON=1: a line of JSON a figure)
	@$(BIN)/python -m benchmarks.objectives $(ARGUMENTS)

bench-dataprep: dev  ## measure data preparation beside datatrove, datasketch, rensa and text-dedup (JSON=1: a line of JSON a figure)
	@$(BIN)/python -m benchmarks.dataprep $(ARGUMENTS)

lint: dev  ## ruff, mypy, import directions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy api cli dataprep operator report trainer tests/cluster/pretrain_cluster benchmarks
	@$(BIN)/lint-imports --no-cache > /dev/null || $(BIN)/lint-imports --no-cache

format: dev  ## let ruff format and mend what it can
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

generate: dev  ## write the CRD and the reference from the models
	@$(BIN)/python -m pretrain_api.generate

clean:  ## remove caches; keeps .venv and runs
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
