#!/bin/sh
# Brings the guests that nobody here wrote: Debian's arm64 kernel and busybox, and U-Boot for QEMU's arm64
# machine. Called by the Makefile: guests.sh WORK IMAGES
#
# WORK keeps what was fetched; what is there, fetched or put there by hand, stays. Into IMAGES go
#   linux          the kernel, an arm64 Image
#   linux-initrd   busybox, the files of guest/linux and, where there is a cross compiler, its programs in C
#   u-boot         U-Boot, a flat image
#
# The packages are fetched with an apt directory of our own below WORK, by the sources and keys of this machine:
# nothing is installed, and the machine's own apt state stays as it is.
set -eu
cd "$(dirname "$0")/.."
work=$(mkdir -p "$1" && cd "$1" && pwd)
images=$(mkdir -p "$2" && cd "$2" && pwd)
root=$work/root

# What is taken from the packages, and the name it has in WORK.
kernel=$work/vmlinuz
busybox=$work/busybox
u_boot=$work/u-boot.bin
rtcwake=$work/rtcwake
libc=$work/libc.so.6
loader=$work/ld-linux-aarch64.so.1

by_hand() {
    cat >&2 <<END
guests: $*
guests: with an apt that has Debian's arm64 packages they are fetched; elsewhere please put there by hand
  $kernel   an arm64 kernel, uncompressed (Image), with PL011, PL031 and GICv2
  $busybox   busybox for arm64, statically linked
  $u_boot   U-Boot's u-boot.bin of the board qemu_arm64
guests: and call this again
END
    exit 1
}

apt_private() {
    command=$1
    shift
    "$command" -o Dir::State="$work/apt" -o Dir::State::status="$work/apt/status" -o Dir::Cache="$work/apt/cache" \
        -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User="$(id -un)" \
        -o Acquire::Retries=2 -q "$@"
}

# take TARGET CANDIDATE...: makes TARGET of the first of these files that is there, as a whole or not at all. Debian
# has moved what was in / to /usr; each release has one of the two.
take() {
    target=$1
    shift
    [ ! -s "$target" ] || return 0
    for candidate; do
        [ -s "$candidate" ] && cp "$candidate" "$target.new" && mv "$target.new" "$target" && return
    done
    return 1
}

fetch() {
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || by_hand "there is no apt here"
    echo "guests: fetching Debian's arm64 kernel, busybox and U-Boot (30 MB)" >&2
    rm -rf "$work/apt" "$work/packages" "$work/files"
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/packages" "$work/files"
    : >"$work/apt/status"
    # One source of several that cannot be reached is no reason to stop: what is missing is said below.
    apt_private apt-get update >"$work/apt/update.log" 2>&1 || true
    # The name of the current kernel is what this package depends on.
    image=$(apt_private apt-cache depends linux-image-cloud-arm64 2>/dev/null |
        sed -n 's/.*Depends: \(linux-image-[^ ]*\).*/\1/p' | head -n 1)
    [ -n "$image" ] || by_hand "apt knows no linux-image-cloud-arm64 (see $work/apt/update.log)"
    (cd "$work/packages" &&
        apt_private apt-get download "$image" busybox-static u-boot-qemu util-linux libc6 >"$work/apt/download.log" 2>&1) ||
        by_hand "the packages could not be fetched (see $work/apt/download.log)"
    for package in "$work"/packages/*.deb; do
        dpkg-deb -x "$package" "$work/files"
    done
    files=$work/files
    # util-linux' rtcwake, which busybox does not have here, and what it is linked with. First, since what is
    # needed is what a second call looks for.
    libraries=lib/aarch64-linux-gnu
    take "$rtcwake" "$files/usr/sbin/rtcwake" "$files/sbin/rtcwake" &&
        take "$libc" "$files/$libraries/libc.so.6" "$files/usr/$libraries/libc.so.6" &&
        take "$loader" "$files/$libraries/ld-linux-aarch64.so.1" "$files/usr/$libraries/ld-linux-aarch64.so.1" ||
        echo "guests: rtcwake is left out (it is not where it is looked for in Debian's packages)" >&2
    take "$busybox" "$files/bin/busybox" "$files/usr/bin/busybox" &&
        take "$u_boot" "$files/usr/lib/u-boot/qemu_arm64/u-boot.bin" &&
        take "$kernel" "$files"/boot/vmlinuz-* ||
        by_hand "Debian's packages do not have $target where it is looked for"
    rm -rf "$files" "$work/packages" "$work/apt"
}

# newc_archive FOLDER FILE: an archive as the kernel unpacks it.
newc_archive() {
    command -v cpio >/dev/null || {
        echo "guests: cpio is missing, which makes the initrd: tools/setup.sh guests installs it" >&2
        exit 1
    }
    # By name and with one owner, so that the same files are the same archive.
    (cd "$1" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) >"$2.new"
    mv "$2.new" "$2"
}

[ -s "$kernel" ] && [ -s "$busybox" ] && [ -s "$u_boot" ] || fetch

rm -rf "$root"
mkdir -p "$root/bin" "$root/sbin" "$root/usr/bin" "$root/usr/sbin" "$root/dev" "$root/proc" "$root/sys" "$root/lib/aarch64-linux-gnu"
cp -R guest/linux/etc "$root/etc"
cp "$busybox" "$root/bin/busybox"
# One that was fetched by hand need not be executable.
chmod 755 "$root/bin/busybox"
ln -s /bin/busybox "$root/init"
if [ -s "$rtcwake" ] && [ -s "$libc" ] && [ -s "$loader" ]; then
    cp "$rtcwake" "$root/usr/sbin/rtcwake"
    cp "$libc" "$root/lib/aarch64-linux-gnu/libc.so.6"
    cp "$loader" "$root/lib/ld-linux-aarch64.so.1"
fi
if command -v aarch64-linux-gnu-gcc >/dev/null; then
    for program in guest/linux/*.c; do
        aarch64-linux-gnu-gcc -O2 -Wall -Werror -static "$program" -o "$root/usr/bin/$(basename "$program" .c)" ||
            echo "guests: $program is left out (libc6-dev-arm64-cross may be missing)" >&2
    done
else
    echo "guests: guest/linux/*.c are left out (gcc-aarch64-linux-gnu is missing)" >&2
fi
newc_archive "$root" "$images/linux-initrd"
cp "$kernel" "$images/linux"
cp "$u_boot" "$images/u-boot"
