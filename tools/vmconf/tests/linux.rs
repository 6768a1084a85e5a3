//! Guests that nobody here wrote: a Linux `Image`, its initrd and its device tree in the RAM of a VM, and what the user
//! is told where they have no place. The header is made by hand from Linux' `Documentation/arch/arm64/booting.rst`.

use insta::assert_snapshot;
use std::path::Path;
use vmconf::images::{Images, Machine};
use vmconf::{Diagnostics, LaidOut};

const MIB: u64 = 1 << 20;

/// An `Image` of 4096 bytes.
fn image(text_offset: u64, image_size: u64, flags: u64) -> Vec<u8> {
    let mut file = vec![0x11; 4096];
    for (at, number) in [(8, text_offset), (16, image_size), (24, flags)] {
        file[at..][..8].copy_from_slice(&number.to_le_bytes());
    }
    file[56..60].copy_from_slice(b"ARM\x64");
    file
}

/// One of today: 4 KiB pages, anywhere in the RAM.
fn kernel(image_size: u64) -> Vec<u8> {
    image(0, image_size, 0b1010)
}

const LINUX: &str = "system linux\nram 0x40000000,64M\nload Image\n";
const CONSOLE: &str = "vdev pl011 loc 0x9000000 intr 33\n";

fn laid_out_on(
    machine: Option<Machine>,
    text: &str,
    files: &[&[u8]],
) -> Result<(LaidOut, Vec<u8>), String> {
    let vm = vmconf::parse("vm.conf", text).unwrap_or_else(|errors| panic!("{errors}"));
    let folder = Path::new("images");
    assert_eq!(vm.loads.len(), files.len());
    let contents: Vec<_> = vm.loads.iter().zip(files.iter().copied()).collect();
    let images = Images { folder, machine };
    let told = |found| Diagnostics::new(vm.source.clone(), found).to_string();
    let laid_out = images.lay_out(&contents, Some(&vm)).map_err(told)?;
    vm.encode(0, &laid_out.0).unwrap();
    Ok(laid_out)
}

fn laid_out(text: &str, files: &[&[u8]]) -> (LaidOut, Vec<u8>) {
    laid_out_on(None, text, files).unwrap_or_else(|told| panic!("{told}"))
}

fn said(text: &str, files: &[&[u8]]) -> String {
    laid_out_on(None, text, files).err().unwrap_or_default()
}

/// Where the pieces are.
fn places(laid_out: &LaidOut) -> Vec<u64> {
    laid_out.pieces.iter().map(|piece| piece.address).collect()
}

/// The tree that the guest is given.
fn tree(laid_out: &LaidOut, region: &[u8]) -> Vec<u8> {
    let at = laid_out.device_tree.unwrap();
    let mut pieces = laid_out.pieces.iter();
    let piece = pieces.find(|piece| piece.address == at).unwrap();
    region[piece.offset as usize..][..piece.len_bytes as usize].to_vec()
}

/// What `/chosen` of a tree says.
fn chosen(tree: &[u8], name: &str) -> Option<Vec<u8>> {
    let tree = fdt::Fdt::new(tree).unwrap();
    let chosen = tree.find_node("/chosen").unwrap();
    Some(chosen.property(name)?.value.to_vec())
}

#[test]
fn a_kernel_goes_as_low_and_the_rest_as_high_as_there_is_room() {
    let text = format!("{LINUX}{CONSOLE}initrd load initrd.cpio\ncmdline \"quiet\"\n");
    let (laid_out, region) = laid_out(&text, &[&kernel(20 * MIB), &[7; 5000]]);
    let tree = tree(&laid_out, &region);
    // The command line has the last page, the tree the one before, the initrd two.
    assert!(tree.len() <= 4096);
    let initrd = 0x43ff_c000_u64;
    assert_eq!(places(&laid_out), [0x4000_0000, initrd, 0x43ff_e000]);
    assert_eq!((laid_out.entry, laid_out.machine), (0x4000_0000, Some(183)));
    assert_eq!(laid_out.files.len(), 2);
    assert_eq!(laid_out.warnings, []);
    let number = |name| u64::from_be_bytes(chosen(&tree, name).unwrap().try_into().unwrap());
    assert_eq!(number("linux,initrd-start"), initrd);
    assert_eq!(number("linux,initrd-end"), initrd + 5000);
    assert_eq!(chosen(&tree, "bootargs").unwrap(), b"quiet\0");
    assert_eq!(
        region[laid_out.pieces[1].offset as usize..][..5000],
        [7; 5000]
    );
}

