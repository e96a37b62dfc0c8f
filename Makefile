# Set-up, imports and checks. `make` alone lists the commands.
#
# A fresh machine needs Python 3.11 with pip, make and git; everything else is installed into .venv
# and node_modules on first use. If a command fails, make itself exits with 2; the importer's exit
# code is in make's last line ("Error 3": done, but some items failed).

PYTHON ?= python3.11

STATES_DIR ?= examples/states
FOLDERS_DIR ?= examples/folders
PEOPLE_EXAMPLES := examples/people/systematic_search_results
PEOPLE_DIR ?= $(PEOPLE_EXAMPLES)
RECOGNITIONS_DIR ?= examples/recognitions
INSIGHTS_DIR ?= examples/insights
IMPORT_TAG ?= example
BACKEND ?=
BATCH_SIZE ?=
MAX_WORKERS ?=
ARGS ?=
REST ?= lite
SCALE ?= quick
MINUTES ?= 30
SEED ?= 1
BATCH_ID ?=

# Make would silently ignore a misspelt variable. Those in PASSED_ON are for the programs.
VARIABLES := STATES_DIR FOLDERS_DIR PEOPLE_DIR RECOGNITIONS_DIR INSIGHTS_DIR IMPORT_TAG BACKEND \
	BATCH_SIZE MAX_WORKERS ARGS REST BATCH_ID SCALE MINUTES SEED PYTHON
PASSED_ON := MAKE% SHELL PATH HOME TMPDIR LANG LC_% TZ XDG_% PIP_% npm_config_% %_PROXY %_proxy SSL_% \
	IMPORTER_% SUPABASE_% NEXT_PUBLIC_SUPABASE_% DATABASE_URL PG%
UNKNOWN := $(filter-out $(VARIABLES) $(PASSED_ON),$(foreach each,$(.VARIABLES), \
	$(if $(filter command,$(origin $(each))),$(each))))
ifneq ($(UNKNOWN),)
$(error There is no variable $(UNKNOWN). There are: $(VARIABLES))
endif

BIN := .venv/bin
RUNTIME := .venv/.installed
DEVELOPMENT := .venv/.installed-dev
COMPARED := .venv-bench/.installed
NODE_MODULES := node_modules/.installed

PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# Without a network, npm would silently retry for a quarter of an hour.
NPM := npm install --no-package-lock --no-audit --no-fund --no-update-notifier \
	--fetch-retries 1 --fetch-timeout 60000

OPTIONS = --tag "$(IMPORT_TAG)" \
	$(if $(BATCH_SIZE),--batch-size "$(BATCH_SIZE)") \
	$(if $(MAX_WORKERS),--max-workers "$(MAX_WORKERS)")
IMPORT = $(BIN)/python imports/resilient_importer.py --states-dir "$(STATES_DIR)" $(OPTIONS)

# Examples must not get into a user's data: $(call into,SOURCE,BACKEND) chooses the backend. Without a
# source of the user, it is the embedded PostgreSQL, unless the user names a target.
given = $(filter-out file,$(firstword $(origin $(1))))
asked_for = $(filter --backend% --database-url% --states-dir% --single-file%,$(ARGS))
is_example = $(if $(or $(call given,$(1)),$(call given,BACKEND),$(asked_for)),,yes)
into = $(if $(call is_example,$(1)),--backend embedded,$(if $(2),--backend "$(2)"))
tell = $(call refuse_empty,$(1)) $(if $(call is_example,$(1)),echo "The examples go into the embedded \
	PostgreSQL; a source of yours ($(1)=…) goes where you have configured." &&)
# An empty name would mean the working folder, which contains the examples.
refuse_empty = $(if $(strip $($(1))),,$(error $(1) is empty. It names the folder to import))

# Runs a command, and shows its output only if it fails.
quietly = log=$$(mktemp) && { ( $(1) ) </dev/null >"$$log" 2>&1 \
	|| { code=$$?; cat "$$log" >&2; rm -f "$$log"; exit $$code; }; } && rm -f "$$log"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup import_scrape_states import_scrape_states_local import_folders import_people \
	import_recognitions import_insights status verify check reset system_test test soak lint format bench profile supabase_local clean

