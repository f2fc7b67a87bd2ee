# The front door. CMake does the work; this file only names what people do.
# `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := all
MAKEFLAGS += --no-print-directory

JOBS ?= $(shell nproc)
TEST_JOBS ?= 2
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
MINUTES ?= 10
CTEST_ARGS ?=
BENCH_ARGS ?=

# A thread-sanitized program needs the address layout it was built for; newer
# kernels randomize further than gcc 12 and clang 14 know.
FIXED_LAYOUT := $(shell setarch -R true 2>/dev/null && echo setarch -R)

.PHONY: all demo test soak bench clang install format lint asan tsan fuzz mutate same clean help

all: ## build the library and the command into build/
	cmake --preset release
	cmake --build --preset release -j$(JOBS)

# The demo needs the command only: a newcomer does not wait for the tests.
demo: ## two processes exchange thousands of RPCs carrying real files
	cmake --preset release
	cmake --build --preset release -j$(JOBS) --target missive_command
	tools/demo

test: all ## build, then run every test
	ctest --preset release -j$(TEST_JOBS) $(CTEST_ARGS)

# With assertions: the engines judge themselves as well.
soak: ## seeded disasters in simulated networks, for MINUTES (10), on all CPUs
	cmake --preset debug
	cmake --build --preset debug -j$(JOBS) --target missive_command
	build/debug/missive sim --minutes $(MINUTES)

bench: ## Missive beside UDP and TCP, as ratios; BENCH_ARGS='--only bulk' chooses
	cmake --preset release
	cmake --build --preset release -j$(JOBS) --target missive_bench
	build/bench/missive-bench $(BENCH_ARGS) build/bench

clang: ## the release build with clang, into build/clang
	cmake --preset clang
	cmake --build --preset clang -j$(JOBS)

asan: ## every test under the address and undefined-behaviour sanitizers
	cmake --preset asan
	cmake --build --preset asan -j$(JOBS)
	ctest --preset asan -j$(TEST_JOBS) $(CTEST_ARGS)

tsan: ## every test under the thread sanitizer
	cmake --preset tsan
	cmake --build --preset tsan -j$(JOBS)
	$(FIXED_LAYOUT) ctest --preset tsan -j$(TEST_JOBS) $(CTEST_ARGS)

fuzz: ## run each fuzz target for FUZZ_SECONDS (60)
	cmake --preset fuzz
	cmake --build --preset fuzz -j$(JOBS)
	tools/fuzz build/fuzz $(FUZZ_SECONDS)

mutate: ## plant faults in src/homa and see who notices; writes docs/mutation.md
	nice tools/mutate

same: ## same seed, same result, from gcc and clang, for release and debugging
	nice tools/same-everywhere

lint: ## formatting, static analysis, scripts, man pages, layering
	tools/lint

format: ## rewrite the sources in the project's format
	git ls-files -co --exclude-standard -- '*.c' '*.h' | xargs -r clang-format -i

install: all ## install under PREFIX (/usr/local); DESTDIR is honoured
	cmake --install build --prefix $(PREFIX)

clean: ## remove everything that was built
	rm -rf build

help: ## this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 16