#[test]
fn the_place_of_a_kernel_is_what_its_header_asks_for() {
    let place = |text: &str, file: &[u8]| laid_out(text, &[file]).0.entry;
    assert_eq!(place(LINUX, &image(0x8_0000, MIB, 2)), 0x4008_0000);
    // Linux before 3.17 does not say how large it is, and where it goes only by its documentation.
    assert_eq!(place(LINUX, &image(0, 0, 0)), 0x4008_0000);
    let unaligned = LINUX.replace("0x40000000,64M", "0x40001000,64M");
    assert_eq!(place(&unaligned, &kernel(MIB)), 0x4020_0000);
    // All but the last page, which has the command line, and the one before, which has the tree.
    assert_eq!(place(LINUX, &kernel(64 * MIB - 8192)), 0x4000_0000);
    assert!(said(LINUX, &[&kernel(64 * MIB - 8191)]).contains("no room"));
    // What has a place already stays where it is.
    let text = "system u\nram 0x40000000,64M\nload 0x40100000,u-boot.bin load Image\nfdt make 0x40000000\n";
    let (laid_out, _) = laid_out(text, &[&[1; 100], &kernel(8 * MIB)]);
    assert_eq!(places(&laid_out), [0x4010_0000, 0x4020_0000, 0x4000_0000]);
    assert_eq!(laid_out.entry, 0x4010_0000);
    assert_eq!(laid_out.device_tree, Some(0x4000_0000));
}

#[test]
fn the_first_load_is_where_the_guest_starts_wherever_it_stands() {
    let text = "system a\nfdt make 0x40200000\ninitrd load 0x40100000,i\nram 0x40000000,4M\nload 0x40000000,a\n";
    let (laid_out, _) = laid_out(text, &[&[1; 8], &[2; 16]]);
    assert_eq!(places(&laid_out), [0x4000_0000, 0x4010_0000, 0x4020_0000]);
    assert_eq!(laid_out.entry, 0x4000_0000);
    let lens: Vec<_> = laid_out.files.iter().map(|file| file.0).collect();
    assert_eq!(lens, [8, 16]);
}

#[test]
fn only_linux_is_given_a_tree_without_being_asked() {
    let text = "system a\nram 0x40000000,2M\nload 0x40000000,a\n";
    assert_eq!(laid_out(text, &[&[1; 8]]).0.device_tree, None);
    // At an address it is a file like any other.
    assert_eq!(laid_out(text, &[&kernel(MIB)]).0.device_tree, None);
    let asked = format!("{text}fdt make\n");
    let (laid_out, region) = laid_out(&asked, &[&[1; 8]]);
    assert_eq!(laid_out.device_tree, Some(0x401f_e000));
    assert!(fdt::Fdt::new(&tree(&laid_out, &region)).is_ok());
}

/// A tree without anything, of which the VM's one is made.
fn small_tree() -> Vec<u8> {
    let structure = [1, 0, 3, 4, 0, 2, 2, 9_u32];
    let strings = b"#size-cells\0";
    let len = 56 + 32 + strings.len() as u32;
    let header = [0xd00d_feed, len, 56, 88, 40, 17, 16, 0, 12, 32, 0, 0, 0, 0];
    let words = header.iter().chain(&structure);
    let words = words.flat_map(|word: &u32| word.to_be_bytes());
    words.chain(*strings).collect()
}

