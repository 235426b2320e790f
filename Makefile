# Two commands are enough: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
KAFKA := $(VENV)/.kafka
TWO := -n 2 --dist worksteal
TWO_BROKERS := -n 2 --dist loadfile --no-loadscope-reorder

# Compiled code is kept, whatever the surroundings say: every worker and every test starts from it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo up test lint types rings unit ledger broker faults test-containers bench model lock hooks clean

help:  ## list what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

$(INSTALLED): requirements.lock pyproject.toml
	@echo "Setting up $(VENV) (Python packages, a Java runtime and Kafka; the first time takes a minute or two)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip -q
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(KAFKA): $(INSTALLED)
	@$(BIN)/python -m streams.kafka_runtime fetch >/dev/null
	@touch $@

demo: $(KAFKA)  ## play a seeded day in Qinglan on a real Kafka, and account for every demand
	@$(BIN)/yiwang demo

up: $(KAFKA)  ## run an installation in ./yiwang-data until Ctrl-C
	@$(BIN)/yiwang up

test: $(INSTALLED)  ## all checks and all lanes (what CI runs)
	@$(MAKE) --no-print-directory -j 2 types lint rings $(KAFKA)
	@$(BIN)/python -m pytest $(TWO) tests/unit
	@$(BIN)/python -m pytest $(TWO_BROKERS) tests/faults tests/broker tests/ledger

lint: $(INSTALLED)  ## ruff: lint and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(INSTALLED)  ## mypy, strict, over sources and tests
	@$(BIN)/mypy

rings: $(INSTALLED)  ## import-linter: the three rings
	@$(BIN)/lint-imports

unit: $(INSTALLED)  ## pure tests, seconds
	@$(BIN)/python -m pytest $(TWO) tests/unit

ledger: $(INSTALLED)  ## the ledger's contract on SQLite and PostgreSQL
	@$(BIN)/python -m pytest tests/ledger

broker: $(KAFKA)  ## tests on a real Kafka (YIWANG_TEST_KAFKA=embedded|testcontainers|HOST:PORT)
	@$(BIN)/python -m pytest tests/broker

faults: $(KAFKA)  ## kills, restarts, forgeries and a power cut on the running pipeline
	@$(BIN)/python -m pytest tests/faults

test-containers: $(INSTALLED)  ## the broker lane on a Kafka in a container
	@YIWANG_TEST_KAFKA=testcontainers $(BIN)/python -m pytest tests/broker

bench: $(KAFKA)  ## lifecycles a second, beside the limit and the naive shape
	@$(BIN)/yiwang bench lifecycle

model: $(INSTALLED)  ## train Qinglan's model anew (DATA=folder of the public sets the labels are about)
	@test -d "$(DATA)" || { echo "say where the public sets are: make model DATA=FOLDER"; exit 2; }
	@mkdir -p build
	@$(BIN)/python -m tests.gold tests/quality/hot_messages_dev.csv $(DATA)/teddy2020c/hot_messages_4326.csv.gz build/held_out.csv
	@$(BIN)/yiwang train $(foreach file,$(filter-out %/multi.jsonl,$(wildcard deploy/corpus/*.jsonl)),--file $(file)) \
	  --map text=title+text --map label=category --map kind=kind --map urgency=urgency --map also=second \
	  --for-city --held-out build/held_out.csv --out deploy/cities/qinglan/model

lock: $(INSTALLED)  ## resolve the dependencies anew into requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-header -q -o requirements.lock

hooks: $(INSTALLED)  ## run the checks before every commit
	@$(BIN)/pre-commit install

clean:  ## remove the environment and all caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
