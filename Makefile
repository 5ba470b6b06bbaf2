# make demo: the whole story on a phantom.   make test: everything.   make fuzz: hostile files and kills, minutes.   All make the environment first, if it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := python/constraints/constraints.txt
READY := $(VENV)/.ready
# another build of torch, for example a CPU-only one: TORCH_INDEX_URL=<index from pytorch.org> make demo
TORCH_INDEX_URL ?=
OUT ?= demo-output
# one thread per test process, two processes: two OpenMP teams on two cores would wait for each other
TEST := cd python && OMP_NUM_THREADS=1 ../$(BIN)/python -m pytest -n 2 --dist loadgroup

.PHONY: demo test test-fast lint format fuzz bench clean

demo: $(READY)
	$(BIN)/organincrement demo --out $(OUT)

test: lint
	rm -f python/.coverage python/.coverage.*
	$(TEST) --cov --cov-report=term:skip-covered --cov-fail-under=85

test-fast: $(READY)
	$(TEST) -m "not slow"

lint: $(READY)
	cd python && ../$(BIN)/ruff check . && ../$(BIN)/ruff format --check . && ../$(BIN)/mypy && ../$(BIN)/lint-imports

format: $(READY)
	cd python && ../$(BIN)/ruff check --fix . && ../$(BIN)/ruff format .

fuzz: $(READY)
	cd python && ../$(BIN)/python -m fuzz images --mutants 10000 && ../$(BIN)/python -m fuzz kills --runs 200

bench: $(READY)
	cd python && ../$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) demo-output

$(READY): $(CONSTRAINTS) python/pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) -c $(CONSTRAINTS) torch
	$(BIN)/python -m pip install --quiet --no-deps -c $(CONSTRAINTS) dynamic-network-architectures
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) -e 'python[dev]'
	touch $@
