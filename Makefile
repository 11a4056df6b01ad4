# Two commands are enough: `make demo` and `make test`. Both set up what they need.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo chaos up test faults seeds year bench burst fuzz properties lint lock sbom licences audit-dependencies histories \
  dashboards postgres prometheus chromium screenshots clean

help: ## what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

setup: .venv/ready ## make .venv with the command groupclaim; nothing to do the second time

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## play the sample practice from session files to audited payments, and judge it
	$(BIN)/groupclaim demo

chaos: setup ## the same with the worker killed on the way; the table must be the same
	$(BIN)/groupclaim demo --chaos

up: setup ## everything on this machine, with a practice that is played while you look on; until Ctrl-C
	$(BIN)/groupclaim up --play whole

test: setup postgres prometheus chromium ## every test, on SQLite and PostgreSQL, in two lanes
	$(BIN)/python -m tests

faults: setup postgres ## the proof of each fault the product must survive, and a table of them
	$(BIN)/python -m tests.faults

seeds: setup ## a thousand practices made from seeds, played on every processor without the engine, judged
	$(BIN)/python -m tests.simulation --seeds 1000

year: setup ## forty patients, four weekly groups, a whole year on Temporal, judged; about an hour
	$(BIN)/python -m tests.simulation.year --seed $(or $(SEED),1) --weeks 52

bench: setup postgres ## speed and memory beside a bare engine and other libraries; the console's lists
	@mkdir -p dist
	$(BIN)/python -m tests.bench.engine --json dist/bench.json
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.lists

burst: setup ## 5,000 claims at once, from their sessions handed in until the clearinghouse has taken all
	$(BIN)/python -m tests.faults.burst 5000

fuzz: setup ## 200,000 damaged and invented X12 files against the core and every reader
	$(BIN)/python -m tests.x12.fuzz

properties: setup postgres ## the property tests with examples drawn anew (`make test` plays the same everywhere)
	$(BIN)/python -m pytest tests -m hypothesis --hypothesis-profile=drawn --ignore=tests/system --ignore=tests/simulation

lint: setup ## formatting, lint, strict types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

postgres: ## PostgreSQL for the tests, from Debian's packages where there is none
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1 || \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	    apt-get update -qq && apt-get install -y -qq postgresql >/dev/null; \
	  else echo "PostgreSQL is missing: its tests will say so (Debian: apt-get install postgresql)"; fi

prometheus: ## Prometheus and Alertmanager for the tests, from Debian's packages where there are none
	@command -v promtool >/dev/null 2>&1 && command -v amtool >/dev/null 2>&1 || \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	    apt-get update -qq && \
	    apt-get install -y -qq --no-install-recommends prometheus prometheus-alertmanager >/dev/null; \
	  else echo "Prometheus is missing: its tests will say so (Debian: prometheus prometheus-alertmanager)"; fi

chromium: ## a browser for the console's tests, from Debian's packages where there is none
	@command -v chromium >/dev/null 2>&1 || \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	    apt-get update -qq && apt-get install -y -qq chromium >/dev/null; \
	  else echo "Chromium is missing: its tests will say so (Debian: apt-get install chromium)"; fi

screenshots: setup chromium ## the console's pictures for the README
	$(BIN)/python -m tests.console.screenshots deploy/screenshots

histories: setup ## record the workflow histories anew that the replay tests use
	$(BIN)/python -m tests.workflows.record_histories

dashboards: setup ## make deploy's generated files anew: the table of metrics, Grafana's dashboards
	$(BIN)/python -m deploy.prometheus.catalogue
	$(BIN)/python -m deploy.grafana.generate

lock: setup ## resolve the dependencies anew into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --group dev --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --python-version 3.11 --upgrade -q -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --constraint requirements.lock --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate --python-version 3.11 -q \
	  -o deploy/requirements.lock

sbom: setup ## the bill of materials of the lock file, CycloneDX, in dist/sbom.cdx.json
	@mkdir -p dist
	$(BIN)/python -m deploy.dependencies sbom > dist/sbom.cdx.json

licences: setup ## the licence of each library; fails where one is not among those we take
	$(BIN)/python -m deploy.dependencies licences

audit-dependencies: setup ## known weaknesses of the locked libraries; asks a public service (pip-audit)
	$(BIN)/uv tool run pip-audit --requirement requirements.lock --require-hashes --disable-pip

clean: ## remove what was made
	rm -rf .venv dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
