# Everything here works on a fresh machine by itself: it finds a Python, makes .venv and installs pinned requirements.
SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV ?= .venv
BIN := $(VENV)/bin
RUN_ARGS ?=
TEST_ARGS ?=
SEEDS ?= 25
FIRST_SEED ?= 1
HOURS ?= 24
WORKERS ?= 2
MUTANTS ?=
KILLS ?= 200
FUZZ_INPUTS ?= 100000
FUZZ_SEED ?= 1
RUNS ?= 5
DAYS ?= 5
SEED ?= 1

.PHONY: help page-pictures setup run test simulate week soak fuzz fault-matrix kills way-down service-test mutants oracle markouts flow sigma equality lint log-events fmt cover bench unit-check docker-check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv with everything a developer needs
	@sh scripts/setup dev

run: ## a full simulated session on the embedded exchange, no keys (RUN_ARGS="--seed 3")
	@sh scripts/setup run
	@$(BIN)/kalshi-daemon run --mode sim $(RUN_ARGS)

test: setup ## the test suite, in three parts (TEST_ARGS=--together: whole processes beside the rest)
	@$(BIN)/python scripts/run_tests.py $(TEST_ARGS)

cover: setup ## the test suite with coverage of the pure rooms held at 95 %
	@$(BIN)/python -m coverage erase
	@$(BIN)/python -m pytest -q --cov --cov-report= -m "not e2e and not simulated"
	@$(BIN)/python scripts/check_coverage.py

simulate: setup ## seeds of the whole daemon under faults and crashes, replayable (SEEDS=1000 FIRST_SEED=1)
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) --first-seed $(FIRST_SEED) --workers $(WORKERS)

kills: setup ## SIGKILL real daemons at random moments, judged by the exchange's record (KILLS=200 KILL_ARGS="--first-seed 9")
	@$(BIN)/python -m tests.kills --kills $(KILLS) $(KILL_ARGS)

way-down: setup ## stop real daemons with full volumes, unread pipes and lost terminals, under storms of signals (RUNS=5)
	@$(BIN)/python -m tests.way_down --runs $(RUNS)

week: setup ## one daemon over five simulated days under faults: descriptors, tasks and files bounded, books equal (DAYS=5 SEED=1)
	@$(BIN)/python -m tests.simulation.week --days $(DAYS) --seed $(SEED)

fault-matrix: setup ## every kind of fault alone: what the daemon does and how long until all is safe (docs/fault-matrix.md)
	@$(BIN)/python -m tests.simulation --matrix --workers $(WORKERS)

crash-points: setup ## kill the order path at every journal write, request and await it has, each followed by a restart
	@$(BIN)/python -m tests.orders.crash_points

soak: setup ## simulated hours of quoting under faults: memory slope, journal size (HOURS=24)
	@$(BIN)/python -m tests.soak --hours $(HOURS)

fuzz: setup ## readers of network and files fed with what is almost right, guided by coverage (FUZZ_INPUTS=10000000 FUZZ_SEED=1)
	@FUZZ_INPUTS=$(FUZZ_INPUTS) FUZZ_SEED=$(FUZZ_SEED) $(BIN)/python -m tests.fuzz $(FUZZ_ARGS)

lint: setup ## ruff, mypy --strict, import-linter, sizes, dead and duplicate code, shell scripts, unit and Dockerfile
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check .
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache
	@$(BIN)/python scripts/check_sizes.py
	@$(BIN)/python scripts/check_docstrings.py
	@$(BIN)/vulture
	@$(MAKE) -s -j2 BIN=$(BIN) lint-types lint-duplicates
	@$(BIN)/shellcheck scripts/find-python scripts/managed-python scripts/setup scripts/check-visible scripts/service-test .ci/run
	@$(MAKE) -s docker-check unit-check

# The two slowest checks of `lint`, which runs them side by side.
.PHONY: lint-types lint-duplicates
lint-types:
	@$(BIN)/mypy
lint-duplicates:
	@$(BIN)/pylint kalshi_daemon

service-test: setup ## the shipped unit under a real systemd: start, stop, crash, starve, refuse (root)
	@sh scripts/service-test

log-events: setup ## write docs/log-events.md from the source and docs/log-events.toml
	@$(BIN)/python scripts/log_catalogue.py

page-pictures: setup ## the pictures of the page in README, taken by its tests (Chromium)
	@PAGE_PICTURES=1 $(BIN)/python -m pytest -q tests/operations/test_page_browser.py -k in_the_way

mutants: setup ## break every safety promise on purpose in a copy: a test must notice each (MUTANTS="latch_not_checked")
	@$(BIN)/python -m tests.mutants.run $(MUTANTS)

oracle: setup ## the forecast against an oracle that knows the distribution, 2,000 simulated days (minutes)
	@ORACLE_DAYS=2000 $(BIN)/python -m pytest -q tests/research/test_oracle.py --log-cli-level=INFO --timeout=1800

flow: setup ## the simulated crowds beside recorded books: writes the table of docs/laboratory.md (SESSIONS=8)
	@$(BIN)/python -m tests.backtest.market_flow --sessions $(or $(SESSIONS),8) --workers $(WORKERS)

sigma: setup ## the forecast's sigma against that of made-up sessions, cold and warm: writes the table of docs/laboratory.md
	@$(BIN)/python -m tests.backtest.told_sigma

markouts: setup ## the digest's markouts against the law the index was drawn from, over whole sessions (SESSIONS=20)
	@MARKOUT_SESSIONS=$(or $(SESSIONS),20) $(BIN)/python -m pytest -q tests/backtest/test_digest_agrees.py --log-cli-level=INFO --log-cli-format="%(message)s"

equality: setup ## the same sessions in process and over sockets: equal decisions, fills and books (SEEDS=20)
	@$(BIN)/python -m tests.backtest.equality --seeds $(SEEDS) --first-seed $(FIRST_SEED)

fmt: setup ## format the code
	@$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format -q .

bench: setup ## benchmarks, as ratios measured side by side
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python -m benchmarks.$$(basename $$file .py); done

docker-check: setup
	@$(BIN)/hadolint Dockerfile

unit-check:
	@sh scripts/check-unit

clean: ## remove .venv and caches (state is kept)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage htmlcov
