# Everything that a developer or CI runs. Each target makes its own virtual environment in .venv first.

PYTHON := $(shell for python in python3.11 python3.12 python3; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$python && break; \
	done)
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help install demo test test-long test-postgresql test-fast hostile check format bench bench-parameters bench-circuits bench-networks bench-cost bench-fan-out bench-accuracy bench-models faults bench-load bench-soak experiments thesis-table thesis-figures search docs images clean

help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

install: $(INSTALLED)  ## Make .venv with everything in it

$(INSTALLED): pyproject.toml requirements/constraints.txt
	@test -n "$(PYTHON)" || { echo "epaas needs Python 3.11 or 3.12 (the TFHE runtime has no wheels for others)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint requirements/constraints.txt --editable ".[all]" --group dev
	touch $@

demo: $(INSTALLED)  ## One real encrypted prediction, end to end
	$(BIN)/python examples/demo.py

TEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --max-worker-restart 0

test: $(INSTALLED)  ## All tests but the long ones, on two processes
	$(TEST) -m "not long"

test-long: $(INSTALLED)  ## Those that `make test` leaves out for their length: a minute without a database, a cluster that dies
	$(TEST) -m long

ON_POSTGRESQL := tests/contract $(addprefix tests/unit/server/test_,metrics.py release_routes.py report_routes.py) \
	$(addprefix tests/integration/test_,erasure_served.py quotas_served.py tenants_served.py)

test-postgresql: $(INSTALLED)  ## Those tests of a server that depend on its database once more, on PostgreSQL
	EPAAS_TEST_DATABASE=postgresql $(TEST) -m "not long" $(ON_POSTGRESQL)

test-fast: $(INSTALLED)  ## The tests that take no more than a few seconds each
	$(TEST) -m "not slow and not long"

hostile: $(INSTALLED)  ## 5,000 malformed requests by a seed and twenty damaged keysets: what became of the server, as JSON
	$(BIN)/python -m tests.hostile --seed $(or $(SEED),1)

check: $(INSTALLED)  ## Static checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)  ## Mend what the static checks can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED)  ## Time and sizes of one Cancer prediction, as JSON
	$(BIN)/python benchmarks/prediction.py

bench-parameters: $(INSTALLED)  ## Alternatives to the parameter set, as JSON
	$(BIN)/python benchmarks/parameters.py

bench-circuits: $(INSTALLED)  ## A neuron by every circuit, figure 8.3 of the thesis; a quarter of an hour
	$(BIN)/python benchmarks/circuits.py

bench-networks: $(INSTALLED)  ## The thesis's four networks, table 8.2; an hour
	$(BIN)/python benchmarks/networks.py

bench-cost: $(INSTALLED)  ## What was said beforehand of cost, beside what it was
	PYTHONPATH=. $(BIN)/python benchmarks/cost.py

bench-fan-out: $(INSTALLED)  ## A layer on two machines of a Ray cluster beside one, and sixteen simulated
	PYTHONPATH=. $(BIN)/python benchmarks/fan_out.py

bench-accuracy: $(INSTALLED)  ## Table 8.3 of the thesis, over five seeds; an hour
	$(BIN)/python benchmarks/accuracy.py

bench-models: $(INSTALLED)  ## The shipped models on encrypted test records; an hour
	$(BIN)/python benchmarks/models.py

bench-load: $(INSTALLED)  ## 200 clients at once: memory, fairness and the time of status calls; six minutes
	PYTHONPATH=. $(BIN)/python benchmarks/load.py

bench-soak: $(INSTALLED)  ## An hour of small load: does anything grow?
	PYTHONPATH=. $(BIN)/python benchmarks/soak.py

faults: $(INSTALLED)  ## 200 kills at random moments, on PostgreSQL, by a seed; half an hour
	$(BIN)/python -m tests.faults --database postgresql --report docs/benchmarks/faults.json

experiments: $(INSTALLED)  ## The thesis's experiments of chapters 4 to 7 that have no log yet; hours if all
	$(BIN)/epaas-train experiment run --logs docs/experiments/logs

thesis-table: $(INSTALLED)  ## The thesis's claims of chapters 4 to 7 beside what the kept logs say
	$(BIN)/epaas-train experiment table --logs docs/experiments/logs --output docs/experiments/table.md

thesis-figures: $(INSTALLED)  ## The figures of docs/experiments.md, from the kept logs
	$(BIN)/python benchmarks/thesis_figures.py

search: $(INSTALLED)  ## MNIST networks by accuracy and by encrypted seconds; half an hour
	$(BIN)/python benchmarks/search.py

docs: $(INSTALLED)  ## Write the generated reference again
	$(BIN)/epaas-server openapi > docs/reference/openapi.json
	$(BIN)/epaas-server report-schema > docs/reference/report.schema.json

images:  ## Build the images of a deployment, with Docker or buildah, and list their sizes
	deploy/build

clean:  ## Remove what the targets made
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
