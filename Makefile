# Every task of the project. `make check` is what a change must pass; `./bootstrap TARGET` also installs the Debian
# packages that a bare machine lacks.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
BUILD := build/editable
# ON makes warnings errors; off by default, because another compiler may know other warnings.
HOX_DEVELOPER ?= OFF
JOBS ?= $(shell nproc)

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)

PIP_INSTALL := $(PY) -m pip install -qq --constraint constraints.txt
EDITABLE := --no-build-isolation \
  --config-settings=build-dir=$(BUILD) \
  --config-settings=build.targets=_core \
  --config-settings=cmake.define.HOX_BUILD_TESTS=ON \
  --config-settings=cmake.define.HOX_BUILD_BENCHMARKS=ON \
  --config-settings=cmake.define.HOX_DEVELOPER=$(HOX_DEVELOPER)

CPP_SOURCES := $(shell find cpp -name '*.cc' -o -name '*.h')
BUILD_FILES := CMakeLists.txt pyproject.toml $(wildcard cmake/*)
PYTHON_NAMES := $(shell find python -name '*.py' -o -name '*.pyi' | sort)

.PHONY: setup build test test-cpp test-python lint format types asan tsan neon-test fuzz bench golden wheel stubs docs check quickstart clean

setup: $(VENV)/.test
build: $(VENV)/.package

# Order of the stamps: venv -> build tools -> package -> test tools.
$(VENV)/.tools: constraints.txt
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --upgrade 'pip>=24'
	$(PIP_INSTALL) 'scikit-build-core>=0.11' 'nanobind>=2.7' 'cmake>=3.25' ninja
	touch $@

# An editable install finds the Python files that existed when it was made, so a new one asks for another install.
build/python-names: FORCE
	@mkdir -p build
	@echo '$(PYTHON_NAMES)' | cmp -s - $@ || echo '$(PYTHON_NAMES)' > $@
.PHONY: FORCE

$(VENV)/.package: $(VENV)/.tools $(CPP_SOURCES) $(BUILD_FILES) build/python-names
	$(PIP_INSTALL) $(EDITABLE) --editable '.[bio]'
	touch $@

$(VENV)/.test: $(VENV)/.package pyproject.toml constraints.txt
	@if test ! -e $@ || test pyproject.toml -nt $@ || test constraints.txt -nt $@; then \
	  echo '$(PIP_INSTALL) [test,dev]'; $(PIP_INSTALL) $(EDITABLE) --editable '.[bio,test,dev]'; fi
	touch $@

quickstart: $(VENV)/.package
	@folder=$$(mktemp -d) && mkdir $$folder/data && \
	  cp -L data/pbmc3k_raw.h5ad $$folder/data/ && (cd $$folder && $(CURDIR)/$(PY) $(CURDIR)/examples/quickstart.py); \
	  status=$$?; rm -rf $$folder; exit $$status

test: test-cpp test-python

test-cpp: $(VENV)/.package
	cmake --build $(BUILD) --target hox_tests
	ctest --test-dir $(BUILD) --output-on-failure --no-tests=error

test-python: $(VENV)/.test
	$(PY) -m pytest -q -n 2 --dist loadgroup $(PYTEST)

lint: $(VENV)/.test
	ruff check .
	ruff format --check .
	@echo clang-format-14 --dry-run --Werror; clang-format-14 --dry-run --Werror $(CPP_SOURCES)
	$(PY) tools/check_layers.py
	codespell

format: $(VENV)/.test
	ruff check --fix .
	ruff format .
	clang-format-14 -i $(CPP_SOURCES)

types: $(VENV)/.test
	mypy

asan tsan: $(VENV)/.tools
	cmake --preset $@
	cmake --build --preset $@
	ctest --preset $@

# The C++ tests as 64-bit Arm code under qemu; not part of `make test`, since it needs a cross compiler.
neon-test: $(VENV)/.tools
	tools/test_aarch64.sh

# Seconds for each target; finds are kept in fuzz-out/.
FUZZ_SECONDS ?= 30
fuzz: $(VENV)/.tools
	cmake --preset fuzz
	cmake --build --preset fuzz
	$(PY) tools/run_fuzzers.py --seconds $(FUZZ_SECONDS)

# JSON=FILE keeps the figures.
bench: $(VENV)/.package
	cmake --build $(BUILD) --target hox_benchmarks
	$(PY) tools/run_benchmarks.py --build $(BUILD) $(if $(JSON),--json $(JSON))

golden: $(VENV)/.test
	$(PY) tools/make_golden.py

wheel: $(VENV)/.tools
	$(PY) -m pip wheel --no-deps --wheel-dir dist .

# After a change of cpp/bindings.
stubs: $(VENV)/.test
	$(PY) tools/make_stubs.py

# The documents' examples are run, not only read.
docs: $(VENV)/.test
	$(PY) -m pytest -q --doctest-modules --doctest-ignore-import-errors python/homeobox tests/packaging/test_documents.py

check: lint types test docs

clean:
	rm -rf build dist $(VENV)
