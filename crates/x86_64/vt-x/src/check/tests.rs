//! The numbers here are the manual's, not this crate's.

extern crate std;

use super::*;
use std::collections::BTreeSet;
use std::vec::Vec;
use x86_guest::{ControlRegisters, Mode, written_efer};

const HOLES: [u64; 4] = [0x8000_0000_0000, 0xffff_7fff_ffff_ffff, 1 << 63, 1 << 48];

#[track_caller]
fn takes(field: Field, values: &[u64]) {
    for &value in values {
        assert_eq!(may_write(field, value), Ok(()), "{field:x?} {value:#x}");
    }
}

#[track_caller]
fn refuses(field: Field, values: &[u64]) {
    for &value in values {
        assert!(may_write(field, value).is_err(), "{field:x?} {value:#x}");
    }
}

#[test]
fn a_base_is_canonical_where_it_has_64_bits_and_has_32_elsewhere() {
    let tables_and_entries = [0x6816, 0x6818, 0x6824, 0x6826];
    let long_segments = [0x680e, 0x6810, 0x6812, 0x6814];
    for field in tables_and_entries.into_iter().chain(long_segments) {
        takes(Field(field), &[0, 0x7fff_ffff_ffff, u64::MAX << 47]);
        refuses(Field(field), &HOLES);
    }
    for field in [0x6806, 0x6808, 0x680a, 0x680c] {
        takes(Field(field), &[0, 0xffff_ffff]);
        refuses(Field(field), &[1 << 32, u64::MAX]);
    }
    // Limits of GDTR and IDTR.
    for field in [0x4810, 0x4812] {
        takes(Field(field), &[0, 0xffff]);
        refuses(Field(field), &[0x1_0000, u64::MAX]);
    }
}

#[test]
fn the_registers_of_syscall_are_what_wrmsr_takes() {
    for register in [0xc000_0082, 0xc000_0083] {
        for address in HOLES {
            assert!(may_load(register, address).is_err(), "{address:#x}");
        }
        for address in [0, 0x7fff_ffff_ffff, 0xffff_8000_0000_0000] {
            assert_eq!(may_load(register, address), Ok(()));
        }
    }
    assert_eq!(may_load(0xc000_0081, u64::MAX), Ok(()));
    assert_eq!(may_load(0xc000_0084, 0xffff_ffff), Ok(()));
    assert!(may_load(0xc000_0084, 1 << 32).is_err());
    // EFER, KERNEL_GS_BASE, and those that the kernel would not know.
    for register in [0xc000_0080, 0xc000_0102, 0, u32::MAX] {
        assert!(may_load(register, 0).is_err());
    }
}

#[test]
fn controls_are_ours_and_neither_none_nor_all_of_them() {
    for (field, ours) in [
        (0x4000, 0x40),
        (0x4002, 0x2098_0c80),
        (0x401e, 0xc0),
        (0x4004, 1 << 1 | 1 << 17),
    ] {
        takes(Field(field), &[ours]);
        refuses(Field(field), &[0, u64::MAX, 0xffff_ffff]);
        // TSC offsetting, which flips at each entry.
        let is_free = |bit| (field, bit) == (0x4002, 3);
        for bit in (0..32).filter(|bit| !is_free(*bit)) {
            refuses(Field(field), &[ours ^ 1 << bit]);
        }
    }
    takes(Field(0x4002), &[0x2098_0c88]);
    // IA-32e mode is the guest's.
    takes(Field(0x4012), &[0xc000, 0xc200]);
    refuses(Field(0x4012), &[0, 0xffff_ffff, 0xc400, 0xc800, 0xe200]);
    takes(Field(0x482e), &[1, 0xffff_ffff]);
    refuses(Field(0x482e), &[0, 1 << 32]);
}

#[test]
fn a_guest_is_active_and_held_back_by_one_thing() {
    takes(Field(0x4826), &[0]);
    // HLT, shutdown, waiting for a start-up IPI, which nothing ends.
    refuses(Field(0x4826), &[1, 2, 3, 4]);
    takes(Field(0x4824), &[0, 1, 2, 8]);
    refuses(Field(0x4824), &[3, 4, 16, 1 << 5, 1 << 31]);
    takes(Field(0x6822), &[0, 1 << 14]);
    refuses(Field(0x6822), &[1 << 4, 1 << 13, 1 << 15, 1 << 17]);
    takes(Field(0x4018), &[0, 0x7fff]);
    refuses(Field(0x4018), &[0x8000, 1 << 31]);
}