help: ## List the commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z_]+:.*## / { printf "  make %-28s %s\n", $$1, $$2 }' \
		$(firstword $(MAKEFILE_LIST))
	@echo
	@echo "Variables of the imports: STATES_DIR=$(STATES_DIR) FOLDERS_DIR=$(FOLDERS_DIR)"
	@echo "PEOPLE_DIR=$(PEOPLE_DIR) RECOGNITIONS_DIR=$(RECOGNITIONS_DIR)"
	@echo "INSIGHTS_DIR=$(INSIGHTS_DIR)"
	@echo "IMPORT_TAG=$(IMPORT_TAG) BACKEND=auto|supabase|postgresql|embedded BATCH_SIZE=… MAX_WORKERS=… ARGS='any other option'"
	@echo "For reset: BATCH_ID=batch_…, and ARGS=--dry-run to only look"
	@echo "For the set-up: PYTHON=$(PYTHON); for supabase_local: REST=lite|postgrest"
	@echo "For bench: SCALE=quick|normal|full (about 5 minutes, 1 hour, 2 hours)"
	@echo "  ARGS='--only postgresql --rounds 5'; for profile: ARGS='--items 100000 --backend supabase'"
	@echo "For soak: MINUTES=$(MINUTES) SEED=$(SEED) ARGS='--round N' (repeats this round)"

# --- the user's commands ---------------------------------------------------------------------

import_scrape_states: $(RUNTIME) ## Import STATES_DIR (default: the examples), or resume it
	@$(call tell,STATES_DIR) $(IMPORT) $(call into,STATES_DIR,$(BACKEND)) $(ARGS)

import_scrape_states_local: $(RUNTIME) ## The same, always into PostgreSQL
	@$(call tell,STATES_DIR) $(IMPORT) $(call into,STATES_DIR,postgresql) $(ARGS)

import_folders: $(RUNTIME) ## Import the device tests in FOLDERS_DIR, or resume it
	@$(call tell,FOLDERS_DIR) $(BIN)/resilient-importer folders "$(FOLDERS_DIR)" $(OPTIONS) \
		$(call into,FOLDERS_DIR,$(BACKEND)) $(ARGS)

# The examples belong to the checkout: keep them.
KEEP_EXAMPLES = $(if $(filter $(abspath examples)%,$(abspath $(PEOPLE_DIR))), \
	--on-success keep --on-failure keep)

import_people: $(RUNTIME) ## Import the people in PEOPLE_DIR, and delete each imported file
	@$(call tell,PEOPLE_DIR) $(BIN)/resilient-importer people "$(PEOPLE_DIR)" $(OPTIONS) \
		$(call into,PEOPLE_DIR,$(BACKEND)) $(KEEP_EXAMPLES) $(ARGS)

import_recognitions: $(RUNTIME) ## Import the recognitions in RECOGNITIONS_DIR, or resume it
	@$(call tell,RECOGNITIONS_DIR) $(BIN)/resilient-importer recognitions "$(RECOGNITIONS_DIR)" \
		$(OPTIONS) $(call into,RECOGNITIONS_DIR,$(BACKEND)) $(ARGS)

import_insights: $(RUNTIME) ## Import the insights in INSIGHTS_DIR, or resume it
	@$(call tell,INSIGHTS_DIR) $(BIN)/resilient-importer insights "$(INSIGHTS_DIR)" $(OPTIONS) \
		$(call into,INSIGHTS_DIR,$(BACKEND)) $(ARGS)

status: $(RUNTIME) ## What is imported, pending and failed, and what to type next
	@$(BIN)/resilient-importer status $(ARGS)

verify: $(RUNTIME) ## Read back the rows and images of the last run, and compare them
	@$(BIN)/resilient-importer verify $(ARGS)

check: $(RUNTIME) ## Check that the target and this machine are ready for an import
	@$(BIN)/resilient-importer check $(ARGS)

reset: $(RUNTIME) ## Delete what the run BATCH_ID=… wrote; it shows that and asks first
	$(if $(strip $(BATCH_ID)),,$(error BATCH_ID is empty. `make status` shows the batch ids))
	@$(BIN)/resilient-importer reset --batch-id "$(BATCH_ID)" $(ARGS)