#[test]
fn a_tree_that_is_given_says_what_the_vm_has() {
    let text = format!("{LINUX}{CONSOLE}cmdline \"quiet\"\nfdt load my.dtb\n");
    let given = small_tree();
    let (laid_out, region) = laid_out(&text, &[&kernel(MIB), &given]);
    assert_eq!(laid_out.files[1].0 as usize, given.len());
    let tree = tree(&laid_out, &region);
    assert_eq!(chosen(&tree, "bootargs").unwrap(), b"quiet\0");
    let memory = fdt::Fdt::new(&tree).unwrap();
    let region = memory.memory().regions().next().unwrap();
    assert_eq!(region.starting_address as usize, 0x4000_0000);
    assert_eq!(region.size, Some(64 << 20));
}

#[test]
fn a_tree_or_an_initrd_that_lies_in_something_s_way_is_refused() {
    let text = format!("{LINUX}{CONSOLE}initrd load 0x43fff000,i\nfdt load 0x401fff80,d\n");
    assert_snapshot!(said(&text, &[&kernel(4 * MIB), &[1; 16], &small_tree()]), @"
    error: the initrd `i` reaches into the end of the RAM
     --> vm.conf:5:13
      |
    2 | ram 0x40000000,64M
      |     -------------- the command line is put at 0x43fff000 to 0x43ffffff
    ...
    5 | initrd load 0x43fff000,i
      |             ^^^^^^^^^^^^ it is at 0x43fff000 to 0x43fff00f
      |
      = help: make the RAM larger, or give it a lower address

    error: the device tree `d` lies across a multiple of 2 MiB
     --> vm.conf:6:10
      |
    6 | fdt load 0x401fff80,d
      |          ^^^^^^^^^^^^ it is at 0x401fff80 to 0x40200097
      |
      = help: Linux maps 2 MiB to read it; 0x401ffee8 would do
    ");
    let text = format!("{LINUX}{CONSOLE}initrd load 0x41000000,i\nfdt make 0x41000004\n");
    assert_snapshot!(said(&text, &[&kernel(4 * MIB), &[1; 16]]), @"
    error: the device tree is not aligned
     --> vm.conf:6:10
      |
    6 | fdt make 0x41000004
      |          ^^^^^^^^^^ 0x41000004 is not a multiple of 8
      |
      = help: 0x41000000 would do

    error: the device tree lies on another image
     --> vm.conf:6:10
      |
    5 | initrd load 0x41000000,i
      |             ------------ it is at 0x41000000 to 0x4100000f
    6 | fdt make 0x41000004
      |          ^^^^^^^^^^ it is at 0x41000004 to 0x410005bb
      |
      = help: give it another address
    ");
    let far = "system a\nram 0x40000000,64M\nram 0x8000000000,2M\nload Image\ninitrd load 0x8000000000,i\n";
    assert_snapshot!(said(far, &[&kernel(4 * MIB), &[1; 16]]), @"
    error: the initrd `i` is too far from the kernel
     --> vm.conf:5:13
      |
    5 | initrd load 0x8000000000,i
      |             ^^^^^^^^^^^^^^ the kernel is at 0x40000000 to 0x403fffff
      |
      = help: Linux wants both in 32 GiB that begin at a multiple of 1 GiB
    ");
}

/// 0 in x0 is no tree, to the VM as to Linux.
#[test]
fn a_tree_at_address_0_is_refused() {
    let file = &[1; 8][..];
    let text = "system a\nram 0,4M\nload 0x100000,a\nfdt make 0\n";
    assert_snapshot!(said(text, &[file]), @"
    error: the device tree cannot be at address 0
     --> vm.conf:4:10
      |
    4 | fdt make 0
      |          ^ the guest would be told of none
      |
      = help: give it another address
    ");
    // Where it is nobody's wish: the first range of RAM is full.
    let text = "system a\nram 0x40000000,8K ram 0,4K\nload 0x40000000,a\nfdt make\n";
    assert!(said(text, &[&[1; 4096]]).contains("cannot be at address 0"));
}

#[test]
fn what_has_no_room_is_told_with_what_it_needs() {
    assert_snapshot!(said(&format!("{LINUX}{CONSOLE}initrd load i\n"), &[&kernel(63 * MIB), &[1; 2 << 20]]), @"
    error: the initrd `i` has no room in the RAM
     --> vm.conf:5:13
      |
    2 | ram 0x40000000,64M
      |     -------------- the RAM is 0x40000000 to 0x43ffffff
    ...
    5 | initrd load i
      |             ^ it needs 2097152 bytes
      |
      = help: make the RAM larger; a kernel's has to be in the first range of it
    ");
    assert_snapshot!(said(LINUX, &[&image(0x8_0000, 65 * MIB, 0)]), @"
    error: the image `Image` has no room in the RAM
     --> vm.conf:3:6
      |
    2 | ram 0x40000000,64M
      |     -------------- the RAM is 0x40000000 to 0x43ffffff
    3 | load Image
      |      ^^^^^ it needs 68157440 bytes 0x80000 above a multiple of 2 MiB on
      |
      = help: make the RAM larger; a kernel's has to be in the first range of it
    ");
}

#[test]
fn a_header_that_lies_is_refused() {
    for hostile in [64 * MIB, 1 << 40, 1 << 63, u64::MAX - 4095] {
        assert!(
            said(LINUX, &[&image(hostile, MIB, 0)]).contains("has no room"),
            "{hostile:#x}"
        );
        assert!(
            said(LINUX, &[&kernel(hostile)]).contains("has no room"),
            "{hostile:#x}"
        );
        assert!(said(LINUX, &[&image(hostile, hostile, 0)]).contains("has no room"));
    }
    assert_snapshot!(said(LINUX, &[&image(0x123, MIB, 0)]), @"
    error: the image `Image` has a damaged header
     --> vm.conf:3:6
      |
    3 | load Image
      |      ^^^^^ its text_offset is 0x123
      |
      = help: a kernel lies a whole number of pages above its base; build or fetch it again
    ");
    assert_snapshot!(said(LINUX, &[&image(0, MIB, 1)]), @"
    error: the image `Image` is a big-endian kernel
     --> vm.conf:3:6
      |
    3 | load Image
      |      ^^^^^ bit 0 of its flags is set
      |
      = help: build it with CONFIG_CPU_LITTLE_ENDIAN
    ");
    // Cut off in its header, it is nothing that is known.
    for len in 4..64 {
        assert!(
            said(LINUX, &[&kernel(MIB)[..len]]).contains("is no ELF file"),
            "{len}"
        );
    }
    // A file is never larger than the memory that it gets.
    let (laid_out, _) = laid_out(LINUX, &[&kernel(1)]);
    assert_eq!(laid_out.pieces[0].len_bytes, 4096);
}

#[test]
fn a_kernel_in_another_wrapping_is_called_by_its_name() {
    let mut zboot = vec![0; 64];
    zboot[..8].copy_from_slice(b"MZ\0\0zimg");
    zboot[8..16].copy_from_slice(&[0, 0x10, 0, 0, 0, 0, 0x80, 0]);
    zboot[24..28].copy_from_slice(b"gzip");
    let mut bzimage = vec![0; 0x300];
    bzimage[0x202..0x206].copy_from_slice(b"HdrS");
    let all: [&[u8]; 4] = [b"\x1f\x8b\x08", &zboot, &bzimage, &small_tree()];
    let told: Vec<String> = all.iter().map(|file| said(LINUX, &[file])).collect();
    assert_snapshot!(told.join("\n"), @"
    error: the image `Image` is compressed
     --> vm.conf:3:6
      |
    3 | load Image
      |      ^^^^^ it begins as gzip does
      |
      = help: unpack it: `gunzip -c FILE > Image`

    error: the image `Image` is a compressed kernel
     --> vm.conf:3:6
      |
    3 | load Image
      |      ^^^^^ it unpacks itself with a UEFI firmware, which there is not here (gzip)
      |
      = help: unpack it: `tail -c +4097 FILE | head -c 8388608 | gunzip -c > Image`

    error: the image `Image` is a Linux kernel for x86
     --> vm.conf:3:6
      |
    3 | load Image
      |      ^^^^^ it is a bzImage
      |
      = help: nothing here boots that; an aarch64 VM takes arm64's `Image`

    error: the image `Image` is no program
     --> vm.conf:3:6
      |
    3 | load Image
      |      ^^^^^ it is a device tree, or U-Boot's FIT image
      |
      = help: a device tree is given to the guest by `fdt load FILE`
    ");
}

#[test]
fn an_x86_64_vm_has_neither_kernel_nor_initrd_nor_tree() {
    let told =
        |text: &str, files: &[&[u8]]| laid_out_on(Some(Machine::X86_64), text, files).unwrap_err();
    assert_snapshot!(told(LINUX, &[&kernel(MIB)]), @"
    error: the image `Image` is for another machine
     --> vm.conf:3:6
      |
    3 | load Image
      |      ^^^^^ it is a Linux kernel for aarch64, and this VM is x86_64
      |
      = help: `make run ARCH=aarch64` boots VMs of aarch64
    ");
    let text = "system a\nram 0,4M\nload 0x100000,a\ninitrd load i\nfdt make\n";
    assert_snapshot!(told(text, &[&[1; 8], &[1; 8]]), @"
    error: the initrd `i` is nothing for an x86_64 VM
     --> vm.conf:4:13
      |
    4 | initrd load i
      |             ^ this VM is x86_64
      |
      = help: an x86_64 guest learns from its `cmdline` where things are; Linux for x86_64 is not booted yet

    error: the device tree is nothing for an x86_64 VM
     --> vm.conf:5:1
      |
    5 | fdt make
      | ^^^^^^^^ this VM is x86_64
      |
      = help: an x86_64 guest learns from its `cmdline` where things are; Linux for x86_64 is not booted yet
    ");
}

#[test]
fn an_initrd_that_nobody_would_find_is_refused() {
    let text = "system a\nram 0x40000000,2M\nload 0x40000000,a\ninitrd load i\n";
    assert_snapshot!(said(text, &[&[1; 8], &[1; 8]]), @"
    error: the initrd `i` is told to nobody
     --> vm.conf:4:13
      |
    4 | initrd load i
      |             ^ the guest is given no device tree
      |
      = help: a device tree says where it is: `fdt make`; or give it an address: `initrd load ADDRESS,FILE`
    ");
    let found = text.replace("load i", "load 0x40100000,i");
    assert_eq!(said(&found, &[&[1; 8], &[1; 8]]), "");
}

#[test]
fn a_tree_that_cannot_be_used_is_refused() {
    let text = format!("{LINUX}fdt load my.dtb\n");
    assert_snapshot!(said(&text, &[&kernel(MIB), b"/dts-v1/;"]), @"
    error: the device tree `my.dtb` cannot be read
     --> vm.conf:4:10
      |
    4 | fdt load my.dtb
      |          ^^^^^^ it is the source; `dtc -O dtb` makes a device tree of it
      |
      = help: `dtc -I dtb FILE` shows what there is
    ");
    let mut other = small_tree();
    // #size-cells becomes 7.
    other[79] = 7;
    assert_snapshot!(said(&text, &[&kernel(MIB), &other]), @"
    error: the device tree `my.dtb` cannot be changed for this VM
     --> vm.conf:4:10
      |
    4 | fdt load my.dtb
      |          ^^^^^^ the RAM cannot be said in addresses of 2 and lengths of 7 cells of 32 bits
    ");
}

#[test]
fn linux_without_a_console_is_warned_of() {
    let warned = |text: &str| {
        let vm = vmconf::parse("vm.conf", text).unwrap();
        let found = laid_out(text, &[&kernel(MIB)]).0.warnings;
        Diagnostics::new(vm.source.clone(), found).to_string()
    };
    assert_snapshot!(warned(LINUX), @"
    warning: Linux has no console in this VM
     --> vm.conf:3:6
      |
    3 | load Image
      |      ^^^^^
      |
      = help: it prints to `vdev pl011`
    ");
    assert_snapshot!(warned(&format!("{LINUX}vdev pl011 loc 0x9000000\n")), @"
    warning: Linux cannot use a `vdev pl011` without an interrupt
     --> vm.conf:4:1
      |
    4 | vdev pl011 loc 0x9000000
      | ^^^^^^^^^^
      |
      = help: for example: `intr gic:33`, and `console=ttyAMA0` in the `cmdline`
    ");
    assert_eq!(warned(&format!("{LINUX}{CONSOLE}")), "");
}
