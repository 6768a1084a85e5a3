//! What the compiler of configurations says of the files that `load` names, and the VMM that gets what
//! it lays out.

use crate::script::Script;
use crate::targets::a64_cpu::A64Cpu;
use crate::targets::vm::{MachineState, RAM, Vm, read_ram};
use guest_access::GuestPhysAddr;
use std::path::Path;
use vmconf::images::{Images, Machine};
use vmconf::{Colour, Diagnostics};

const HEADER_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;

pub(crate) fn run(input: &[u8]) {
    check(input, b"data", RAM.base + 0x4000);
    let mut script = Script::new(input);
    let at = RAM.base.wrapping_add(script.number());
    check(&elf(&mut script), input, at);
}

/// A file with a good header and as many segments as the script describes.
fn elf(script: &mut Script<'_>) -> Vec<u8> {
    let segments = usize::from(script.byte() % 4);
    let mut file = vec![0; HEADER_BYTES + segments * SEGMENT_BYTES];
    // ELF, 64-bit, little-endian, version 1; an executable for AArch64, version 1.
    file[..24].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0\x01\0\0\0");
    let mut set = |at: usize, value: u64, len: usize| {
        file[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
    };
    set(24, script.number(), 8);
    set(32, HEADER_BYTES as u64, 8);
    set(52, HEADER_BYTES as u64, 2);
    set(54, SEGMENT_BYTES as u64, 2);
    set(56, segments as u64, 2);
    for segment in 0..segments {
        let at = HEADER_BYTES + segment * SEGMENT_BYTES;
        // PT_LOAD, or any other type; then offset, address and sizes.
        set(at, 1 + u64::from(script.byte() & 1), 4);
        set(at + 8, script.number(), 8);
        set(at + 24, RAM.base.wrapping_add(script.number()), 8);
        set(at + 32, script.number(), 8);
        set(at + 40, script.number(), 8);
    }
    // A field of the header may be wrong as well.
    let (field, value) = (usize::from(script.byte()), script.byte());
    if field < HEADER_BYTES {
        file[field] ^= value;
    }
    file.extend_from_slice(script.rest());
    file
}

/// An ELF file and another file at an address.
fn check(elf: &[u8], data: &[u8], at: u64) {
    let text = format!(
        "system fuzz\nram {:#x},{:#x}\nload guest load {at:#x},data\n",
        RAM.base, RAM.len_bytes
    );
    let vm = vmconf::parse("vm.conf", &text).expect("it is right");
    let images = [(&vm.loads[0], elf), (&vm.loads[1], data)];
    let lay_out = |machine, vm_of| {
        let folder = Path::new("");
        Images { folder, machine }.lay_out(&images, vm_of)
    };
    let laid_out = lay_out(Some(Machine::Aarch64), Some(&vm));
    match laid_out {
        Ok((laid_out, region)) => {
            assert!(lay_out(None, Some(&vm)).is_ok());
            assert!(lay_out(Some(Machine::Aarch64), None).is_ok());
            let blob = vm
                .encode(0, &laid_out)
                .expect("what is laid out can be read");
            let started = Vm::<A64Cpu>::of_blob(&blob, &region).expect("it was read");
            assert_eq!(started.machine.state, MachineState::Running);
            let mut in_ram = vec![0; data.len()];
            assert!(read_ram(GuestPhysAddr(at), &mut in_ram) && in_ram == data);
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            let told = Diagnostics::new(vm.source.clone(), errors).render(Colour::Never);
            assert!(told.starts_with("error: the image"));
        }
    }
}
