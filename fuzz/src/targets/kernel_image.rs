//! What the compiler of configurations says of a kernel whose header may claim anything, with an initrd beside it.

use crate::script::Script;
use std::path::Path;
use vm_config::VmConfig;
use vmconf::images::Images;
use vmconf::{Colour, Diagnostics};

/// Linux, `Documentation/arch/arm64/booting.rst`.
const HEADER_BYTES: usize = 64;
const NUMBERS_AT: [usize; 3] = [8, 16, 24];
const MAGIC_AT: usize = 56;

pub(crate) fn run(input: &[u8]) {
    check(input, b"initrd");
    let mut script = Script::new(input);
    let mut kernel = vec![0; HEADER_BYTES];
    for at in NUMBERS_AT {
        kernel[at..][..8].copy_from_slice(&script.number().to_le_bytes());
    }
    kernel[MAGIC_AT..][..4].copy_from_slice(b"ARM\x64");
    let initrd = vec![1; 1 + usize::from(script.byte()) * 1024];
    kernel.extend_from_slice(script.rest());
    check(&kernel, &initrd);
}

/// What comes out lies in the RAM, each in a place of its own, and the tree in one block of 2 MiB.
fn check(kernel: &[u8], initrd: &[u8]) {
    let text = "system fuzz ram 0x40000000,4M load Image initrd load cpio fdt make";
    let vm = vmconf::parse("vm.conf", text).expect("it is right");
    let files = [(&vm.loads[0], kernel), (&vm.loads[1], initrd)];
    let images = Images {
        folder: Path::new(""),
        machine: None,
    };
    match images.lay_out(&files, Some(&vm)) {
        Ok((laid_out, region)) => {
            let blob = vm
                .encode(0, &laid_out)
                .expect("what is laid out can be read");
            let config = VmConfig::parse(&blob).expect("it was encoded");
            let tree = laid_out.device_tree.expect("one is made");
            let piece = config.pieces().find(|piece| piece.address == tree);
            let last = tree + piece.expect("it is a piece").len_bytes - 1;
            assert_eq!(tree >> 21, last >> 21);
            let end = config.pieces().map(|piece| piece.end()).max();
            assert!(end.is_some_and(|end| end <= region.len() as u64));
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            let told = Diagnostics::new(vm.source.clone(), errors).render(Colour::Never);
            assert!(told.starts_with("error: the "), "{told}");
        }
    }
}
