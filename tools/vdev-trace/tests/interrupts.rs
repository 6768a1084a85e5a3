//! What a user is told of interrupts that a VM of some machine cannot have.

#[path = "machine/elf.rs"]
#[allow(dead_code, reason = "a part of it is used")]
mod elf;

use elf::{AARCH64, X86_64, executable};
use std::path::Path;
use vmconf::Diagnostics;
use vmconf::images::Images;

/// What is said of these lines in a VM of this machine.
fn said(machine: u8, lines: &str) -> String {
    let text = format!("system demo\nram 0x40000000,2M\nload my.elf\n{lines}");
    let vm = vmconf::parse("vm.conf", &text).unwrap();
    let image = executable(machine);
    let contents: Vec<_> = vm.loads.iter().zip([image.as_slice()]).collect();
    let images = Images {
        folder: Path::new("images"),
        machine: None,
    };
    let laid_out = images.lay_out(&contents, Some(&vm));
    laid_out
        .map_err(|errors| Diagnostics::new(vm.source.clone(), errors).to_string())
        .err()
        .unwrap_or_default()
}

#[test]
fn a_line_of_the_gic_is_one_for_a_device() {
    for line in [32, 34, 127] {
        let text = format!("vdev pl031 loc 0x1c170000 intr gic:{line}\n");
        assert_eq!(said(AARCH64, &text), "");
    }
    for line in [0, 15, 27, 31, 128, 1019] {
        let text = format!("vdev pl031 loc 0x1c170000 intr gic:{line}\n");
        let said = said(AARCH64, &text);
        let title = format!("error: the GIC has no line {line} for a device");
        assert!(said.starts_with(&title), "{said}");
        assert!(said.contains("its INTIDs for devices are 32 to 127"));
    }
}

#[test]
fn a_vm_without_an_interrupt_controller_connects_nothing() {
    let said = said(X86_64, "vdev mc146818 loc 0x70 intr 8\n");
    assert!(said.starts_with("error: this VM has no interrupt controller"));
    assert!(said.contains("it is an x86_64 VM"), "{said}");
}

#[test]
fn nothing_else_is_where_the_gic_is() {
    for (line, what) in [
        ("vdev trace loc 0x8000ffc\n", "this `vdev trace`"),
        ("vdev pl011 loc 0x8011000\n", "this `vdev pl011`"),
        ("ram 0x7fff000,0x2000\n", "the RAM"),
    ] {
        let found = said(AARCH64, line);
        let title = format!("error: {what} overlaps the GIC");
        assert!(found.starts_with(&title), "{found}");
        assert!(found.contains("an aarch64 VM has the GIC's "), "{found}");
        assert_eq!(said(X86_64, line), "");
    }
    for line in [
        "vdev trace loc 0x7fffffc\n",
        "vdev trace loc 0x8001000\n",
        "vdev trace loc 0x8012000\n",
    ] {
        assert_eq!(said(AARCH64, line), "");
    }
}
