# `make demo` and `make test` do all the set-up they need; see README.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Most of a first run is compiling ncnn, which needs these packages alone: it begins while pip fetches the others.
BUILD_NEEDS := cmake filelock ninja numpy pillow platformdirs pydantic pypi-simple requests ziglang
LOADED := 'from bench import runtimes as r; from bench.cache import Cache; \
  [r.runtime(name).program((abi,), False, Cache(), lambda *_: None) \
   for name in ("onnxruntime", "executorch", "litert", "mnn") for abi in {r.host_abi(), "arm64-v8a"}]'
demo test: COMPILE_AHEAD := 'from bench.runtimes.ncnn.build import *; from bench.cache import Cache; build(host_abi(), Cache())'

.DEFAULT_GOAL := help
.PHONY: help demo test test-faults test-browser test-gpu test-runtimes bench bench-fr bench-gtsrb bench-resident bench-rivals coverage fuzz lint matrix clean system


help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "bench needs Python 3.11 or newer; this is $$($(PYTHON) --version). Name another: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@echo "Installing the packages of constraints.txt into $(VENV) …"
	@$(if $(COMPILE_AHEAD),$(PIP) $(BUILD_NEEDS) && { $(BIN)/python -c $(COMPILE_AHEAD) >/dev/null 2>&1 & })
	@$(PIP) torch==2.13.0
	@$(PIP) -e '.[dev]'
	@touch $@

system: ## Install what virtual phones and tests use: qemu-user, mksh, toybox, strace
	@device_scripts/toolchain/system_packages.sh
	@device_scripts/android_shell.sh

demo: $(READY) ## The main job: LeNet-5 and UNet, baseline against FR, this computer and a (virtual) phone
	@$(BIN)/bench run --suite demo

test: $(READY) system lint ## All tests, end to end included
	@$(BIN)/bench native build --abi host --abi arm64-v8a --abi armeabi-v7a
	@$(BIN)/python -c $(LOADED)
	@$(BIN)/python -m pytest -n 2 --dist loadfile
	@if [ "$$CHROMIUM" ] || for one in chromium chromium-browser google-chrome; do command -v $$one; done | grep -q .; then \
	  $(BIN)/python -m pytest -m browser tests/e2e/test_label.py; \
	else echo "There is no Chromium here: the labelling page was tried without a browser. make test-browser installs one."; fi

test-faults: $(READY) system ## Every fault of docs/faults.md, the slow ones too
	@$(BIN)/bench native build --abi host --abi arm64-v8a
	@$(BIN)/python -m pytest -m "slow_fault or not slow_fault" tests/faults

test-gpu: $(READY) ## ncnn on Vulkan, by a software driver that this installs (a first build takes minutes)
	@tests/e2e/software_vulkan.sh
	@$(BIN)/python -m pytest -m gpu tests/e2e/test_ncnn_vulkan_driver.py

test-browser: $(READY) ## The labelling page in a real browser; installs Chromium (300 MB)
	@tests/e2e/chromium.sh
	@$(BIN)/python -m pytest -m browser tests/e2e/test_label.py

test-runtimes: $(READY) system ## What the exporters of other runtimes write; installs them (2 GB)
	@$(PIP) -e '.[executorch,mnn]'
	@$(BIN)/python -m pytest -m exporters tests/runtimes

lint: $(READY) ## Style, types and the rules of the house
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY) ## Performance of bench itself: transfers, overhead of the quick and demo suites, the loop that measures
	@$(BIN)/python -m benchmarks
	@$(BIN)/python -m benchmarks.loop

bench-fr: $(READY) ## LeNet-5 by Frequency Regularization beside the publication's figures (20 minutes)
	@$(BIN)/python -m benchmarks.rows

bench-resident: $(READY) ## The same FR networks in all their forms beside the ordinary ones: time, memory, answers
	@$(BIN)/python -m benchmarks.resident

coverage: $(READY) ## Small networks and 25 classifiers through export and native runner: what is accepted, and is it right
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[coverage]'
	@# These ask for torchvision, and what is used of them does without.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps pytorchcv==0.0.74 vit-pytorch==1.26.11
	@$(BIN)/python -m benchmarks.coverage

matrix: $(READY) ## Every network that comes with bench in every runtime; writes the table of docs/runtimes.md (half an hour)
	@$(BIN)/python -m benchmarks.matrix

bench-gtsrb: $(READY) ## A CNN for traffic signs that bench trains, and FR of it, 20x and 100x: DATA=gtsrb.npz or a folder (half an hour)
	@test -n "$(DATA)" || { echo "Say where the pictures are: make bench-gtsrb DATA=GTSRB/ (docs/data.md says in which forms)"; exit 2; }
	@$(BIN)/bench run --plan benchmarks/gtsrb.toml --data $(DATA)

bench-rivals: $(READY) ## Every method at the same bytes on two CNNs for traffic signs, three seeds: DATA=gtsrb.npz or a folder (a night; docs/rivals.md)
	@test -n "$(DATA)" || { echo "Say where the pictures are: make bench-rivals DATA=GTSRB/ (docs/data.md says in which forms)"; exit 2; }
	@mkdir -p results/rivals
	@$(BIN)/python -m benchmarks.rivals_train jobs results/rivals/jobs.json --data $(DATA)
	@$(BIN)/python -m benchmarks.rivals_train train results/rivals/jobs.json results/rivals --data $(DATA) --seconds 86400
	@$(BIN)/python -m benchmarks.rivals_train plan results/rivals results/rivals/rivals-gtsrb.toml --data $(DATA) --seeds 1
	@$(BIN)/bench run --plan results/rivals/rivals-gtsrb.toml
	@$(BIN)/python -m benchmarks.rivals_train table results/rivals

fuzz: $(READY) ## Ten minutes of libFuzzer on each of the native runner's readers (Linux, clang)
	@$(BIN)/python device_scripts/runner/fuzz/run.py

clean: ## Remove the environment and caches in this folder; results stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
