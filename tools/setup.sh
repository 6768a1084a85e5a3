#!/bin/sh
# Installs what the project needs and is missing, and finds out how bare-metal code is
# compiled on this machine. Called by the Makefile: setup.sh TARGET OUTPUT
#
# OUTPUT becomes a fragment of the Makefile with
#   BARE_METAL_CARGO   the cargo to call, with its environment
#   BARE_METAL_FLAGS   what to add to its build commands
#   BARE_METAL_LINT    clippy, or check where there is none for this compiler
# BARE_METAL=rustup or BARE_METAL=debian in the environment allows only that one.
#
# setup.sh tests OUTPUT installs what only tests want, and without which they say by name what they
# skip; OUTPUT says that this was tried. BROWSER=1 in the environment adds Chromium (400 MB with what
# it needs), for the tests of the trace's page.
#
# setup.sh libclang installs only what the bindings of rust-sel4 are generated with, setup.sh
# c++ only what libFuzzer is built with, setup.sh guests only what tools/guests.sh wants, setup.sh
# vt-x [bochs|kvm] only what emulates a machine with VT-x.
#
# setup.sh qemu RELEASE installs QEMU for aarch64 unless it is there, of this release (as 9.0) or newer: what a
# board's file says as `since`.
set -eu
target=$1
output=${2:-}

fail() {
    echo "setup: $*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        return 1
    fi
}

# install WHAT-FOR PACKAGE...
install() {
    purpose=$1
    shift
    command -v apt-get >/dev/null ||
        fail "$purpose is missing: please install it (on Debian: apt-get install $*)"
    echo "setup: installing $purpose ($*)" >&2
    as_root apt-get update -qq >/dev/null || true
    # In one call and without recommendations: apt may have to replace a newer qemu-utils. What
    # goes wrong is on standard error; the rest is a line for each step of each package.
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        fail "$purpose could not be installed: please run, as root, apt-get install $*"
}

if [ "$target" = libclang ]; then
    [ -n "${LIBCLANG_PATH:-}" ] || ldconfig -p 2>/dev/null | grep -qE 'libclang(-[0-9]+)?\.so' ||
        ls /usr/lib/llvm-*/lib/libclang.so* /usr/lib/llvm-*/lib/libclang-[0-9]*.so* 2>/dev/null | grep -q . ||
        install "libclang, for the bindings of rust-sel4" libclang-dev
    exit 0
fi
# newest RELEASE RELEASE
newest() {
    printf '%s\n%s\n' "$1" "$2" | sort -t . -k 1,1n -k 2,2n | tail -n 1
}

qemu_release() {
    qemu-system-aarch64 --version 2>/dev/null | sed -n 's/.*version \([0-9]*\.[0-9]*\).*/\1/p'
}

# Debian's backports have a newer QEMU. The list of sources is this machine's with the backports in it, for these
# calls alone: nothing of apt's configuration changes.
install_backport() {
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2>/dev/null || true)
    command -v apt-get >/dev/null && [ -n "$codename" ] || fail "$1 is missing: please install it"
    # Where the machine has its other packages from.
    mirror=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        sed -n "s/^$codename main //p" | head -n 1)
    [ -n "$mirror" ] || fail "$1 is missing, and apt has no $codename: please install it"
    sources=$(mktemp)
    trap 'rm -f "$sources"' EXIT
    [ ! -f /etc/apt/sources.list ] || cat /etc/apt/sources.list >"$sources"
    echo "deb $mirror $codename-backports main" >>"$sources"
    echo "setup: installing $1 from $codename-backports ($2)" >&2
    as_root apt-get -o Dir::Etc::sourcelist="$sources" update -qq >/dev/null || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o Dir::Etc::sourcelist="$sources" \
        install -y -qq --no-install-recommends -t "$codename-backports" "$2" >/dev/null ||
        fail "$1 could not be installed: please run, as root, apt-get install -t $codename-backports $2, with $codename-backports among apt's sources"
}

if [ "$target" = qemu ]; then
    there=$(qemu_release)
    [ -n "$there" ] && [ "$(newest "$there" "$output")" = "$there" ] ||
        install_backport "QEMU $output or newer" qemu-system-arm
    exit
fi
if [ "$target" = guests ]; then
    command -v cpio >/dev/null || install "cpio, to make a Linux guest's initrd with" cpio
    exit
