# make demo: the whole story on a phantom.   make test: everything.   make fuzz: hostile files and kills, minutes.
# make screenshots: the modules' pictures for the documentation.   All make the environment first, if it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := python/constraints/constraints.txt
READY := $(VENV)/.ready
VIEWER_READY := $(VENV)/.viewer-ready
PARITY := .venv-parity
PARITY_READY := $(PARITY)/.ready
SOURCES := python OrganIncrement Testing Resources
# another build of torch, for example a CPU-only one: TORCH_INDEX_URL=<index from pytorch.org> make demo
TORCH_INDEX_URL ?=
OUT ?= demo-output
# one thread per test process, two processes: two OpenMP teams on two cores would wait for each other
TEST := cd python && OMP_NUM_THREADS=1 ../$(BIN)/python -m pytest -n 2 --dist loadgroup
VIEWER_TEST := cd Testing && OMP_NUM_THREADS=1 ../$(BIN)/python -m pytest -n 2 --dist loadgroup

.PHONY: demo test test-engine test-viewer test-fast lint format fuzz bench parity screenshots clean

demo: $(READY)
	$(BIN)/organincrement demo --out $(OUT)

test: lint test-engine test-viewer

test-engine: $(READY)
	rm -f python/.coverage python/.coverage.*
	$(TEST) --cov --cov-report=term:skip-covered --cov-fail-under=85

# the three modules, clicked through off-screen; SLICER_PYTHON_DIR=<Slicer source tree> runs them on Slicer's own layer
test-viewer: $(VIEWER_READY)
	$(VIEWER_TEST)

test-fast: $(VIEWER_READY)
	$(TEST) -m "not slow"
	$(VIEWER_TEST) -m "not slow"

lint: $(READY)
	$(BIN)/ruff check $(SOURCES) && $(BIN)/ruff format --check $(SOURCES)
	cd python && ../$(BIN)/mypy && ../$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix $(SOURCES) && $(BIN)/ruff format $(SOURCES)

fuzz: $(READY)
	cd python && ../$(BIN)/python -m fuzz images --mutants 10000 && ../$(BIN)/python -m fuzz kills --runs 200

# an hour or two; with the development data beside the project also on real scans, against stock nnU-Net where `make parity` ran
bench: $(READY)
	cd python && ../$(BIN)/python -m benchmarks.speed $(if $(wildcard ../shared),--shared $(abspath ../shared))

# beside stock nnU-Net and MONAI, in an environment of their own: once a day or on request, half an hour on two cores
parity: $(PARITY_READY)
	cd python && OMP_NUM_THREADS=2 ../$(PARITY)/bin/python -m pytest tests/parity -v

screenshots: $(VIEWER_READY)
	cd Testing && ../$(BIN)/python screenshots.py $(if $(HEADNECK_MODEL),--headneck-model $(abspath $(HEADNECK_MODEL)))

clean:
	rm -rf $(VENV) $(PARITY) demo-output Testing/.cache Testing/output

$(READY): $(CONSTRAINTS) python/pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) -c $(CONSTRAINTS) torch
	$(BIN)/python -m pip install --quiet --no-deps -c $(CONSTRAINTS) dynamic-network-architectures
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) -e 'python[dev]'
	touch $@

# Slicer's core and Qt are needed by the tests of the modules alone, and so are some libraries of the system
$(VIEWER_READY): $(READY) Testing/requirements.txt
	$(BIN)/python Testing/system_libraries.py
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) -r Testing/requirements.txt
	touch $@

$(PARITY_READY): $(CONSTRAINTS) python/constraints/parity.txt
	$(PYTHON) -m venv $(PARITY)
	$(PARITY)/bin/python -m pip install --quiet $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) -c $(CONSTRAINTS) torch
	$(PARITY)/bin/python -m pip install --quiet --no-deps -r python/constraints/parity.txt
	touch $@
