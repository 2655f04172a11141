# Everything is set up by the targets themselves; `make help` lists them.

PYTHON ?= python3
BROKER ?= iotcore
EXAMPLE ?= examples/fashion_mnist
SECONDS ?= 1200
SEED ?= 0

SOURCES := $(shell find runtime device_agent coordinator firmware_profiles -name '*.py' -o -name '*.toml')
INSTALL := -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test-campaign test-faults test-trials fuzz soak check bench paper clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

demo: .stamps/operator .stamps/agent  ## train the example on four emulated boards
	.venv/bin/edgesplit rehearse $(EXAMPLE)/job.toml --broker $(BROKER) --agent-python .venv-agent/bin/python

test: .stamps/operator  ## run the tests
	.venv/bin/python -m pytest -n 2 --dist loadfile

test-campaign: .stamps/operator  ## run the tests that take minutes
	.venv/bin/python -m pytest -m campaign --timeout 1800

test-trials: .stamps/operator  ## kill, cut and starve real processes, and tell how long it took
	.venv/bin/python -m pytest -m campaign tests/trials

test-faults: .stamps/operator  ## play two thousand fault schedules in virtual time
	.venv/bin/python -m tests.faults.campaign

fuzz: .stamps/operator  ## feed a million mutated inputs to everything that decodes
	.venv/bin/python -m tests.fuzz.campaign

soak: .stamps/operator  ## look for leaks, for SECONDS=1200, under kills, bad links and departures
	.venv/bin/python -m tests.soak --seconds $(SECONDS) --seed $(SEED) --broker $(BROKER)

check: .stamps/operator  ## lint, formatting and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy runtime device_agent coordinator firmware_profiles tests $(wildcard benchmarks)

bench: .stamps/operator .stamps/agent  ## measure, and write down what was measured
	.venv/bin/python -m benchmarks

paper: .stamps/operator .stamps/genetic  ## simulate the paper's experiment, and write its page
	.venv/bin/python -m benchmarks.paper

clean:  ## remove what the targets made, except the runs
	rm -rf .venv .venv-agent .stamps build *.egg-info

# The operator's environment: torch, the broker for rehearsals, and the tools.
.stamps/operator: pyproject.toml constraints.txt
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python $(INSTALL) --editable '.[coordinator,rehearse,dev]'
	@mkdir -p $(@D) && touch $@

# The genetic planner's library, which only a comparison needs.
.stamps/genetic: .stamps/operator
	.venv/bin/python $(INSTALL) --editable '.[genetic]'
	@mkdir -p $(@D) && touch $@

# What a board gets: the package as it is installed, without torch and without onnx.
.stamps/agent: pyproject.toml constraints.txt $(SOURCES)
	test -x .venv-agent/bin/python || $(PYTHON) -m venv .venv-agent
	rm -rf build/lib build/bdist.*
	.venv-agent/bin/python $(INSTALL) .
	.venv-agent/bin/python $(INSTALL) --no-deps --force-reinstall .
	@mkdir -p $(@D) && touch $@
