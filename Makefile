# `make` lists the targets. `make run` and `make test` do all set-up on a fresh machine.

# aarch64 or x86_64
ARCH     ?= aarch64
VM       ?= $(if $(filter x86_64,$(ARCH)),boards/qemu_q35/vm.conf,vm.conf)
# unikernel, or microkit with MICROKIT_SDK and CONFIG=release|debug|smp-release
PLATFORM ?= unikernel
CONFIG   ?= release
BOARD_aarch64 := qemu_virt_aarch64
BOARD_x86_64  := x86_64_generic_vtx
BOARD    ?= $(BOARD_$(ARCH))
# bochs or kvm for BOARD=x86_64_generic_vtx, if not the fastest that this host has
EMULATOR ?=
# how long a run may take, in seconds; if not given, 120, or at a terminal as long as it likes
DEADLINE ?=
# what is typed, by a file of `expect` and `send`, or a file as it is; at a terminal, where the log goes
SCRIPT   ?=
INPUT    ?=
LOG      ?=
# the system description, if not the one that is made of the VMs and boards/$(BOARD).toml; the demo's
# is written by hand
SYSTEM   ?= $(if $(filter microkit-qemu_virt_aarch64-vm.conf,$(PLATFORM)-$(BOARD)-$(VM)),system.xml)
MICROKIT_SDK ?=
export MICROKIT_SDK
TARGET_aarch64   := aarch64-unknown-none-softfloat
TARGET_x86_64    := x86_64-unknown-none
TARGET   := $(TARGET_$(ARCH))
$(if $(TARGET),,$(error ARCH is $(ARCH), but can be aarch64 or x86_64))
FIRMWARE_aarch64 := out/firmware
FIRMWARE_x86_64  := out/firmware-x86_64
FIRMWARE := $(FIRMWARE_$(ARCH))
TOOLCHAIN := out/toolchain-$(ARCH).mk
# Says that what only tests want was looked for; remove it to look again.
TEST_TOOLS := out/tools-of-tests$(if $(filter 1,$(BROWSER)),-with-a-browser)
DOMAINS  := out/microkit
SDK_NAME := microkit-sdk-2.3.1
SDK_ARCHIVE := $(SDK_NAME)-linux-x86-64.tar.gz
SDK_URL  := https://github.com/seL4/microkit/releases/download/2.3.1/$(SDK_ARCHIVE)
SDK_SHA256 := b1b285b8785db7557eba6d0665dd4fbf2f265ea5c0b39d6f91ae3dcc43d2c424

# How bare-metal code is compiled here; tools/setup.sh finds out and writes it once.
-include $(TOOLCHAIN)

