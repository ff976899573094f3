# What a person types. `make` alone lists it.
PYTHON ?= python3
VENV ?= .venv
# Test files run at the same time; each process has servers of its own.
AT_ONCE ?= 2
# Folder by folder, which begins with the longest; by itself xdist would keep them for the end, one after the other.
SHORT := -m "not campaign" -n $(AT_ONCE) --dist loadfile --no-loadscope-reorder
BIN := $(VENV)/bin
PINS := pyproject.toml requirements/install requirements/run.txt requirements/postgres.txt requirements/dev.txt
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo test lint format docs pictures bench campaign rehearsal servers lock clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(VENV)/run.stamp  ## start the hub with an invented shop, in its own environment
	$(BIN)/tresse demo $(DEMO)

test: lint servers  ## everything CI runs: lint, types, layers, all tests with real servers
	$(BIN)/pytest $(SHORT) $(PYTEST)

lint: $(VENV)/dev.stamp  ## ruff, mypy --strict, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/dev.stamp  ## let ruff format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/dev.stamp  ## write docs/reference from the code
	$(BIN)/tresse docs docs/reference

pictures: $(VENV)/dev.stamp servers  ## take the README's picture from the demo
	$(BIN)/python docs/images/take.py

bench: $(VENV)/dev.stamp servers  ## figures: intake and webhooks beside their floors, both engines with their backlogs, timeline reads (hours)
	$(BIN)/python -m bench.intake $(BENCH)
	$(BIN)/python -m bench.webhook
	$(BIN)/python -m bench.engines
	$(BIN)/python -m bench.timeline

campaign: $(VENV)/dev.stamp servers  ## the long tests, an hour and more: hundreds of crashes, a thousand seeds
	$(BIN)/python -m tests.campaign $(CAMPAIGN)

rehearsal: $(VENV)/dev.stamp servers  ## the campaign in its short versions, as `make test` runs them (under three minutes on 2 cores)
	$(BIN)/pytest $(SHORT) tests/sim tests/campaign tests/story/test_restore.py $(PYTEST)

servers: $(VENV)/dev.stamp  ## install the Debian packages the tests use (as root)
	$(BIN)/python -m tests.servers.install

lock: $(VENV)/dev.stamp  ## pin every dependency anew, with hashes
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header --no-annotate --upgrade pyproject.toml -o requirements/run.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header --no-annotate --upgrade --extra postgres pyproject.toml \
		-o requirements/postgres.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header --no-annotate --upgrade --extra dev pyproject.toml -o requirements/dev.txt

clean:  ## remove the environment and everything made
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# An installation with the test tools serves the demo as well.
$(VENV)/run.stamp: $(PINS)
	@test $(VENV)/dev.stamp -nt pyproject.toml || sh requirements/install $(VENV) run
	@touch $@

$(VENV)/dev.stamp: $(PINS)
	@sh requirements/install $(VENV) dev
	@touch $@
