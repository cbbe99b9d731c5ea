# CPL Factory. `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
DEVICE := $(if $(shell nvidia-smi -L 2>/dev/null),cuda,cpu)
UV_VERSION := 0.13.8
AUDIT_VERSION := 2.10.1
UV := .venv/bin/uv
# A CPU build of torch comes from a folder of wheels where pip is configured with one, else from torch's own index.
CPU_TORCH := $(if $(PIP_FIND_LINKS),--find-links "$(PIP_FIND_LINKS)",--torch-backend cpu)
TORCH := $(if $(filter cpu,$(DEVICE)),$(CPU_TORCH))
SYNC := $(UV) pip sync --quiet --compile-bytecode $(TORCH)
COMPILE := $(UV) pip compile --quiet --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header --no-annotate

.PHONY: help
help: ## What can be done here
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'
	@echo "  Variables of make round: MODEL QUESTIONS COUNT SIMULATIONS RECIPE CAMPAIGN ROUND"

.PHONY: install
install: .venv/installed .venv-engine/installed ## Both environments, from the locks (device: cpu, or cuda where there is one)

.venv/bin/uv:
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet uv==$(UV_VERSION)

.venv/locked: infra/locks/factory-$(DEVICE).txt | .venv/bin/uv
	@echo "installing the factory's environment ($(DEVICE))"
	$(SYNC) --python .venv/bin/python infra/locks/factory-$(DEVICE).txt
	@touch $@

.venv/installed: .venv/locked pyproject.toml
	$(UV) pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

.venv-engine/installed: infra/locks/engine-$(DEVICE).txt | .venv/bin/uv
	@echo "installing the engine's environment ($(DEVICE))"
	$(UV) venv --quiet --clear --python .venv/bin/python .venv-engine
	$(SYNC) --python .venv-engine/bin/python infra/locks/engine-$(DEVICE).txt
	@touch $@

option = $(if $($(1)),--$(2) "$($(1))")

.PHONY: round
round: install ## One whole round on the local stack, followed to its end
	.venv/bin/cpl round $(call option,MODEL,model) $(call option,QUESTIONS,questions) $(call option,COUNT,count) \
	  $(if $(SIMULATIONS),--set "evidence.trees.simulations=$(SIMULATIONS)") $(call option,RECIPE,recipe) $(call option,CAMPAIGN,campaign) \
	  $(call option,ROUND,round)

.PHONY: study
study: install ## The default study: methods x seeds on the micro world, compared (two hours of two cores; a killed one goes on)
	.venv/bin/cpl study $(STUDY)

.PHONY: up down status
up: install ## Start the local stack: Prefect server, worker, S3 server
	.venv/bin/cpl up

down: ## End the local stack; data stays
	.venv/bin/cpl down

status: ## What runs, and where the UI is
	.venv/bin/cpl status

TOPOLOGIES := infra/topologies
SECRET = head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'

.PHONY: image compose cluster
image: DEVICE := cuda
image: ## The image of every part, for containers and clusters with GPUs (without: DEVICE=cpu): docs/topologies.md
	docker build --file $(TOPOLOGIES)/Dockerfile --build-arg DEVICE=$(DEVICE) --tag cpl-factory .

compose: $(TOPOLOGIES)/runs.secrets.env ## One server with GPUs, as containers
	docker compose --file $(TOPOLOGIES)/compose.yaml up --build --detach

cluster: $(TOPOLOGIES)/runs.secrets.env ## All that a Kubernetes cluster needs, applied to it
	kubectl apply --kustomize $(TOPOLOGIES)

$(TOPOLOGIES)/runs.secrets.env: # made once: the login, and beside it a file for each other reader
	@umask 077; login="cpl:$$($(SECRET))"; password="$$($(SECRET))"; \
	printf '%s\n' "POSTGRES_PASSWORD=$$password" > $(TOPOLOGIES)/postgres.secrets.env; \
	printf '%s\n' "PREFECT_SERVER_API_AUTH_STRING=$$login" "PREFECT_SERVER_DATABASE_PASSWORD=$$password" \
	  > $(TOPOLOGIES)/server.secrets.env; \
	printf '%s\n' "AWS_ACCESS_KEY_ID=$$($(SECRET))" "AWS_SECRET_ACCESS_KEY=$$($(SECRET))" \
	  > $(TOPOLOGIES)/store.secrets.env; \
	printf '%s\n' "PREFECT_API_AUTH_STRING=$$login" > $@

.PHONY: test test-methods unit lint format
test: lint ## Lint, types, all tests, whole rounds included: three files of tests at a time
	.venv/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

test-methods: install ## A tiny round of every method by its name (ten minutes); `make test` has one of them
	METHODS=all .venv/bin/python -m pytest tests/rounds/test_methods.py

unit: install ## The tests that need no server and train nothing: under a minute
	.venv/bin/python -m pytest -n 2 -m "not integration and not round" --ignore tests/trainers

lint: install ## ruff, mypy, and the arrows of the house
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports --no-logo --no-cache
	.venv/bin/mypy

format: install ## Format the code
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

.PHONY: house
house: install ## Write anew what is drawn: the house in CONTRIBUTING.md, docs/files.md, docs/tables.md
	.venv/bin/python -m tests.house

