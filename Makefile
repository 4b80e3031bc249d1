# Ablation Lab. `make help` lists what there is.
STUDY   ?=
PROFILE ?= quick
ENGINE  ?= local
ARGS    ?=
PORT    ?= 5000

# The first Python that is new enough; looked for only when .venv is made.
PYTHON  ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
BIN     := .venv/bin
STUDIES := xor_depth,xor_systems,init_activation,dropout,ensemble,ladder,gradients_xor,boundaries,computed
# The others, each a few seconds; data_facts, which reads real files, only where ABLATION_DATA says where they are.
MORE    := admission,autoencoder,batch_size,char_rnn,cifar10,diabetes,diabetes_split,factorial,features,fitnet4,fitnet4_reduced,frameworks,full_model,gan,gradients,keras,learning_rate,lstm_ramp,mnist_cnn,mnist_mlp,mnist_softmax,optimizers,rbm,regularisation,resnet,resnet_reduced,stock,test_scores,toys_linear,toys_logistic,toys_softmax,train_size,xor_adam,xor_weights,zoo
# Systems and tables of the decks that train on embedded data in seconds each, at sizes made for them.
LECTURES := autoencoder,batch_size,factorial,features,frameworks,full_model,gan,gradients,keras,learning_rate,mnist_cnn,mnist_mlp,mnist_softmax,optimizers,rbm,regularisation,train_size
# The small systems whose printed values need no data files; the others of them are in STUDIES.
TOYS    := toys_linear,toys_logistic,toys_softmax,char_rnn,lstm_ramp,xor_adam,xor_weights
comma   := ,
# Where make results unpacks the committed store of a profile.
KEPT     = runs/results-$(PROFILE)
ablation = $(BIN)/python -m ablation_lab
install  = $(BIN)/pip install --quiet --disable-pip-version-check
run      = $(ablation) run engine=$(ENGINE)

# Compiled programs and lists of fonts lie with the store, not outside this folder.
export TORCHINDUCTOR_CACHE_DIR ?= $(CURDIR)/runs/cache/inductor
export MPLCONFIGDIR ?= $(CURDIR)/runs/cache/matplotlib

.PHONY: help ablation paper toys lectures tables report results values tensorboard serve test test-slow cookbook faults fuzz smoke soak bench sbom audit lint clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12
	@echo 'variables:  STUDY=a,b  PROFILE=smoke|quick|paper  ENGINE=local|ray|slurm  ARGS="key=value ..."  PORT=5000'

ablation: .venv/.ready  ## train what is missing of the four ablations, on embedded data, and write the report
	@$(run) profile=$(PROFILE) $(if $(STUDY),'study=[$(STUDY)]') $(ARGS)

paper: .venv/.ready  ## the same on the real data sets, at the settings of the decks
	@$(run) profile=paper 'study=[$(or $(STUDY),$(STUDIES)$(comma)data_facts)]' $(ARGS)

toys: .venv/.ready  ## the small systems of the decks, on embedded data, so that values decides theirs too
	@$(run) profile=$(PROFILE) study=[$(TOYS)] $(ARGS)

lectures: .venv/.ready  ## the other systems and tables of the decks, on embedded data
	@$(run) profile=$(PROFILE) study=[$(LECTURES)] $(ARGS)

report: .venv/.ready  ## write the report of PROFILE anew from the store
	@$(ablation) report profile=$(PROFILE) $(if $(STUDY),'study=[$(STUDY)]') $(ARGS)

tables: .venv/.ready  ## print the tables of the lectures, T1 to T12, from the store
	@$(BIN)/python -m analysis --profile $(PROFILE) $(ARGS)

# The profile whose store is committed.
results: PROFILE = paper
results: .venv/.ready  ## unpack the committed store and write its report; trains nothing
	@studies=$$($(BIN)/python -m experiments.unpack $(PROFILE)) && $(run) profile=$(PROFILE) "study=[$$studies]" now.minutes=0 \
	  tracking.uri=sqlite:///$(KEPT)/mlflow.db tracking.artifacts=$(KEPT)/artifacts tracking.queue=sqlite:///$(KEPT)/queue.db $(ARGS)

values: .venv/.ready  ## say which reference values PROFILE reproduces; fails where one is bound to nothing
	@$(ablation) values profile=$(PROFILE) $(ARGS)

