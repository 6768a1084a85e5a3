//! A device tree of the user's, any bytes, on its way to a guest.

use crate::targets::vm::RAM;
use std::path::Path;
use vmconf::images::Images;
use vmconf::{Colour, Diagnostics};

/// The tree is read, changed and laid out; what comes out is one again, and changing that changes nothing.
pub(crate) fn run(input: &[u8]) {
    let text = format!(
        "system fuzz\nram {:#x},{:#x}\nload {:#x},a\nfdt load b\ncmdline \"c\"\nvdev pl011 loc 0x9000000\n",
        RAM.base, RAM.len_bytes, RAM.base
    );
    let vm = vmconf::parse("vm.conf", &text).expect("it is right");
    let images = Images {
        folder: Path::new(""),
        machine: None,
    };
    let tree_of = |tree: &[u8]| {
        let files = [(&vm.loads[0], &b"guest"[..]), (&vm.loads[1], tree)];
        let (laid_out, region) = images.lay_out(&files, Some(&vm))?;
        let at = laid_out.device_tree.expect("one is given");
        let mut pieces = laid_out.pieces.iter();
        let piece = pieces.find(|piece| piece.address == at);
        let piece = piece.expect("it is a piece");
        Ok(region[piece.offset as usize..][..piece.len_bytes as usize].to_vec())
    };
    match tree_of(input) {
        Ok(changed) => assert_eq!(tree_of(&changed), Ok(changed)),
        Err(errors) => {
            let errors: Vec<vmconf::Diagnostic> = errors;
            assert!(!errors.is_empty());
            let told = Diagnostics::new(vm.source.clone(), errors).render(Colour::Never);
            assert!(told.starts_with("error: the device tree `b`"), "{told}");
        }
    }
}
