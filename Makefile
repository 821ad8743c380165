# openalts. `make` lists what there is. Every target sets up .venv first (once). Outside the checkout only pip's cache and temporary files are
# written; the latter are removed again.
#   PYTHON=python3.12   the interpreter that .venv is made with          ARGS="..."   passed on to the command
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
JOBS ?= auto
ARGS ?=

BIN := .venv/bin
# A report is kept as evidence only if the run that printed it went well.
EVIDENCE := $(BIN)/python -m tools.evidence
# The stamp's name depends on where the checkout lies: a moved or copied checkout is installed again.
STAMP := .venv/.installed-$(shell pwd -P | cksum | cut -d' ' -f1)

.PHONY: help setup conform test lint format prove prove-mutants proofs-page vectors model attacks trace schema requirements clean distclean

help: ## list the targets
	@echo "openalts: make TARGET [ARGS=...] [PYTHON=...]"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

# Offline unless the requirements in pyproject.toml have changed.
$(STAMP): pyproject.toml tools/bootstrap.sh
	@PYTHON='$(PYTHON)' tools/bootstrap.sh '$@'

setup: $(STAMP) ## make .venv with everything installed (all other targets do this themselves)

.venv: $(STAMP)

conform: $(STAMP) ## run the conformance suite against every peer; reports go to build/conform
	@echo "make conform: every conformance case against every peer; the reports go to build/conform"
	@mkdir -p build/conform
	@rm -f build/conform/report.json
	@$(BIN)/alts conform --report build/conform $(if $(CI),--require-all-peers) $(ARGS)

test: $(STAMP) ## run the tests (ARGS="-k name" or a path narrows them)
	@echo "make test: every test under tests/, $(JOBS) processes; requirement evidence goes to build/requirements-tests.json"
	@mkdir -p build
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadscope $(ARGS)

lint: $(STAMP) ## ruff, then mypy --strict
	@echo "make lint: ruff check, mypy --strict"
	@mkdir -p build
	@$(BIN)/python -m ruff check . && ruff_failed=0 || ruff_failed=1; $(BIN)/python -m mypy && exit $$ruff_failed

format: $(STAMP) ## sort imports and format every Python file in place
	@$(BIN)/python -m ruff check --select I --fix . && $(BIN)/python -m ruff format .

prove: $(STAMP) ## compare every ProVerif query with its expected result (by ProVerif where it is installed, else by the built-in engine)
	@echo "make prove: every committed script against its expected results; a run of all goes to build/prove.json"
	@$(if $(ARGS),$(BIN)/alts prove --engine auto $(ARGS),$(EVIDENCE) build/prove.json $(BIN)/alts prove --engine auto --json)

vectors: $(STAMP) ## lint the vectors, verify the implementation against them, generate them again and compare
	@echo "make vectors: lint, verify, generate again and compare byte for byte"
	@$(BIN)/alts vectors lint
	@$(BIN)/alts vectors generate --check
	@$(EVIDENCE) build/vectors.json $(BIN)/alts vectors verify --json

model: $(STAMP) ## check the tables, run the proofs by z3, search the model for attacks
	@echo "make model: checks, then every search; the reports go to build/model-checks.json and build/model.json"
	@$(EVIDENCE) build/model-checks.json $(BIN)/alts model check --json
	@$(EVIDENCE) build/model.json $(BIN)/alts model explore --search all --json

attacks: $(STAMP) ## run the gallery of attacks as bytes, with their fixes and without
	@echo "make attacks: every attack with its fix and without; the report goes to build/attacks"
	@rm -f build/attacks/report.json
	@$(BIN)/alts attack run --all --output build/attacks $(if $(CI),--require-all)

trace: $(STAMP) ## what stands behind each requirement, from the records of the targets above; fails on a gap
	@$(BIN)/alts doctor --trace

prove-mutants: $(STAMP) ## take checks out of the ProVerif scripts, one by one: the prover must miss each
	@echo "make prove-mutants: every mutated script loses its query, every original keeps it"
	@$(BIN)/alts prove --mutants $(ARGS)

proofs-page: $(STAMP) ## write docs/proofs.md again from the scripts' expected results
	@$(BIN)/python -m tools.gen_proofs $(ARGS)

schema: $(STAMP) ## generate the protobuf modules again from the .proto files
	@$(BIN)/python -m tools.gen_schema $(ARGS)

requirements: $(STAMP) ## write docs/requirements.md again from docs/requirements.json
	@$(BIN)/python -m tools.gen_requirements $(ARGS)

clean: ## remove build/ and caches
	@rm -rf build dist .hypothesis .pytest_cache .mypy_cache .ruff_cache
	@find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean ## clean, and remove .venv
	@rm -rf .venv
	@find . -path ./.git -prune -o -name '*.egg-info' -type d -exec rm -rf {} +