fi
if [ "$target" = c++ ]; then
    install "a C++ compiler for libFuzzer" g++
    exit
fi
if [ "$target" = vt-x ]; then
    # Without a choice as in tools/runner/src/emulator.rs.
    nested=/sys/module/kvm_intel/parameters/nested
    if [ "$output" = kvm ] || { [ -z "$output" ] && [ -r /dev/kvm ] && [ -w /dev/kvm ] &&
        grep -qsx '[Y1]' $nested; }; then
        command -v qemu-system-x86_64 >/dev/null || install "QEMU for x86_64" qemu-system-x86
    else
        # bochs-term is a screen that needs none; without it apt would take a graphical one. The
        # two BIOSes are recommendations only, which apt leaves out here.
        bios=/usr/share/bochs
        command -v bochs >/dev/null &&
            { ! command -v apt-get >/dev/null ||
                ls -L /usr/lib/*/bochs/plugins/libbx_term_gui.so $bios/BIOS-bochs-latest $bios/VGABIOS-lgpl-latest; } >/dev/null 2>&1 ||
            install "Bochs" bochs bochs-term bochsbios vgabios
    fi
    exit
fi

# compiler_for MACHINE
compiler_for() {
    command -v "$1-linux-gnu-gcc" >/dev/null && return
    package=gcc-$(echo "$1" | tr _ -)-linux-gnu
    [ "$1" != "$(uname -m)" ] || package=gcc
    install "a compiler for $1, to test guests in C with" "$package"
}

if [ "$target" = tests ]; then
    # Each in a shell of its own: that one cannot be had is no reason to stop.
    command -v babeltrace2 >/dev/null || (install "babeltrace2, to test traces with" babeltrace2) || true
    (compiler_for aarch64) || true
    # Its C library, for a program of a Linux guest's.
    [ -e /usr/aarch64-linux-gnu/lib/libc.a ] ||
        (install "the C library for aarch64, to test Linux guests with" libc6-dev-arm64-cross) || true
    (compiler_for x86_64) || true
    [ "${BROWSER:-0}" != 1 ] || command -v chromium >/dev/null ||
        (install "Chromium, to test the trace's page with" chromium) || true
    mkdir -p "$(dirname "$output")"
    : >"$output"
    exit
fi

command -v cargo >/dev/null || fail "cargo is missing: please install Rust from https://rustup.rs"
command -v cc >/dev/null || install "a C compiler to link with" gcc libc6-dev
case $target in
    x86_64-*) command -v qemu-system-x86_64 >/dev/null || install "QEMU for x86_64" qemu-system-x86 ;;
    *) command -v qemu-system-aarch64 >/dev/null || install "QEMU for aarch64" qemu-system-arm ;;
esac

use_rustup() {
    [ "${BARE_METAL:-rustup}" = rustup ] && command -v rustup >/dev/null || return 1
    rustup target list --installed 2>/dev/null | grep -qx "$target" ||
        rustup target add "$target" >&2 || return 1
    cargo="cargo"
    flags=""
    lint="clippy"
}

use_debian() {
    [ "${BARE_METAL:-debian}" = debian ] || return 1
    # rustc-web is Debian's current compiler; it builds the standard library from source.
    [ -x /usr/bin/rustc ] && [ -n "$(ls -d /usr/lib/rustlib/src/rust /usr/src/rustc-* 2>/dev/null)" ] ||
        install "a compiler with its source" rustc-web rust-web-src
    linker=$(rustc --print sysroot 2>/dev/null)/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld
    [ -x "$linker" ] || linker=$(command -v rust-lld || command -v ld.lld || true)
    if [ -z "$linker" ]; then
        install "a linker for bare metal" lld-22
        linker=$(command -v ld.lld-22)
    fi
    variable=CARGO_TARGET_$(echo "$target" | tr 'a-z-' 'A-Z_')_LINKER
    cargo="RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 $variable=$linker cargo"
    flags="-Zbuild-std=core,alloc"
    # Clippy belongs to rustup's compiler, whose standard library is another version.
    lint="check"
}

use_rustup || use_debian ||
    fail "no compiler for $target: rustup target add $target failed, and Debian's is not allowed"

mkdir -p "$(dirname "$output")"
cat >"$output" <<END
# Written by tools/setup.sh; remove it to look again.
BARE_METAL_CARGO := $cargo
BARE_METAL_FLAGS := $flags
BARE_METAL_LINT := $lint
END