# Fuzzing: how long, which targets, and what lets libFuzzer see the code that an input reaches.
# RUSTFLAGS with a target do not apply to build scripts, which link without libFuzzer.
MINUTES  ?= 10
FUZZ     ?= $(notdir $(wildcard fuzz/corpus/*))
HOST     = $(shell rustc -vV | sed -n 's/^host: //p')
COVERAGE := -Cpasses=sancov-module $(addprefix -Cllvm-args=-sanitizer-coverage-,level=4 inline-8bit-counters pc-table trace-compares)

# Building takes minutes the first time: a person sees how far cargo is, a log has a line.
QUIET := $(shell test -t 2 || echo --quiet)
BUILDING = $(if $(QUIET),echo "building $(1)…" >&2,:)
# `make bench` counts instructions; the others do not depend on how fast the machine is.
TOOL = $(call BUILDING,tools/$(1)) && cargo build $(QUIET) --package $(1) && cargo run --quiet --package $(1) --
RUNNER  = $(call TOOL,runner)
VDEV_TRACE = $(call TOOL,vdev-trace)
# Where a dump of the unikernel's memory has rings; one of a Microkit's holds nothing else.
RING_PLACES_unikernel := --rings 0,0xe00000
TRACES = --text out/trace.txt --ctf out/ctf --json out/trace.json --html out/trace.html
IMAGES  = --images $(FIRMWARE) --kernel $(FIRMWARE)/unikernel --arch $(ARCH) --platform $(PLATFORM) \
          --board $(BOARD) --config-name $(CONFIG) $(if $(SYSTEM),--system $(SYSTEM)) --domains $(DOMAINS)/$(BOARD)/$(CONFIG)
# Guests that are about the other architecture (guest/Cargo.toml).
OTHER_aarch64 := x86_64
OTHER_x86_64  := aarch64
GUESTS_OF_THE_OTHER = $(shell sed -n 's/.*{ name = "\([a-z0-9-]*\)".*$(OTHER_$(ARCH))-programs.*/\1/p' guest/Cargo.toml)
GUESTS = guest-app $(filter-out $(GUESTS_OF_THE_OTHER),$(patsubst guest/test-guests/%.rs,%,$(wildcard guest/test-guests/*.rs)))
# What is built for bare metal in one go: for x86_64 also the ROM from which Bochs boots.
ROM_x86_64 := boot-rom
BARE_METAL_aarch64 := --package unikernel --package hostile-unikernel --package bare-boot --package guest --features guest/aarch64-programs
BARE_METAL_x86_64  := --package unikernel --package hostile-unikernel --package bare-boot --package guest --features guest/x86_64-programs --package $(ROM_x86_64)

EMULATED = $(if $(EMULATOR),--emulator $(EMULATOR))
RUNS = $(IMAGES) $(EMULATED) $(if $(DEADLINE),--deadline $(DEADLINE)) $(if $(SCRIPT),--script $(SCRIPT)) $(if $(INPUT),--input $(INPUT)) $(if $(LOG),--log $(LOG))

# The first release of QEMU in which the board's image runs, if that is not any.
QEMU_SINCE = $(shell sed -n 's/^since = \[\([0-9]*\), *\([0-9]*\)\]/\1.\2/p' boards/$(BOARD).toml 2>/dev/null)
# The boards that a model in QEMU has, beside the usual one.
FURTHER_BOARDS = $(filter-out $(BOARD_aarch64),$(patsubst boards/%.toml,%,$(shell grep -l '^\[qemu\]' boards/*.toml)))

.DEFAULT_GOAL := help
.PHONY: help setup guests build run trace test test-all lint unit system attacks deaths fuzz bench bench-beside exits image sdk clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: $(TOOLCHAIN) ## install what is missing: an emulator, and a compiler for bare metal
	@$(if $(filter microkit-x86_64,$(PLATFORM)-$(ARCH)),tools/setup.sh vt-x $(EMULATOR))
	@$(if $(filter microkit,$(PLATFORM)),$(if $(QEMU_SINCE),tools/setup.sh qemu $(QEMU_SINCE)))

$(TOOLCHAIN): tools/setup.sh
	@tools/setup.sh $(TARGET) $@

$(TEST_TOOLS): tools/setup.sh
	@tools/setup.sh tests $@

# VMs whose guests nobody here wrote.
FOREIGN := linux% two-linuxes u-boot%

guests: ## fetch Debian's arm64 Linux and busybox, and U-Boot, for VM=linux and VM=u-boot
	@tools/setup.sh guests
	@tools/guests.sh out/guests $(FIRMWARE_aarch64)

# Linux' own list of its functions, for their names in a trace: it prints it at its console, once for each kernel.
out/guests/kallsyms: $(wildcard out/guests/vmlinuz)
	@$(MAKE) --no-print-directory build VM=linux PLATFORM=unikernel
	@echo "Linux lists its functions…" >&2
	@$(RUNNER) run linux --images $(FIRMWARE_aarch64) --kernel $(FIRMWARE_aarch64)/unikernel --arch aarch64 --platform unikernel \
	    --deadline 300 --script tools/runner/scenarios/kallsyms.session >out/guests/kallsyms.log </dev/null
	@sed -n 's/^\[[^]]*\] linux| //p' out/guests/kallsyms.log | sed '1,/^packed$$/d; /^end of packed$$/,$$d' | tr -d '\r' \
	    | base64 -d | gzip -d >$@.new && mv $@.new $@ && rm out/guests/kallsyms.log

build: setup $(if $(filter $(FOREIGN),$(VM)),guests) ## build what PLATFORM needs: the unikernel or the protection domains, and the guests
	@$(MAKE) --no-print-directory firmware $(if $(filter microkit,$(PLATFORM)),domains)

.PHONY: firmware
firmware:
	@$(call BUILDING,the unikernel and the guests)
	@$(BARE_METAL_CARGO) build $(QUIET) $(BARE_METAL_$(ARCH)) \
	    --profile firmware --target $(TARGET) $(BARE_METAL_FLAGS)
	@mkdir -p $(FIRMWARE)
	@cd target/$(TARGET)/firmware && cp -u unikernel bare-boot $(GUESTS) $(ROM_$(ARCH)) $(CURDIR)/$(FIRMWARE)
	@cp -u target/$(TARGET)/firmware/hostile-unikernel $(FIRMWARE)/unikernel-hostile

# One folder for each board and configuration: the kernel's headers are compiled in.
.PHONY: domains
domains:
	@test -n "$(MICROKIT_SDK)" || { echo "set MICROKIT_SDK to the folder of a Microkit SDK 2.3 (make sdk fetches one)" >&2; exit 1; }
	@test -d "$(MICROKIT_SDK)/board/$(BOARD)/$(CONFIG)" || { echo "$(MICROKIT_SDK) has no configuration $(CONFIG) for $(BOARD)" >&2; exit 1; }
	@tools/setup.sh libclang
	@$(call BUILDING,the protection domains)
	@cd sel4 && $(DOMAINS_CARGO) build $(QUIET) $(DOMAINS_FLAGS)
	@mkdir -p $(DOMAINS)/$(BOARD)/$(CONFIG)
	@cd $(DOMAINS_BUILT) && cp -u pd-monitor pd-vmm pd-trace pd-console pd-clock pd-alarm pd-idle pd-share $(CURDIR)/$(DOMAINS)/$(BOARD)/$(CONFIG)
	@cd $(DOMAINS_BUILT) && cp -u hostile-vmm hostile-trace hostile-console $(CURDIR)/$(DOMAINS)/$(BOARD)/$(CONFIG)

# A panic names its place in the project, wherever that is. The Microkit loads a program where
# it was linked to.
DOMAINS_RUSTFLAGS_x86_64 := -C relocation-model=static
DOMAINS_CARGO = SEL4_INCLUDE_DIRS=$(abspath $(MICROKIT_SDK))/board/$(BOARD)/$(CONFIG)/include RUSTC_BOOTSTRAP=1 \
    RUSTFLAGS="$$RUSTFLAGS --remap-path-prefix=$(CURDIR)/= $(DOMAINS_RUSTFLAGS_$(ARCH))" $(BARE_METAL_CARGO)
DOMAINS_FLAGS = --release --target $(TARGET) --target-dir ../target/sel4-$(BOARD)-$(CONFIG) $(BARE_METAL_FLAGS)
DOMAINS_BUILT = target/sel4-$(BOARD)-$(CONFIG)/$(TARGET)/release

# The protection domains, of which pd-vmm answers an access in another way.
.PHONY: domains-floor domains-in-vmm
domains-floor domains-in-vmm: domains-%: domains
	@cd sel4 && $(DOMAINS_CARGO) build $(QUIET) $(DOMAINS_FLAGS) --package pd-vmm --features bench-$*
	@mkdir -p $(DOMAINS)/$(BOARD)/$(CONFIG)-$*
	@cp -u $(DOMAINS)/$(BOARD)/$(CONFIG)/* $(DOMAINS)/$(BOARD)/$(CONFIG)-$*
	@cp $(DOMAINS_BUILT)/pd-vmm $(DOMAINS)/$(BOARD)/$(CONFIG)-$*

run: build ## boot VM=vm.conf, or several as VM=two-vms, and print what they say; ARCH=x86_64 on the other architecture; DEADLINE=60 for a minute at most; SCRIPT= or INPUT= types a file
	@$(RUNNER) run $(VM) $(RUNS)

# Lists of functions for VMs whose images have none, once for each VM (docs/traces.md).
SYMBOLS ?= $(if $(filter linux,$(VM)),out/guests/kallsyms)

trace: build $(filter out/guests/kallsyms,$(SYMBOLS)) ## the same, then the trace rings, read from outside: out/trace.txt, .json, .html, out/ctf
	@rm -f out/run/*.blob; $(RUNNER) trace $(VM) $(RUNS); status=$$?; \
	for blob in out/run/vm.blob out/run/vm_?.blob; do \
	    [ ! -f $$blob ] || names="$$names --config $$blob"; \
	done; \
	if [ -f out/run/memory.dump ]; then \
	    $(VDEV_TRACE) decode out/run/memory.dump $$names $(addprefix --guest ,$(SYMBOLS)) --images $(FIRMWARE) $(RING_PLACES_$(PLATFORM)) $(TRACES) \
	    && echo "left in out/: trace.txt, ctf/ (babeltrace2 out/ctf), trace.json (ui.perfetto.dev), trace.html" || exit; \
	fi; exit $$status

test: lint unit system ## every test there is

test-all: ## the same, and what takes longer: Linux beside others
	@$(MAKE) --no-print-directory test RUNNER_TESTS="-- --include-ignored"

lint: setup ## formatting and lints, on the host and for bare metal
	cargo fmt --all --check
	rustfmt --check --edition 2024 pd-*/src/main.rs sel4/pd-runtime/src/lib.rs sel4/attacks/components/src/lib.rs
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	@$(MAKE) --no-print-directory lint-firmware ARCH=aarch64
	@$(MAKE) --no-print-directory setup ARCH=x86_64
	@$(MAKE) --no-print-directory lint-firmware ARCH=x86_64
	@$(if $(MICROKIT_SDK),for arch in aarch64 x86_64; do $(MAKE) --no-print-directory lint-domains ARCH=$$arch || exit; done,echo "skipped: lints of the protection domains (MICROKIT_SDK is not set); only formatting")

.PHONY: lint-firmware
lint-firmware:
	$(if $(filter check,$(BARE_METAL_LINT)),@echo "skipped: clippy for bare metal (needs rustup's $(TARGET)); only checked")
	$(BARE_METAL_CARGO) $(BARE_METAL_LINT) --quiet $(BARE_METAL_$(ARCH)) \
	    --target $(TARGET) $(BARE_METAL_FLAGS) $(if $(filter clippy,$(BARE_METAL_LINT)),-- -D warnings)

.PHONY: lint-domains
lint-domains:
	@tools/setup.sh libclang
	cd sel4 && $(DOMAINS_CARGO) $(BARE_METAL_LINT) --quiet $(DOMAINS_FLAGS) $(if $(filter clippy,$(BARE_METAL_LINT)),-- -D warnings)
	for answer in floor in-vmm; do \
	    (cd sel4 && $(DOMAINS_CARGO) $(BARE_METAL_LINT) --quiet $(DOMAINS_FLAGS) --package pd-vmm --features bench-$$answer \
	        $(if $(filter clippy,$(BARE_METAL_LINT)),-- -D warnings)) || exit; \
	done

unit: $(TEST_TOOLS) ## tests that need no emulator
	cargo test --quiet --workspace --exclude runner

system: $(TEST_TOOLS) ## whole systems in emulators, on both architectures; on seL4 too if MICROKIT_SDK is set
	@$(MAKE) --no-print-directory build ARCH=aarch64
	@$(MAKE) --no-print-directory build ARCH=x86_64
	@$(if $(MICROKIT_SDK),$(MAKE) --no-print-directory domains-of-tests ARCH=aarch64)
	@$(if $(MICROKIT_SDK),$(MAKE) --no-print-directory domains-of-tests ARCH=x86_64 PLATFORM=microkit EMULATOR=bochs)
	@$(if $(MICROKIT_SDK),$(MAKE) --no-print-directory domains-of-further-boards ARCH=aarch64)
	@$(MAKE) --no-print-directory guests || true
	@rm -f out/skipped
	VDEV_TRACE_AARCH64=$(CURDIR)/$(FIRMWARE_aarch64) VDEV_TRACE_X86_64=$(CURDIR)/$(FIRMWARE_x86_64) \
	    VDEV_TRACE_DOMAINS=$(CURDIR)/$(DOMAINS) VDEV_TRACE_SKIPPED=$(CURDIR)/out/skipped \
	    cargo test --package runner $(RUNNER_TESTS); status=$$?; tools/skipped.sh out/skipped; exit $$status

# An SDK may have been built for one board alone; the tests say what they leave out.
.PHONY: domains-of-tests
domains-of-tests: setup
	@if [ -d "$(MICROKIT_SDK)/board/$(BOARD)" ]; then \
	    for config in debug release; do $(MAKE) --no-print-directory domains CONFIG=$$config || exit; done; \
	else \
	    echo "skipped: seL4 on $(BOARD) ($(MICROKIT_SDK) does not have that board)"; \
	fi

# The tests say of which of these neither the SDK nor QEMU has what it needs.
.PHONY: domains-of-further-boards
domains-of-further-boards: setup
	@for board in $(FURTHER_BOARDS); do \
	    [ ! -d "$(MICROKIT_SDK)/board/$$board/release" ] || $(MAKE) --no-print-directory domains BOARD=$$board CONFIG=release || exit; \
	done

fuzz: ## look for inputs that break a reader, for MINUTES=10; FUZZ=ring for one target
	@command -v c++ >/dev/null || tools/setup.sh c++
	RUSTFLAGS="$(COVERAGE)" cargo build --quiet --package fuzz --features libfuzzer --profile fuzz \
	    --target $(HOST) --target-dir target/fuzzing
	@for target in $(FUZZ); do \
	    mkdir -p out/fuzz/$$target; \
	    (set -x; FUZZ_TARGET=$$target target/fuzzing/$(HOST)/fuzz/fuzz -max_total_time=$$(($(MINUTES) * 60 / $(words $(FUZZ)))) \
	        -timeout=10 -print_final_stats=1 -artifact_prefix=out/fuzz/$$target/failed- out/fuzz/$$target fuzz/corpus/$$target) || exit; \
	done

# On both architectures, unless one is asked for.
attacks: ## try the list of attacks on ARCH and PLATFORM, and print what held and what fell; NAMES= for some of them
	@$(if $(filter undefined file,$(origin ARCH)),for arch in aarch64 x86_64; do $(MAKE) --no-print-directory attacks ARCH=$$arch || exit; done,$(MAKE) --no-print-directory build && $(RUNNER) attacks $(NAMES) $(IMAGES))

# On both architectures, unless one is asked for. DEATHS= and HANGS= for how often each domain dies and
# hangs, SEED= for where; VM=linux for a program in Linux instead of the storm, on aarch64.
deaths: ## kill protection domains under a storm of accesses, on seL4, and print how long the guest waits
	@$(if $(filter linux,$(VM)),$(MAKE) --no-print-directory deaths-here PLATFORM=microkit,$(if $(filter undefined file,$(origin ARCH)),for arch in aarch64 x86_64; do $(MAKE) --no-print-directory deaths ARCH=$$arch || exit; done,$(MAKE) --no-print-directory deaths-here PLATFORM=microkit))

.PHONY: deaths-here
deaths-here: build domains-unlimited-restarts
	@$(RUNNER) deaths $(patsubst %/$(CONFIG),%/$(CONFIG)-unlimited-restarts,$(IMAGES)) $(if $(filter linux,$(VM)),--guest linux) $(if $(DEATHS),--deaths $(DEATHS)) $(if $(HANGS),--hangs $(HANGS)) $(if $(SEED),--seed $(SEED))

# The protection domains, of which the monitor and the others forgive any number of deaths.
.PHONY: domains-unlimited-restarts
domains-unlimited-restarts: setup
	@cd sel4 && $(DOMAINS_CARGO) build $(QUIET) $(DOMAINS_FLAGS) --features pd-runtime/unlimited-restarts
	@mkdir -p $(DOMAINS)/$(BOARD)/$(CONFIG)-unlimited-restarts
	@cd $(DOMAINS_BUILT) && cp pd-monitor pd-vmm pd-trace pd-console pd-clock pd-alarm pd-idle pd-share $(CURDIR)/$(DOMAINS)/$(BOARD)/$(CONFIG)-unlimited-restarts

# Bochs counts instructions, KVM does not.
bench: EMULATOR := bochs
bench: build bench-beside ## instructions for an access, counted by the emulator; JSON=1 for programs
	@cargo build $(QUIET) --package block-counter
	@$(RUNNER) bench $(IMAGES) $(if $(filter unikernel,$(PLATFORM)),--floor-kernel $(FIRMWARE)/unikernel-floor) $(if $(JSON),--json)

# It asks Linux where its devices are, so the VM has to be one of Linux'.
exits: build ## the exits of one boot of VM=linux, by device and kind, and the instructions of each; JSON=1 for programs
	@cargo build $(QUIET) --package block-counter
	@$(RUNNER) exits $(VM) $(IMAGES) --work out/exits $(if $(JSON),--json)

# What is measured beside the isolated device.
bench-beside: setup
	@$(MAKE) --no-print-directory $(if $(filter unikernel,$(PLATFORM)),firmware-floor,domains-floor domains-in-vmm)

.PHONY: firmware-floor
firmware-floor:
	@$(BARE_METAL_CARGO) build $(QUIET) --package unikernel --features bench-floor \
	    --profile firmware --target $(TARGET) --target-dir target/floor $(BARE_METAL_FLAGS)
	@mkdir -p $(FIRMWARE)
	@cp -u target/floor/$(TARGET)/firmware/unikernel $(FIRMWARE)/unikernel-floor

image: setup ## the bootable seL4 image of VM and its report, in out/
	@$(MAKE) --no-print-directory firmware domains
	@$(RUNNER) image $(VM) $(IMAGES) --work out

sdk: ## fetch the official Microkit SDK into out/
	@command -v curl >/dev/null || { echo "curl is missing: please install it" >&2; exit 1; }
	@mkdir -p out && part=$$(mktemp -d out/sdk.XXXXXX) && trap 'rm -rf "$$part"' EXIT && archive=$$part/$(SDK_ARCHIVE); \
	curl --fail --silent --location --output $$archive $(SDK_URL) \
	    || { echo "the SDK could not be fetched from $(SDK_URL): curl ended with status $$?" >&2; exit 1; }; \
	echo "$(SDK_SHA256)  $$archive" | sha256sum --check --status - \
	    || { echo "$(SDK_ARCHIVE) is not the official one: its SHA-256 is not $(SDK_SHA256)" >&2; exit 1; }; \
	tar -C $$part -xzf $$archive && rm -rf out/$(SDK_NAME) && mv $$part/$(SDK_NAME) out \
	    && echo "now: make run PLATFORM=microkit MICROKIT_SDK=$(CURDIR)/out/$(SDK_NAME)"

clean: ## remove what was built
	rm -rf out target