supabase_local: $(RUNTIME) $(NODE_MODULES) ## Run a local Supabase (REST=postgrest: a real PostgREST)
	@$(BIN)/python -m imports.servers.local_supabase --rest "$(REST)" $(ARGS)

# --- checks ----------------------------------------------------------------------------------

system_test: $(RUNTIME) $(NODE_MODULES) ## One check from end to end, on both backends
	@$(BIN)/python system_test.py $(ARGS)

test: $(DEVELOPMENT) $(NODE_MODULES) ## Run the tests (ARGS="tests/unit -k dates" for some)
	@$(BIN)/python -m pytest --numprocesses 3 --dist worksteal $(ARGS)

soak: $(DEVELOPMENT) $(NODE_MODULES) ## Import random sources for MINUTES, disturb the imports, and check them
	@$(BIN)/python -m tests.soak --minutes "$(MINUTES)" --seed "$(SEED)" $(ARGS)

lint: $(DEVELOPMENT) ## Check style, format, types, floors and the Dockerfile
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { \
		$(BIN)/ruff format --check . ; echo "Run: make format" >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports >/dev/null || { $(BIN)/lint-imports; exit 1; }
	@$(BIN)/hadolint Dockerfile

format: $(DEVELOPMENT) ## Format the code
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

# --- speed -----------------------------------------------------------------------------------

bench: $(DEVELOPMENT) $(NODE_MODULES) $(COMPARED) ## Measure speed, and compare it with limits and goals
	@$(BIN)/python benchmarks/bench.py --scale "$(SCALE)" $(ARGS)

profile: $(DEVELOPMENT) $(NODE_MODULES) ## Show where the time of an import goes; a flame graph
	@$(BIN)/python benchmarks/where_time_goes.py $(ARGS)

# --- set-up ----------------------------------------------------------------------------------

setup: $(DEVELOPMENT) $(NODE_MODULES) ## Install everything, and do nothing else

$(RUNTIME): pyproject.toml constraints.txt
	@$(MAKE_VENV)
	@echo "Installing the importer into .venv …"
	@$(call quietly,$(PIP) install --constraint constraints.txt --editable .)
	@touch $@

$(DEVELOPMENT): pyproject.toml constraints.txt
	@$(MAKE_VENV)
	@echo "Installing the importer and its development tools into .venv …"
	@$(call quietly,$(PIP) install --constraint constraints.txt --editable '.[dev]')
	@touch $(RUNTIME) $@

# Separate, since the dependencies of the importer and of the other tool may conflict.
$(COMPARED): benchmarks/requirements.txt | $(RUNTIME)
	@echo "Installing the tool for comparison into .venv-bench …"
	@test -x .venv-bench/bin/python || { $(call quietly,$(BIN)/python -m venv .venv-bench); }
	@$(call quietly,.venv-bench/bin/python -m pip --disable-pip-version-check --no-input \
		install --requirement benchmarks/requirements.txt)
	@touch $@

MAKE_VENV = test -x $(BIN)/python || { \
	command -v $(PYTHON) >/dev/null || { \
		echo "$(PYTHON) was not found. Install Python 3.11 or newer, or name it: make PYTHON=python3 …" >&2; \
		exit 1; }; \
	$(call quietly,$(PYTHON) -m venv .venv); }

# Without node (22 or newer) and npm, they are installed as a Python package into .venv.
NODE_FITS = node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 22 ? 1 : 0)' && npm --version

$(NODE_MODULES): package.json | $(RUNTIME)
	@( $(NODE_FITS) ) </dev/null >/dev/null 2>&1 || { \
		echo "Installing node into .venv …"; \
		$(call quietly,$(PIP) install --constraint constraints.txt --editable '.[node]'); }
	@echo "Installing the local Supabase into node_modules …"
	@$(call quietly,if $(NODE_FITS); then $(NPM); else PATH="$(CURDIR)/$(BIN):$$PATH" $(NPM); fi)
	@touch $@

clean: ## Delete .venv, node_modules, caches and build products; keep data, ledger and work state
	rm -rf .venv .venv-bench node_modules build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf .bench/data .bench/postgresql* .bench/work
	rm -rf -- *.egg-info
	find imports tests benchmarks -type d -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
	@echo "Kept: .importer (database and images), upload_tracker.db, work_state.json, .bench/results."
