# Everything made lies in .work/ of this checkout, so checkouts never share an environment, a jar, a port or a file.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

SPARK ?= 4.1
ARGS ?=
TAG := $(subst .,,$(SPARK))
VENV := .work/venv-$(TAG)
RUN := bin/in-env $(SPARK)
PYTEST := $(RUN) python -m pytest -q
UV := .work/tools/bin/uv
LOCK := $(UV) pip compile --quiet --generate-hashes --no-header --no-annotate --no-emit-index-url --python-version 3.11 $(UPGRADE)
# pytest ends with 5 where it collected nothing: no failure for tests that only some machines have, but one for `make test`.
NO_TESTS_YET := { code=$$?; [ $$code -eq 5 ] && echo "no tests of this kind"; }
HOUSE := lakehouse streaming ml serving jobs

ifeq ($(filter $(TAG),40 41),)
$(error SPARK=$(SPARK) is not one of 4.0 and 4.1)
endif

.PHONY: help setup demo test itest nightly lint fmt bench bench-quick soak docs wheel clean lock system browser trino

help: ## Show this help
	@echo "make TARGET [SPARK=4.0] [ARGS='...']"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.stamp .work/jars/spark$(TAG)/.stamp .work/jars/kafka/.stamp ## Python environment, Java 17 and jars, once; quick when nothing changed

demo: setup ## One simulated session from stream to tables on this machine, no account, no keys
	$(RUN) python -m jobs demo $(ARGS)

test: setup ## Fast tests: unit, and Spark with Delta on local disk
	$(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder -m "not itest and not nightly" $(ARGS)

itest: setup browser trino .work/jars/dynamodb/.stamp ## Tests that start real processes and servers, and the long ones
	$(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder -m "itest and not nightly" --durations=12 $(ARGS) || $(NO_TESTS_YET)

nightly: setup ## Tests too long for every day
	$(PYTEST) -m nightly $(ARGS) || $(NO_TESTS_YET)

lint: setup ## Ruff, formatting, mypy --strict, generated pages
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) python -m jobs docs --check

fmt: setup ## Format, and fix what can be fixed
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

bench: setup $(VENV)/.bench-stamp ## All benchmarks against their rivals (an hour or more)
	$(RUN) python -m benchmarks $(ARGS)

bench-quick: setup $(VENV)/.bench-stamp ## The same rows on less data (under 5 minutes)
	$(RUN) python -m benchmarks --quick $(ARGS)

soak: setup $(VENV)/.bench-stamp ## 50 M trades and one hour of stream
	$(RUN) python -m benchmarks soak $(ARGS)

docs: setup ## Write the generated pages of docs/
	$(RUN) python -m jobs docs

wheel: setup ## Build dist/tickhouse-*.whl, with conf/ and the SQL in it
	rm -rf build dist
	$(RUN) python -m build --wheel --no-isolation

clean: ## Remove what runs and builds left behind; environments and jars stay
	rm -rf warehouse build dist *.egg-info .pytest_cache .ruff_cache .hypothesis spark-warehouse metastore_db derby.log
	rm -rf .work/tmp .work/mypy
	find $(HOUSE) tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

lock: system ## Pin every dependency again: requirements/*.txt and jars/*.sha256 (UPGRADE=--upgrade for newer versions)
	bin/make-venv .work/tools requirements/tools.txt
	for tag in 41 40; do \
	  all=requirements/spark$$tag.txt; \
	  $(LOCK) requirements/core.in requirements/dev.in requirements/spark$$tag.in -o $$all; \
	  $(LOCK) requirements/core.in requirements/spark$$tag.in -c $$all -o requirements/core-spark$$tag.txt; \
	  $(LOCK) requirements/bench.in -c $$all -o requirements/bench-spark$$tag.txt; \
	done
	$(LOCK) requirements/tools.in -o requirements/tools.txt
	for name in spark41 spark40 kafka dynamodb trino; do bin/fetch-jars $$name --lock; done

system:
	@bin/system-packages

browser:
	@bin/system-packages browser || echo "Without Chromium its tests skip."

trino: # 821 MB to fetch, 308 MB to keep
	@{ bin/java-home 24 >/dev/null && $(MAKE) --no-print-directory .work/jars/trino/.stamp; } || echo "Without Trino its tests skip."

$(VENV)/.stamp: requirements/spark$(TAG).txt bin/make-venv | system
	@echo "Installing $< into $(VENV) (some minutes the first time)"
	@bin/make-venv $(VENV) $<
	@touch $@

$(VENV)/.bench-stamp: requirements/bench-spark$(TAG).txt | $(VENV)/.stamp
	@bin/make-venv $(VENV) $<
	@touch $@

.work/jars/%/.stamp: jars/pom-%.xml jars/%.sha256 bin/fetch-jars | system
	@echo "Fetching the jars of $<"
	@bin/fetch-jars $*
	@touch $@