.PHONY: mutants
mutants: install ## Change the code in one place at a time: what no unit test notices. ARGS="tasks.search tasks.lessons"
	.venv/bin/python -m tests.mutants $(ARGS)

.PHONY: bench-search bench-options bench-seeds bench-training bench-tree bench-client bench-simulation bench-page bench-programs bench-checking bench-harness bench-evaluation
bench-search: install ## The search against lockstep and the engine's own limit: build/bench/search.json (15 minutes)
	.venv/bin/python -m tests.bench.search $(ARGS)

bench-options: install ## What options of the search, and other searches, give at equal tokens: build/bench/options.json (40 minutes)
	.venv/bin/python -m tests.bench.options $(ARGS)

bench-seeds: install ## The micro round at three seeds, arms compared question by question: build/bench/seeds.json (15 minutes)
	.venv/bin/python -m tests.bench.seeds $(ARGS)

bench-training: install ## Preference training against TRL's DPOTrainer, on the same pairs: build/bench/training.json (20 minutes)
	.venv/bin/python -m tests.bench.training $(ARGS)

bench-client: install ## How many expansions one search process can ask for: build/bench/client.json (2 minutes)
	.venv/bin/python -m tests.bench.client $(ARGS)

bench-simulation: install ## A round on 1, 8 and 64 simulated GPUs, in virtual time: build/bench/simulation.json (15 minutes)
	.venv/bin/python -m tests.bench.simulation $(ARGS)

bench-page: install ## The page of a round of 5,000 questions, and how fast it is in Chromium: build/bench/page.json (3 minutes)
	.venv/bin/python -m tests.bench.page $(ARGS)

bench-warehouse: install ## A campaign of 10 million pairs as one database: build, one round more, queries: build/bench/warehouse.json (10 minutes)
	.venv/bin/python -m tests.bench.warehouse $(ARGS)

bench-programs: install ## HumanEval's programs in their sandboxes, ARGS="HumanEval.jsonl.gz": build/bench/programs.json (4 minutes)
	.venv/bin/python -m tests.bench.programs $(ARGS)

bench-checking: install ## Answers checked a second, and what hostile ones cost: build/bench/checking.json (15 minutes)
	.venv/bin/python -m tests.bench.checking $(ARGS)

bench-harness: install ## Scores by our engine and by the evaluation harness alone, ARGS="--count 100 boolq": build/bench/harness.json
	.venv/bin/python -m tests.bench.harness $(ARGS)

bench-evaluation: install ## What evaluation adds to the engine's own time: build/bench/evaluation.json (3 minutes)
	.venv/bin/python -m tests.bench.evaluation $(ARGS)

.PHONY: scores
scores: install ## Ours beside what was published, of MODEL (a name in docs/scores.md), ARGS="--count 1000": writes docs/scores.md
	.venv/bin/python -m tests.bench.scores $(MODEL) $(ARGS)

bench-tree: install ## Tree code, memory of 10,000 trees, a million nodes to Parquet: build/bench/tree.json (10 minutes)
	.venv/bin/python -m tests.bench.tree $(ARGS)

.PHONY: chaos crashes
chaos: install ## The kill matrix, faults in every stage of rounds on a stack of its own: build/chaos.json (an hour). ARGS="--stage SFT"
	.venv/bin/python -m tests.chaos.matrix $(ARGS)

crashes: install ## A round killed at one call of the store after another, without Prefect: build/crashes.json (ten minutes)
	.venv/bin/python -m tests.chaos.crashes $(ARGS)

.PHONY: locks
locks: .venv/bin/uv ## Compile infra/locks anew, without index addresses
	$(COMPILE) pyproject.toml --group dev $(CPU_TORCH) -o infra/locks/factory-cpu.txt
	$(COMPILE) infra/locks/engine-cpu.in --overrides infra/locks/engine-cpu-overrides.in $(CPU_TORCH) -o infra/locks/engine-cpu.txt
	$(COMPILE) pyproject.toml --group dev -o infra/locks/factory-cuda.txt
	$(COMPILE) infra/locks/engine-cuda.in -o infra/locks/engine-cuda.txt

.PHONY: audit
audit: .venv/bin/uv ## Known vulnerabilities of the versions that the locks name
	@failed=0; for lock in infra/locks/*.txt; do echo "$$lock"; \
	  $(UV) tool run --quiet pip-audit==$(AUDIT_VERSION) --strict --no-deps --disable-pip --progress-spinner off --requirement $$lock \
	  || failed=1; done; exit $$failed

.PHONY: smollm2-micro
smollm2-micro: install ## SmolLM2 warmed up on written plans of the micro world, for `make study STUDY=smollm2`
	.venv/bin/python -m flows.warm_up smollm2 build/smollm2-micro

.PHONY: micro-base
micro-base: .venv/installed ## Make the micro base model anew (about half an hour on two cores)
	mkdir -p build/micro
	.venv/bin/python -m tasks.micro.corpus build/micro/corpus.jsonl
	.venv/bin/python -m trainers.pretrain tasks/micro/base.json

.PHONY: clean
clean: ## Remove the environments and builds; .cpl (your data) stays
	rm -rf .venv .venv-engine build mutants *.egg-info
