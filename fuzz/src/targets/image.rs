//! The loader of the guest's ELF image, by way of the VMM that calls it.

use crate::script::Script;
use crate::targets::a64_cpu::A64Cpu;
use crate::targets::vm::{MachineState, RAM, Vm};

const HEADER_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;

pub(crate) fn run(input: &[u8]) {
    check(input);
    check(&elf(&mut Script::new(input)));
}

/// A file with a good header and as many segments as the script describes.
pub(crate) fn elf(script: &mut Script<'_>) -> Vec<u8> {
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

fn check(image: &[u8]) {
    let mut vm = Vm::<A64Cpu>::start(image);
    match vm.machine.state {
        MachineState::Running => {
            assert_eq!(vm.machine.starts, 1);
            assert_eq!(vm.ends(), 0);
        }
        // Everybody who is told has room, so nothing is waited for.
        MachineState::Held => {
            assert_eq!(vm.machine.starts, 0);
            assert_eq!(vm.ends(), 1);
        }
    }
}
