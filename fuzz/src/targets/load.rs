//! What the compiler of configurations says of the guest's ELF file, and the VMM that gets what it
//! lets through.

use crate::script::Script;
use crate::targets::a64_cpu::A64Cpu;
use crate::targets::image;
use crate::targets::vm::{MachineState, RAM, Vm};
use std::path::Path;
use vdev_trace::vms::image::{Images, Machine};
use vmconf::{Colour, Diagnostics};

pub(crate) fn run(input: &[u8]) {
    check(input);
    check(&image::elf(&mut Script::new(input)));
}

fn check(elf: &[u8]) {
    let text = format!(
        "system fuzz\nram {:#x},{:#x}\nload guest\n",
        RAM.base, RAM.len_bytes
    );
    let vm = vmconf::parse("vm.conf", &text).expect("it is right");
    let check = |machine, vm_of| {
        let folder = Path::new("");
        let images = Images { folder, machine };
        images.check(elf, &vm.load, vm_of)
    };
    let said = check(Some(Machine::Aarch64), Some(&vm));
    let for_any = check(None, Some(&vm));
    let without_vm = check(Some(Machine::Aarch64), None);
    match said {
        Ok(()) => {
            assert!(for_any.is_ok() && without_vm.is_ok());
            let started = Vm::<A64Cpu>::start(elf);
            assert_eq!(started.machine.state, MachineState::Running);
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            let told = Diagnostics::new(vm.source.clone(), errors).render(Colour::Never);
            assert!(told.starts_with("error: the image `guest` "));
        }
    }
}
