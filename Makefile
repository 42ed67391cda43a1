# Everything needs Python 3.12 or newer and `make` alone; `make help` lists what there is.

VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check -qq
# Three workers for the whole suite, as tests that wait for time-outs leave a core idle; with ARGS, whatever they say.
PYTEST = -m pytest $(if $(ARGS),$(ARGS),-n 3)
PYTHON_WORKS = $(BIN)/python -c 'import pip, sys; assert sys.version_info >= (3, 12)' 2>/dev/null

.PHONY: help setup demo api gallery test faults model kill lint bench docs lowest clean
.DELETE_ON_ERROR:
# The programs that tests start, hundreds of them, import the package compiled.
unexport PYTHONDONTWRITEBYTECODE
.NOTPARALLEL:

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1 /p' $(MAKEFILE_LIST) | while read -r target text; do printf '%-8s %s\n' "$$target" "$$text"; done

setup: $(VENV)/.stamp $(VENV)/.stamp-lint $(VENV)/.stamp-docs $(VENV)/.stamp-bench ## Build .venv with everything (PYTHON=…)

demo: $(VENV)/.stamp ## Store a file behind a column, end to end (ARGS="photo.jpg --postgres --clean")
	@$(BIN)/python examples/quickstart.py $(ARGS)

api: $(VENV)/.stamp ## Serve the example application of examples/api (PORT=8000 ARGS=--s3)
	@PYTHONPATH=examples $(BIN)/python -m api --port $(or $(PORT),8000) $(ARGS)

gallery: $(VENV)/.stamp ## Serve the gallery of photographs of examples/gallery (PORT=8000 ARGS=--s3)
	@PYTHONPATH=examples $(BIN)/python -m gallery --port $(or $(PORT),8000) $(ARGS)

test: $(VENV)/.stamp ## Run the whole suite (ARGS="-k upload")
	$(BIN)/python $(PYTEST)

faults: $(VENV)/.stamp ## Kill processes hundreds of times, and count files lost or leaked (ARGS="--kills 1000 --seed 7")
	$(BIN)/python -m tests.faults $(ARGS)

model: $(VENV)/.stamp ## Run thousands of random programs of sessions, and print those that lose or leave a file (ARGS="--programs 10000 --jobs 2")
	$(BIN)/python -m tests.model $(ARGS)

kill: $(VENV)/.stamp ## Kill one of two FastDFS servers under load, again and again (SECONDS=60)
	FASTDFS_KILL_SECONDS=$(or $(SECONDS),60) $(BIN)/python -m pytest -q -s -p no:xdist tests/integration/fastdfs/test_killed_servers.py

lint: $(VENV)/.stamp-lint ## Check style, types and workflows
	$(BIN)/actionlint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright

bench: $(VENV)/.stamp-bench ## Measure speed and memory (ARGS=--quick finds slower code; ARGS=--help)
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/.stamp-docs ## Build the documentation into site/ (ARGS=--serve serves it, and follows your changes)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs $(if $(filter --serve,$(ARGS)),serve $(filter-out --serve,$(ARGS)),build --strict $(ARGS))
	@$(if $(filter --serve,$(ARGS)),:,echo "Built $(CURDIR)/site. To look at it:  make docs ARGS=--serve  and open http://127.0.0.1:8000")

lowest: .venv-lowest/.stamp ## Run the suite with the lowest versions that pyproject.toml allows
	.venv-lowest/bin/python $(PYTEST)

clean: ## Remove everything that these targets made
	rm -rf .venv .venv-lowest site .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks demo-files
	find . -name __pycache__ -prune -exec rm -rf {} +

# A virtual environment that does not run, being half-built or of a Python that is gone, is built anew.
define build_venv
	@$(PYTHON_WORKS) || { python=$$(PYTHON="$(PYTHON)" sh tools/find_python.sh) && echo "Building $(VENV) with $$python" \
		&& rm -rf $(VENV) && "$$python" -m venv $(VENV); }
	@$(PIP) install --upgrade 'pip>=25.1'
endef

$(VENV)/.stamp: pyproject.toml
	$(build_venv)
	@echo 'Installing the package and what its tests need'
	@$(PIP) install --editable '.[all]' --group test
	@touch $@

$(VENV)/.stamp-%: $(VENV)/.stamp
	@echo 'Installing what "make $*" needs'
	@$(PIP) install --group $*
	@touch $@

.venv-lowest/.stamp: VENV := .venv-lowest
.venv-lowest/.stamp: pyproject.toml tools/lowest.py
	$(build_venv)
	@echo 'Installing the lowest versions'
	@$(BIN)/python tools/lowest.py > .venv-lowest/constraints.txt
	@$(PIP) install --editable '.[all]' --group test sniffio 'aiosqlite<0.22' --constraint .venv-lowest/constraints.txt  # Litestar 2.14 imports sniffio; aiosqlite 0.22 needs SQLAlchemy 2.0.46
	@touch $@