#[test]
fn reserved_bits_of_registers_are_refused() {
    takes(Field(0x6820), &[2, 0x202, 0x24_0302]);
    refuses(
        Field(0x6820),
        &[0, 0x22, 0xa, 0x8002, 1 << 22 | 2, 1 << 63 | 2],
    );
    takes(Field(0x681a), &[0x400]);
    refuses(Field(0x681a), &[0, 1 << 32 | 0x400]);
    takes(
        Field(0x2804),
        &[0x0007_0406_0007_0406, 0x0105_0000_0000_0000],
    );
    refuses(Field(0x2804), &[2, 3, 8, 0x80 << 56]);
    takes(Field(0x2806), &[0, 0xd01]);
    refuses(Field(0x2806), &[1 << 1, 1 << 12, 1 << 63]);
    takes(Field(0x6800), &[0x30, 0x8001_0031]);
    refuses(Field(0x6800), &[1 << 32, 0x8000_0030, 0x2000_0031]);
    takes(Field(0x6804), &[0, 0x7bf]);
    // MCE, VMXE, PCIDE, OSXSAVE, LA57.
    for bit in [6, 12, 13, 17, 18, 32] {
        refuses(Field(0x6804), &[1 << bit]);
    }
    takes(Field(0x6802), &[0, 0x000f_ffff_ffff_f000]);
    refuses(Field(0x6802), &[1 << 52, 1 << 63]);
    // No bit of CR0 is the guest's, of CR4 one.
    refuses(Field(0x6000), &[u64::MAX << 1, 0]);
    takes(Field(0x6002), &[!0x80]);
    refuses(Field(0x6002), &[!0x88, 0]);
    for field in [0x280a, 0x280c, 0x280e, 0x2810] {
        takes(Field(field), &[0, 0x4000_0e19, 0x1e6]);
        refuses(Field(field), &[0x4000_0003, 0x21, 1 << 63 | 1]);
    }
}

#[test]
fn a_segment_is_of_the_kind_that_its_register_wants() {
    let rights = |index: u32| Field(0x4814 + 2 * index);
    let (es, cs, ss, fs, ldtr, tr) = (0, 1, 2, 4, 6, 7);
    takes(rights(cs), &[0xa09b, 0xc09b, 0x9f, 0x93]);
    // Data that cannot be written, unusable, absent, both L and D, a system segment.
    refuses(rights(cs), &[0x91, 0x1_0000, 0xa01b, 0xe09b, 0x8b]);
    takes(rights(ss), &[0xc093, 0x97]);
    refuses(rights(ss), &[0xc09b, 0x1_0000, 0xc091]);
    for data in [es, fs] {
        takes(rights(data), &[0xc093, 0x9b, 0x1_0000]);
        // Not accessed; code that cannot be read.
        refuses(rights(data), &[0xc092, 0x99]);
    }
    takes(rights(ldtr), &[0x82, 0x1_0000]);
    refuses(rights(ldtr), &[0x8b, 0xc093]);
    takes(rights(tr), &[0x8b]);
    // A task of 16 bits, one that is not under way, none.
    refuses(rights(tr), &[0x83, 0x89, 0x1_0000]);
    for register in 0..8 {
        refuses(rights(register), &[0x19b, 1 << 17, u64::MAX]);
        refuses(Field(0x800 + 2 * register), &[0x1_0000]);
        refuses(Field(0x4800 + 2 * register), &[1 << 32]);
    }
}

#[test]
fn fields_that_nobody_sets_are_refused_whatever_they_get() {
    // RIP, which the entry brings; the link pointer, SMBASE, exit controls, what only hosts have.
    for field in [
        0x681e,
        0x2800,
        0x4828,
        0x400c,
        0x6c00,
        0x810,
        0x4824 + 1,
        u32::MAX,
    ] {
        refuses(Field(field), &[0]);
    }
}

#[test]
fn neither_64_bit_code_nor_a_task_of_16_bits_enters_long_mode() {
    assert!(may_enter_ia32e_mode(0xc09b, 0x8b));
    assert!(may_enter_ia32e_mode(0x9b, 0x8b));
    assert!(!may_enter_ia32e_mode(0xa09b, 0x8b));
    // L and D, which no 64-bit code has, but 32-bit code may.
    assert!(!may_enter_ia32e_mode(0xe09b, 0x8b));
    assert!(!may_enter_ia32e_mode(0xc09b, 0x83));
}

