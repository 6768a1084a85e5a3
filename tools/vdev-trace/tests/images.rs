//! What a user is told of an image that the VM cannot run, complete, for each cause; and that
//! what is told is all there is: an image that can be run is let through.

#[path = "machine/elf.rs"]
#[allow(dead_code, reason = "a part of it is used")]
mod elf;

use elf::{AARCH64, START, X86_64, executable};
use insta::assert_snapshot;
use std::path::Path;
use vdev_trace::vms::compile::{Compiled, Warnings, compile};
use vm_config::{Piece, image_crc32};
use vmconf::images::{Images, Machine};
use vmconf::{Diagnostics, LaidOut};

const CONFIG: &str = "system demo\nram 0x40000000,2M\nload my.elf\n";

/// Offsets in a file (*System V ABI*, "ELF Header", "Program Header").
const CLASS: usize = 4;
const BYTE_ORDER: usize = 5;
const VERSION: usize = 6;
const TYPE: usize = 16;
const MACHINE: usize = 18;
const ENTRY: usize = 24;
const PROGRAM_HEADERS: usize = 32;
const NUMBER_OF_PROGRAM_HEADERS: usize = 56;
const SIZE_OF_A_PROGRAM_HEADER: usize = 54;
const SEGMENT_TYPE: usize = 64;
const SEGMENT_VIRTUAL: usize = 64 + 16;
const SEGMENT_PLACE: usize = 64 + 24;
const SEGMENT_BYTES: usize = 64 + 32;

/// What becomes of images in the VM of this text, of this machine or of any.
fn laid_out(
    config: &str,
    machine: Option<Machine>,
    images: &[&[u8]],
) -> Result<(LaidOut, Vec<u8>), String> {
    let vm = vmconf::parse("vm.conf", config).unwrap();
    let folder = Path::new("images");
    let contents: Vec<_> = vm.loads.iter().zip(images.iter().copied()).collect();
    Images { folder, machine }
        .lay_out(&contents, Some(&vm))
        .map_err(|errors| Diagnostics::new(vm.source.clone(), errors).to_string())
}

/// What is said of an image in a VM of this machine, or of any; nothing if it can be run.
fn said_on(machine: Option<Machine>, image: &[u8]) -> String {
    laid_out(CONFIG, machine, &[image])
        .err()
        .unwrap_or_default()
}

fn said(image: &[u8]) -> String {
    said_on(Some(Machine::Aarch64), image)
}

/// A guest with other bytes at an offset.
fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut image = executable(AARCH64);
    image[at..][..bytes.len()].copy_from_slice(bytes);
    image
}

fn with_number(at: usize, number: u64) -> Vec<u8> {
    with(at, &number.to_le_bytes())
}

/// A guest of these segments, which begins where the first one does.
fn with_segments(segments: &[(u64, u64)]) -> Vec<u8> {
    let headers_at = executable(AARCH64).len() as u64;
    let mut image = with_number(PROGRAM_HEADERS, headers_at);
    image[NUMBER_OF_PROGRAM_HEADERS] = segments.len() as u8;
    image[ENTRY..][..8].copy_from_slice(&segments[0].0.to_le_bytes());
    for (start, len) in segments {
        image.extend([1_u32, 7].iter().flat_map(|word| word.to_le_bytes()));
        let words = [0, *start, *start, 0, *len, 4096];
        image.extend(words.iter().flat_map(|word: &u64| word.to_le_bytes()));
    }
    image
}

#[test]
fn an_image_that_can_be_run_is_let_through() {
    assert_eq!(said(&executable(AARCH64)), "");
    assert_eq!(said_on(Some(Machine::X86_64), &executable(X86_64)), "");
    assert_eq!(said_on(None, &executable(AARCH64)), "");
    assert_eq!(said_on(None, &executable(X86_64)), "");
    // From the first byte of RAM to the one before the command line, side by side.
    let all = [(0x4010_0000, 0xf_f000), (0x4000_0000, 0x10_0000)];
    assert_eq!(said(&with_segments(&all)), "");
    // A segment of no bytes is in nobody's way.
    assert_eq!(said(&with_segments(&[(START, 16), (START + 8, 0)])), "");
    // One without bytes in the file may be behind its end, where GNU ld puts a lone `.bss`.
    let mut lone_bss = with_segments(&[(START, 16)]);
    let offset = executable(AARCH64).len() + 8;
    lone_bss[offset..][..8].copy_from_slice(&(1_u64 << 20).to_le_bytes());
    assert_eq!(said(&lone_bss), "");
}

