# `make` lists the targets. `make run` and `make test` do all set-up on a fresh machine.

VM       ?= vm.conf
PLATFORM ?= unikernel
TARGET   := aarch64-unknown-none-softfloat
FIRMWARE := out/firmware

# How bare-metal code is compiled here; tools/setup.sh finds out and writes it once.
-include out/toolchain.mk

# `make bench` counts instructions; the others do not depend on how fast the machine is.
RUNNER  = cargo run --quiet --package runner --
IMAGES  = --images $(FIRMWARE) --kernel $(FIRMWARE)/unikernel
GUESTS := $(patsubst guest/src/bin/%.rs,%,$(wildcard guest/src/bin/*.rs))

.DEFAULT_GOAL := help
.PHONY: help setup build run trace test lint unit system bench bench-floor clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: out/toolchain.mk ## install what is missing: QEMU, and a compiler for bare metal

out/toolchain.mk: tools/setup.sh
	@tools/setup.sh $(TARGET) $@

build: setup ## build the unikernel and the guests
	@$(MAKE) --no-print-directory firmware

.PHONY: firmware
firmware:
	@$(BARE_METAL_CARGO) build --quiet --package unikernel --package guest \
	    --profile firmware --target $(TARGET) $(BARE_METAL_FLAGS)
	@mkdir -p $(FIRMWARE)
	@cd target/$(TARGET)/firmware && cp -u unikernel $(GUESTS) $(CURDIR)/$(FIRMWARE)

run: build ## boot VM=vm.conf and print what it says
	@$(RUNNER) run $(VM) --platform $(PLATFORM) $(IMAGES)

trace: build ## the same, then print the trace ring, read from outside the machine
	@$(RUNNER) trace $(VM) --platform $(PLATFORM) $(IMAGES)

test: lint unit system ## every test there is

lint: setup ## formatting and lints, on the host and for bare metal
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	@$(MAKE) --no-print-directory lint-firmware

.PHONY: lint-firmware
lint-firmware:
	$(if $(filter check,$(BARE_METAL_LINT)),@echo "skipped: clippy for bare metal (needs rustup's $(TARGET)); only checked")
	$(BARE_METAL_CARGO) $(BARE_METAL_LINT) --quiet --package unikernel --package guest \
	    --target $(TARGET) $(BARE_METAL_FLAGS) $(if $(filter clippy,$(BARE_METAL_LINT)),-- -D warnings)

unit: ## tests that need no emulator
	cargo test --quiet --workspace --exclude runner

system: build ## whole systems under QEMU
	VDEV_TRACE_KERNEL=$(CURDIR)/$(FIRMWARE)/unikernel VDEV_TRACE_GUESTS=$(CURDIR)/$(FIRMWARE) \
	    cargo test --quiet --package runner

bench: build bench-floor ## instructions for an access, counted by QEMU
	@$(RUNNER) bench $(IMAGES) --floor-kernel $(FIRMWARE)/unikernel-floor

bench-floor: setup
	@$(MAKE) --no-print-directory firmware-floor

.PHONY: firmware-floor
firmware-floor:
	@$(BARE_METAL_CARGO) build --quiet --package unikernel --features bench-floor \
	    --profile firmware --target $(TARGET) --target-dir target/floor $(BARE_METAL_FLAGS)
	@mkdir -p $(FIRMWARE)
	@cp -u target/floor/$(TARGET)/firmware/unikernel $(FIRMWARE)/unikernel-floor

clean: ## remove what was built
	rm -rf out target