#[test]
fn modes_that_do_not_go_together_are_refused() {
    const IA32E: u64 = 0xc200;
    const LEGACY: u64 = 0xc000;
    let judged = |cr0, cr4, efer, controls| ModeRegisters { cr0, cr4, efer }.are_taken(controls);
    assert!(judged(0x8001_0031, 0x20, 0xd00, IA32E).is_ok());
    assert!(judged(0x30, 0, 0, LEGACY).is_ok());
    // Unpaged with LME: long mode is only prepared.
    assert!(judged(0x31, 0x20, 0x100, LEGACY).is_ok());
    for (cr0, cr4, efer, controls) in [
        (0x8000_0030, 0, 0, LEGACY),
        (0x31, 0x20, 0xd00, IA32E),
        (0x8001_0031, 0, 0xd00, IA32E),
        (0x8001_0031, 0x20, 0xd00, LEGACY),
        (0x8001_0031, 0x20, 0x100, LEGACY),
        (0x8001_0031, 0x20, 0x100, IA32E),
        (0x8001_0031, 0x20, 0x400, IA32E),
        (0x8001_0031, 0x2_0020, 0, LEGACY),
    ] {
        let found = judged(cr0, cr4, efer, controls);
        assert!(found.is_err(), "{cr0:#x} {cr4:#x} {efer:#x} {controls:#x}");
    }
}

/// Whatever a guest writes to CR0, CR4 and EFER, in whatever order and kind of code.
#[test]
fn no_writes_of_a_guest_lead_to_registers_that_an_entry_refuses() {
    let bits = |bits: &[u32]| -> Vec<u64> {
        let numbers = 0..1_u32 << bits.len();
        let of = |number: u32| {
            let set = bits.iter().enumerate();
            set.filter(|(index, _)| number >> index & 1 != 0)
                .fold(0, |value, (_, bit)| value | 1 << bit)
        };
        numbers.map(of).collect()
    };
    // PE, TS, NE, NW, CD, PG and one beyond; PSE, PAE, MCE, VMXE, PCIDE, OSXSAVE; SCE, LME, LMA,
    // NXE, SVME and one beyond.
    let of_cr0 = bits(&[0, 3, 5, 29, 30, 31, 32]);
    let of_cr4 = bits(&[4, 5, 6, 13, 17, 18]);
    let of_efer = bits(&[0, 8, 10, 11, 12, 63]);
    let start = ControlRegisters {
        cr0: 0x8001_0031,
        cr4: 0x20,
        efer: 0xd00,
    };
    let key = |control: &ControlRegisters| (control.cr0, control.cr4, control.efer);
    let mut seen = BTreeSet::from([key(&start)]);
    let mut open = Vec::from([start]);
    while let Some(control) = open.pop() {
        // CPUs check IA-32e mode's code: there is 64-bit code in no other.
        let modes: &[Mode] = match control.is_long() {
            true => &[Mode::Long, Mode::Protected, Mode::Real],
            false => &[Mode::Protected, Mode::Real],
        };
        let mut next = Vec::new();
        for &mode in modes {
            next.extend(of_cr0.iter().filter_map(|&cr0| control.with_cr0(cr0, mode)));
            next.extend((0..16).filter_map(|status| control.with_machine_status(status, mode)));
        }
        next.extend(of_cr4.iter().filter_map(|&cr4| control.with_cr4(cr4)));
        next.extend(of_efer.iter().filter_map(|&written| {
            let efer = written_efer(control.efer, written, control.cr0)?;
            Some(ControlRegisters { efer, ..control })
        }));
        next.push(control.with_ts_clear());
        for control in next {
            let ControlRegisters { cr0, cr4, efer } = control;
            let controls = 0xc000 | if control.is_long() { 0x200 } else { 0 };
            takes(Field(0x6800), &[cr0]);
            takes(Field(0x6804), &[cr4]);
            takes(Field(0x2806), &[efer]);
            takes(Field(0x4012), &[controls]);
            let judged = ModeRegisters { cr0, cr4, efer }.are_taken(controls);
            assert_eq!(judged, Ok(()), "{control:x?}");
            if seen.insert(key(&control)) {
                open.push(control);
            }
        }
    }
    assert!(seen.len() > 500, "{}", seen.len());
}