#[test]
fn what_is_no_elf_file_is_refused() {
    assert_snapshot!(said(b"#!/bin/sh"), @"
    error: the image `my.elf` is no ELF file
     --> vm.conf:3:6
      |
    3 | load my.elf
      |      ^^^^^^ it begins with 23 21 2f 62 and not with 7f 45 4c 46
      |
      = help: a file of another kind does not say where it goes: `load ADDRESS,FILE` does
    ");
    assert!(said(b"\x7fEL").contains("is no ELF file"));
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused() {
    let whole = executable(AARCH64);
    assert_snapshot!(said(&whole[..whole.len() - 1]), @"
    error: the image `my.elf` is cut off
     --> vm.conf:3:6
      |
    3 | load my.elf
      |      ^^^^^^ it has 497 bytes, and its section headers end at byte 498
      |
      = help: it was not completely built, copied or fetched
    ");
    assert_snapshot!(said(&whole[..30]), @"
    error: the image `my.elf` is cut off
     --> vm.conf:3:6
      |
    3 | load my.elf
      |      ^^^^^^ it has 30 bytes, and its first headers end at byte 64
      |
      = help: it was not completely built, copied or fetched
    ");
    for len in 4..whole.len() {
        assert!(said(&whole[..len]).contains("is cut off"), "{len}");
    }
    let mut segment = with_number(SEGMENT_BYTES, 1 << 20);
    segment[SEGMENT_BYTES + 8..][..8].copy_from_slice(&(1_u64 << 20).to_le_bytes());
    assert_snapshot!(said(&segment), @"
    error: the image `my.elf` is cut off
     --> vm.conf:3:6
      |
    3 | load my.elf
      |      ^^^^^^ it has 498 bytes, and the bytes of segment 0 end at byte 1048576
      |
      = help: it was not completely built, copied or fetched
    ");
}

#[test]
fn a_32_bit_image_is_refused() {
    assert_snapshot!(said(&with(CLASS, &[1])), @"
    error: the image `my.elf` is a 32-bit ELF file
     --> vm.conf:3:6
      |
    3 | load my.elf
      |      ^^^^^^ a VM runs 64-bit ones
      |
      = help: build it for aarch64 or x86_64
    ");
}

#[test]
fn a_big_endian_image_is_refused() {
    assert_snapshot!(said(&with(BYTE_ORDER, &[2])), @"
    error: the image `my.elf` is big-endian
     --> vm.conf:3:6
      |
    3 | load my.elf
      |      ^^^^^^ a VM begins little-endian
      |
      = help: build it for aarch64, not for aarch64_be
    ");
}

#[test]
fn an_image_for_another_machine_is_refused() {
    assert_snapshot!(said(&executable(X86_64)), @"
    error: the image `my.elf` is for another machine
     --> vm.conf:3:6
      |
    3 | load my.elf
      |      ^^^^^^ it is for x86_64, and this VM is aarch64
      |
      = help: `make run ARCH=x86_64` boots VMs of x86_64
    ");
    const RISC_V: u8 = 243;
    assert_snapshot!(said_on(None, &executable(RISC_V)), @"
    error: the image `my.elf` is for another machine
     --> vm.conf:3:6
      |
    3 | load my.elf
      |      ^^^^^^ it is for machine 243 of ELF's list; a VM is aarch64 or x86_64
      |
      = help: build it for aarch64 or x86_64
    ");
    let arm_on_x86 = said_on(Some(Machine::X86_64), &executable(AARCH64));
    assert!(arm_on_x86.contains("it is for aarch64, and this VM is x86_64"));
}

#[test]
fn an_image_whose_addresses_are_not_fixed_is_refused() {
    assert_snapshot!(said(&with(TYPE, &[3])), @"
    error: the image `my.elf` is position-independent
     --> vm.conf:3:6
      |
    3 | load my.elf
      |      ^^^^^^ its addresses are not fixed (ET_DYN), and nobody here relocates it
      |
      = help: link it with --no-pie; rustc wants `-C relocation-model=static` as well
    ");
}

#[test]
fn what_is_not_executable_is_refused() {
    assert_snapshot!(said(&with(TYPE, &[1])), @"
    error: the image `my.elf` is not executable
     --> vm.conf:3:6
      |
    3 | load my.elf
      |      ^^^^^^ it is an object file (ET_REL)
      |
      = help: link it first
    ");
    assert!(said(&with(TYPE, &[4])).contains("it is a core file (ET_CORE)"));
    assert!(said(&with(TYPE, &[0, 0xfe])).contains("it is of type 65024"));
}

#[test]
fn two_causes_are_told_together() {
    let mut image = with(TYPE, &[3]);
    image[MACHINE] = X86_64;
    let said = said(&image);
    assert!(said.contains("is for another machine"), "{said}");
    assert!(said.contains("is position-independent"), "{said}");
}

#[test]
fn a_segment_outside_of_the_ram_is_refused() {
    assert_snapshot!(said(&with_segments(&[(0x8_0000, 0x1234)])), @"
    error: the image `my.elf` does not lie in the VM's RAM
     --> vm.conf:3:6
      |
    2 | ram 0x40000000,2M
      |     ------------- the RAM is 0x40000000 to 0x401fffff
    3 | load my.elf
      |      ^^^^^^ segment 0 is at 0x80000 to 0x81233
      |
      = help: link it to addresses in the RAM, or change `ram`
    ");
    for (start, len) in [
        (0x3fff_ffff, 1),
        (0x4020_0000, 1),
        (0x401f_ffff, 2),
        (u64::MAX, 1),
        (0x4000_0000, u64::MAX),
    ] {
        let said = said(&with_segments(&[(start, len)]));
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
        assert!(said.contains("does not lie in the VM's RAM"), "{said}");
    }
    let three = [(START, 16), (0, 16), (0x1000, 16), (0x2000, 16)];
    let said = said(&with_segments(&three));
    assert!(said.contains("segment 1 is at 0x0 to 0xf"), "{said}");
    assert!(said.contains("2 more segments lie outside"), "{said}");
}

#[test]
fn segments_that_overlap_are_refused() {
    let two = [(START, 0x1000), (START - 0x100, 0x101)];
    assert_snapshot!(said(&with_segments(&two)), @"
    error: the image `my.elf` has segments that overlap
     --> vm.conf:3:6
      |
    3 | load my.elf
      |      ^^^^^^ segment 1 is at 0x4007ff00 to 0x40080000, segment 0 is at 0x40080000 to 0x40080fff
      |
      = help: its linker script gives them one place
    ");
}

#[test]
fn an_image_that_reaches_where_the_vmm_writes_is_refused() {
    let last = |len| with_segments(&[(0x401f_0000, len)]);
    assert_snapshot!(said(&last(0xf001)), @"
    error: the image `my.elf` reaches into the end of the RAM
     --> vm.conf:3:6
      |
    2 | ram 0x40000000,2M
      |     ------------- the command line is put at 0x401ff000 to 0x401fffff
    3 | load my.elf
      |      ^^^^^^ segment 0 is at 0x401f0000 to 0x401ff000
      |
      = help: make the RAM larger, or link the image to lower addresses
    ");
    let mut on_x86 = last(0x9001);
    on_x86[MACHINE] = X86_64;
    assert_snapshot!(said_on(Some(Machine::X86_64), &on_x86), @"
    error: the image `my.elf` reaches into the end of the RAM
     --> vm.conf:3:6
      |
    2 | ram 0x40000000,2M
      |     ------------- the command line and the first page tables are put at 0x401f9000 to 0x401fffff
    3 | load my.elf
      |      ^^^^^^ segment 0 is at 0x401f0000 to 0x401f9000
      |
      = help: make the RAM larger, or link the image to lower addresses
    ");
    on_x86 = last(0x9000);
    on_x86[MACHINE] = X86_64;
    assert_eq!(said_on(None, &on_x86), "");
    assert_eq!(said(&last(0xf000)), "");
}

#[test]
fn an_entry_point_outside_of_the_segments_is_refused() {
    assert_snapshot!(said(&with_number(ENTRY, START + 16)), @"
    error: the image `my.elf` begins outside of its segments
     --> vm.conf:3:6
      |
    3 | load my.elf
      |      ^^^^^^ its entry point is 0x40080010
      |
      = help: the linker takes it from ENTRY, else from the symbol `_start`
    ");
    let mut image = with_number(SEGMENT_VIRTUAL, 0xffff_0000_0000_0000);
    image[ENTRY..][..8].copy_from_slice(&0xffff_0000_0000_0008_u64.to_le_bytes());
    let said = said(&image);
    assert!(said.contains("that is a virtual address"), "{said}");
}

#[test]
fn an_image_of_nothing_is_refused() {
    // PT_NOTE.
    assert_snapshot!(said(&with(SEGMENT_TYPE, &[4])), @"
    error: the image `my.elf` has nothing to load
     --> vm.conf:3:6
      |
    3 | load my.elf
      |      ^^^^^^ no program header has the type LOAD
      |
      = help: was it linked, and does its linker script name its segments?
    ");
}

#[test]
fn headers_that_cannot_be_are_refused() {
    for (at, byte) in [
        (CLASS, 7),
        (BYTE_ORDER, 0),
        (VERSION, 2),
        (SIZE_OF_A_PROGRAM_HEADER, 57),
    ] {
        let said = said(&with(at, &[byte]));
        assert!(said.contains("is a damaged ELF file"), "{at}: {said}");
    }
    assert_snapshot!(said(&with_number(SEGMENT_BYTES, 17)), @"
    error: the image `my.elf` is a damaged ELF file
     --> vm.conf:3:6
      |
    3 | load my.elf
      |      ^^^^^^ segment 0 has 17 bytes for 16 of memory
      |
      = help: build, copy or fetch it again; `readelf -hl` shows what there is
    ");
    let far = said(&with_number(PROGRAM_HEADERS, u64::MAX));
    assert!(far.contains("is cut off"), "{far}");
    assert!(!said(&with_number(SEGMENT_PLACE, u64::MAX)).is_empty());
}

/// What the compiler says of a configuration in a folder, or what it makes of it.
fn compiled(folder: &Path, images: &Path) -> Result<Compiled, String> {
    let images = Images {
        folder: images,
        machine: Some(Machine::Aarch64),
    };
    compile(&folder.join("vm.conf"), 0, images, Warnings::Told)
}

#[test]
fn an_image_is_looked_for_beside_its_configuration_and_then_among_the_images() {
    let (here, images) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(here.path().join("vm.conf"), CONFIG).unwrap();
    let compiled = || compiled(here.path(), images.path());
    let missing = compiled().err().unwrap();
    assert!(missing.contains("vm.conf:3:6"), "{missing}");
    assert!(missing.contains("my.elf is not there"), "{missing}");
    let among = images.path().join("my.elf");
    std::fs::write(&among, executable(AARCH64)).unwrap();
    assert_eq!(compiled().unwrap().files[0].path, among);
    let beside = here.path().join("my.elf");
    // A folder is no image.
    std::fs::create_dir(&beside).unwrap();
    assert_eq!(compiled().unwrap().files[0].path, among);
    std::fs::remove_dir(&beside).unwrap();
    std::fs::write(&beside, executable(X86_64)).unwrap();
    let unfit = compiled().err().unwrap();
    assert!(unfit.contains("is for another machine"), "{unfit}");
    std::fs::write(&beside, executable(AARCH64)).unwrap();
    assert_eq!(compiled().unwrap().files[0].path, beside);
}

#[test]
fn what_has_no_end_is_no_image() {
    let here = tempfile::tempdir().unwrap();
    let text = CONFIG.replace("my.elf", "/dev/zero");
    std::fs::write(here.path().join("vm.conf"), text).unwrap();
    let said = compiled(here.path(), here.path()).err().unwrap();
    assert!(said.contains("/dev/zero is no regular file"), "{said}");
}

#[test]
fn an_image_that_is_empty_or_too_large_is_refused() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("vm.conf"), CONFIG).unwrap();
    let image = std::fs::File::create(here.path().join("my.elf")).unwrap();
    let said = || compiled(here.path(), here.path()).err().unwrap();
    assert!(said().contains("error: the image `my.elf` is empty\n"));
    // It has no bytes on the disk.
    image.set_len(1 << 33).unwrap();
    let large = said();
    assert!(
        large.contains("error: the image `my.elf` is too large\n"),
        "{large}"
    );
    assert!(
        large.contains("8589934592 bytes, the most is 4 GiB"),
        "{large}"
    );
}

/// A flat program and two files for it.
const FLAT: &str = "system demo\nram 0x40000000,2M\n\
                    load 0x40080000,guest.bin\nload 0x40100001,a load 0x40100004,b\n";

const AARCH64_VM: Option<Machine> = Some(Machine::Aarch64);

#[test]
fn files_with_addresses_are_laid_out_there_and_the_guest_starts_in_the_first() {
    let images = [&[1, 2, 3, 4, 5][..], b"abc", b"d"];
    let (laid_out, region) = laid_out(FLAT, AARCH64_VM, &images).unwrap();
    let piece = |address, len_bytes, offset| Piece {
        address,
        len_bytes,
        offset,
    };
    let pieces = [
        piece(0x4008_0000, 5, 0),
        piece(0x4010_0001, 3, 16),
        piece(0x4010_0004, 1, 32),
    ];
    assert_eq!(laid_out.pieces, pieces);
    assert_eq!(laid_out.entry, 0x4008_0000);
    assert_eq!(laid_out.machine, Some(AARCH64.into()));
    let files = images.map(|bytes| (bytes.len() as u32, Some(image_crc32(bytes))));
    assert_eq!(laid_out.files, files);
    assert_eq!(
        (&region[..6], &region[16..20]),
        (&[1, 2, 3, 4, 5, 0][..], &b"abc\0"[..])
    );
    assert_eq!((region.len(), region[32]), (33, b'd'));
}

#[test]
fn an_elf_file_is_laid_out_by_its_segments_beside_other_files() {
    let config = format!("{CONFIG}load 0x40000000,data\n");
    let elf = executable(AARCH64);
    let (laid_out, region) = laid_out(&config, None, &[&elf, b"data"]).unwrap();
    let places: Vec<_> = laid_out
        .pieces
        .iter()
        .map(|piece| (piece.address, piece.len_bytes))
        .collect();
    assert_eq!(places, [(START, 16), (0x4000_0000, 4)]);
    assert_eq!(
        (laid_out.entry, laid_out.machine),
        (START, Some(AARCH64.into()))
    );
    assert_eq!((&region[..16], &region[16..]), (&elf[..16], &b"data"[..]));
}

#[test]
fn a_file_that_its_address_does_not_suit_is_refused() {
    let refused =
        |config: &str, images: &[&[u8]]| laid_out(config, AARCH64_VM, images).unwrap_err();
    let long = vec![0; 0x10_0000];
    assert_snapshot!(refused(FLAT, &[&long, b"a", b"b"]), @"
    error: the image `a` lies on another image
     --> vm.conf:4:6
      |
    3 | load 0x40080000,guest.bin
      |      -------------------- it is at 0x40080000 to 0x4017ffff
    4 | load 0x40100001,a load 0x40100004,b
      |      ^^^^^^^^^^^^ it is at 0x40100001 to 0x40100001
      |
      = help: give it another address

    error: the image `b` lies on another image
     --> vm.conf:4:24
      |
    3 | load 0x40080000,guest.bin
      |      -------------------- it is at 0x40080000 to 0x4017ffff
    4 | load 0x40100001,a load 0x40100004,b
      |                        ^^^^^^^^^^^^ it is at 0x40100004 to 0x40100004
      |
      = help: give it another address
    ");
    assert_snapshot!(refused(FLAT, &[b"code", &long, b"b"]), @"
    error: the image `a` does not lie in the VM's RAM
     --> vm.conf:4:6
      |
    2 | ram 0x40000000,2M
      |     ------------- the RAM is 0x40000000 to 0x401fffff
    3 | load 0x40080000,guest.bin
    4 | load 0x40100001,a load 0x40100004,b
      |      ^^^^^^^^^^^^ it is at 0x40100001 to 0x40200000
      |
      = help: give it an address in the RAM, or change `ram`

    error: the image `b` lies on another image
     --> vm.conf:4:24
      |
    4 | load 0x40100001,a load 0x40100004,b
      |      ------------      ^^^^^^^^^^^^ it is at 0x40100004 to 0x40100004
      |      |
      |      it is at 0x40100001 to 0x40200000
      |
      = help: give it another address
    ");
    assert_snapshot!(refused(FLAT, &[b"code", b"four", b"b"]), @"
    error: the image `b` lies on another image
     --> vm.conf:4:24
      |
    4 | load 0x40100001,a load 0x40100004,b
      |      ------------      ^^^^^^^^^^^^ it is at 0x40100004 to 0x40100004
      |      |
      |      it is at 0x40100001 to 0x40100004
      |
      = help: give it another address
    ");
    assert_snapshot!(refused(FLAT, &[&executable(AARCH64), b"a", b"b"]), @"
    error: the image `guest.bin` is an ELF file
     --> vm.conf:3:6
      |
    3 | load 0x40080000,guest.bin
      |      ^^^^^^^^^^^^^^^^^^^^ the guest would start in its headers
      |
      = help: leave the address out: an ELF file says itself what of it goes where
    ");
    let misaligned = FLAT.replace("0x40080000", "0x40080002");
    assert_snapshot!(refused(&misaligned, &[b"code", b"a", b"b"]), @"
    error: the image `guest.bin` begins between two instructions
     --> vm.conf:3:6
      |
    3 | load 0x40080002,guest.bin
      |      ^^^^^^^^^^^^^^^^^^^^ the guest starts at 0x40080002
      |
      = help: every instruction of A64 lies at a multiple of 4
    ");
}

#[test]
fn an_elf_file_may_be_data_for_the_guest() {
    let images = [&b"code"[..], b"a", &executable(X86_64)];
    let (laid_out, _) = laid_out(FLAT, AARCH64_VM, &images).unwrap();
    assert_eq!(laid_out.entry, 0x4008_0000);
}

#[test]
fn images_for_two_machines_or_for_one_place_are_refused() {
    let config = format!("{CONFIG}load other.elf\n");
    let (arm, x86) = (executable(AARCH64), executable(X86_64));
    assert_snapshot!(laid_out(&config, None, &[&arm, &x86]).unwrap_err(), @"
    error: the image `other.elf` is for another machine
     --> vm.conf:4:6
      |
    4 | load other.elf
      |      ^^^^^^^^^ it is for x86_64, and this VM is aarch64
      |
      = help: `make run ARCH=x86_64` boots VMs of x86_64
    ");
    assert_snapshot!(laid_out(&config, None, &[&arm, &arm]).unwrap_err(), @"
    error: the image `other.elf` lies on another image
     --> vm.conf:4:6
      |
    3 | load my.elf
      |      ------ segment 0 is at 0x40080000 to 0x4008000f
    4 | load other.elf
      |      ^^^^^^^^^ segment 0 is at 0x40080000 to 0x4008000f
      |
      = help: link it to other addresses
    ");
}

#[test]
fn each_missing_image_is_told_and_what_is_wrong_with_the_others() {
    let here = tempfile::tempdir().unwrap();
    let text = FLAT.replace("load 0x40080000,guest.bin", "load my.elf");
    std::fs::write(here.path().join("vm.conf"), text).unwrap();
    std::fs::write(here.path().join("my.elf"), b"no ELF file").unwrap();
    let said = compiled(here.path(), here.path()).err().unwrap();
    for part in [
        "my.elf` is no ELF file",
        "/a is not there",
        "/b is not there",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn more_pieces_than_a_vm_has_room_for_are_refused() {
    // A whole file with this many segments of one byte.
    let with_segments = |count: u16| {
        let mut file = executable(AARCH64)[..64].to_vec();
        file[NUMBER_OF_PROGRAM_HEADERS..][..2].copy_from_slice(&count.to_le_bytes());
        // No section headers.
        file[40..48].fill(0);
        file[60..64].fill(0);
        for number in 0..u64::from(count) {
            file.extend([1_u32, 5].iter().flat_map(|word| word.to_le_bytes()));
            let place = START + number;
            let words = [0, place, place, 1, 1, 1_u64];
            file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        }
        file
    };
    let as_many = laid_out(CONFIG, AARCH64_VM, &[&with_segments(16)]).unwrap();
    assert_eq!(as_many.0.pieces.len(), 16);
    assert_snapshot!(laid_out(CONFIG, AARCH64_VM, &[&with_segments(17)]).unwrap_err(), @"
    error: the images have too many pieces, or are too large together
     --> vm.conf:3:6
      |
    3 | load my.elf
      |      ^^^^^^ 17 pieces and 257 bytes
      |
      = help: a VM has room for 16 pieces and 4 GiB of them
    ");
}

#[test]
fn the_elf_file_of_another_run_does_not_stay_beside_a_vm_that_loads_none() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("flat.bin"), [1, 2, 3, 4]).unwrap();
    std::fs::write(
        folder.path().join("vm.conf"),
        "system flat\nram 0x40000000,2M\nload 0x40000000,flat.bin\n",
    )
    .unwrap();
    let run = folder.path().join("run");
    std::fs::create_dir(&run).unwrap();
    std::fs::write(run.join("guest.elf"), "another run's").unwrap();
    let compiled = compiled(folder.path(), folder.path()).unwrap();
    compiled.write_to(&run).unwrap();
    assert!(!run.join("guest.elf").exists());
    // Nor is it missed where there is none.
    compiled.write_to(&run).unwrap();
}