tensorboard: .venv/.ready  ## write the runs of PROFILE, or of STUDY, as a log for TensorBoard
	@$(BIN)/python -m ablation_lab.report.tensorboard --store $${MLFLOW_TRACKING_URI:-sqlite:///runs/mlflow.db} --profile $(PROFILE) $(if $(STUDY),--studies $(subst $(comma), ,$(STUDY)))

serve: .venv/.ready  ## carry out what is submitted, with the MLflow UI, on 127.0.0.1 (HOST=... takes ARGS=allowed_hosts=NAME)
	@$(ablation) serve port=$(PORT) $(if $(HOST),host=$(HOST)) $(ARGS)

test: .venv/.ready  ## run the tests, but for those marked slow
	@$(BIN)/python -m pytest -n 2 -m 'not slow and not cookbook' $(ARGS)

test-slow: .venv/.extras  ## run the tests marked slow
	@$(BIN)/python -m pytest -n 2 -m slow $(ARGS)

cookbook: .venv/.cookbook  ## run the projects of docs/cookbook from the installed wheel, each killed in its middle
	@$(BIN)/python -m pytest -n 2 -m 'slow or cookbook' tests/cookbook/test_projects.py $(ARGS)

smoke: .venv/.ready  ## every study in seconds, in a store of its own, as a check
	@rm -rf runs/smoke reports/smoke
	@$(run) profile=smoke 'study=[$(or $(STUDY),$(STUDIES)$(comma)$(MORE))]' \
	  tracking.uri=sqlite:///runs/smoke/mlflow.db tracking.artifacts=runs/smoke/artifacts tracking.queue=sqlite:///runs/smoke/queue.db $(ARGS)

bench: .venv/.ready  ## measure how quick it is here, and write docs/results/bench.md
	@$(BIN)/python -m tests.bench $(ARGS)

faults: .venv/.extras  ## the tests of faults in their long form: 25 kills of each kind, disks, clusters (as root, with Slurm)
	@ABLATION_KILLS=25 $(BIN)/python -m pytest -n 2 tests/faults tests/store/test_creation.py $(ARGS)

CASES   ?= 2000
fuzz: .venv/.ready  ## files, settings and stores that are drawn at random, CASES of them
	@ABLATION_CASES=$(CASES) $(BIN)/python -m pytest tests/faults/test_fuzz.py $(ARGS)

MINUTES ?= 60
soak: .venv/.ready  ## train studies under faults for MINUTES, and count what is lost or doubled
	@$(BIN)/python -m tests.faults.soak $(MINUTES) $(or $(STUDY),xor_weights,toys_logistic,batch_size,boundaries)

sbom: .venv/.ready  ## write what is installed, with versions and licences, to sbom.json (CycloneDX)
	@$(BIN)/python -m tests.sbom > sbom.json

audit: .venv/.ready  ## the lock files against the advisories that the repository carries
	@$(BIN)/python -m tests.audit

lint: .venv/.ready  ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo 'not formatted: run .venv/bin/ruff format .'; exit 1; }
	@$(BIN)/mypy

clean:  ## remove reports and caches; the store in runs/ stays
	@rm -rf reports .pytest_cache .mypy_cache .ruff_cache runs/cache runs/smoke
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

.venv/.ready: requirements.lock requirements-torch.lock
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or newer is needed, and none was found; give it as PYTHON=...'; exit 2; }
	@echo 'creating .venv from requirements.lock (a few minutes, once)'
	@"$(PYTHON)" -m venv .venv
	@$(install) --no-deps --require-hashes -r requirements.lock
	@$(install) -r requirements-torch.lock
	@touch $@

# Ray, submitit and a PostgreSQL driver, which only the slow tests and some users need.
.venv/.extras: requirements-extras.lock .venv/.ready
	@$(install) --no-deps --require-hashes -r requirements-extras.lock
	@touch $@

# What projects of docs/cookbook use, in a folder of its own: torchmetrics imports transformers wherever it finds it.
.venv/.cookbook: requirements-cookbook.lock .venv/.ready
	@$(install) --no-deps --require-hashes --upgrade --target .venv/cookbook -r requirements-cookbook.lock
	@touch $@
