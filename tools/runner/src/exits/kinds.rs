//! What kind an exit is of, in words: an interrupt, a device's register, a group of system registers.
//!
//! Called by `exits`, which adds up the exits of each kind. Invariant: an exit that cannot be told has a kind of its
//! own that says so.
//!
//! Specification: Arm ARM D24.2.40, "ISS encoding for an exception from MSR, MRS, or System instruction execution", D23
//! (the registers' places); Arm BSA, "PPI assignments" (the numbers of interrupts).

use super::log::Cause;
use super::places::Places;
use a64_guest::syndrome::{CallInstruction, Trap, decode};
use guest_access::{Direction, GuestPhysAddr};

/// The kind of an exit.
pub(super) fn kind(cause: &Cause, places: &Places) -> String {
    match *cause {
        Cause::Interrupt(Some(number)) => match interrupt(number) {
            Some(name) => format!("interrupt {number}, {name}"),
            None => format!("interrupt {number}"),
        },
        Cause::Interrupt(None) => "interrupt that was gone".into(),
        Cause::Instruction { syndrome, address } => instruction(syndrome, address, places),
    }
}

/// Whose an interrupt is that each CPU has of its own.
const fn interrupt(number: u32) -> Option<&'static str> {
    Some(match number {
        25 => "the virtual interrupts' maintenance",
        26 => "the hypervisor's timer",
        27 => "the guest's timer",
        30 => "the physical timer",
        _ => return None,
    })
}

fn instruction(syndrome: u64, address: Option<u64>, places: &Places) -> String {
    // The physical address is not in the log.
    match decode(syndrome, GuestPhysAddr(0), 0) {
        Trap::Access(access) => accessed(access.direction, address, places),
        Trap::Undescribed { direction, .. } => accessed(direction, address, places),
        Trap::CacheMaintenance => "cache maintenance".into(),
        Trap::TableWalk { .. } => "translation table outside RAM".into(),
        Trap::MemoryError { .. } => "memory error".into(),
        Trap::FetchAbort { .. } => "instruction outside RAM".into(),
        Trap::Call { instruction, .. } => match instruction {
            CallInstruction::Hvc => "call (HVC)".into(),
            CallInstruction::Smc => "call (SMC)".into(),
        },
        Trap::SystemRegister { iss } => format!("system registers: {}", register_group(iss)),
        Trap::Unavailable { class } => format!("instruction the VM does not have (EC {class:#x})"),
        Trap::Wait => "waiting (WFI, WFE)".into(),
        Trap::Other { class } => format!("exception class {class:#x}"),
    }
}

fn accessed(direction: Direction, address: Option<u64>, places: &Places) -> String {
    let what = match direction {
        Direction::Read => "read",
        Direction::Write => "written",
    };
    let mapped = address.filter(|address| places.physical(*address).is_some());
    let device = match mapped {
        Some(address) => places.device(address).unwrap_or("outside a device"),
        // Linux looks at the identification of a primecell by a mapping of its own.
        None => "what is not mapped any more",
    };
    format!("{device}, {what}")
}

/// What a system register is for.
const fn register_group(iss: u32) -> &'static str {
    let (op0, op1) = (iss >> 20 & 3, iss >> 14 & 7);
    let (crn, crm) = (iss >> 10 & 0xf, iss >> 1 & 0xf);
    match (op0, op1, crn, crm) {
        (2, ..) => "debug",
        (3, _, 9, 12..=14) | (3, 3, 14, 8..=15) => "performance monitors",
        (3, 0 | 1, 0, _) => "identification",
        (3, 0, 12, 8..=12) | (3, 0, 4, 6) => "interrupt controller",
        (3, _, 14, _) => "timer",
        (1, ..) => "cache maintenance",
        _ => "others",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_instruction(syndrome: u64, address: Option<u64>) -> String {
        let devices = vec![("pl011".to_owned(), 0x900_0000..0x900_1000)];
        let vmallocinfo = "0xffff800009ac5000-0xffff800009ac7000    8192 a+0x1/0x2 phys=0x0000000009000000 ioremap";
        let places = Places::new(devices, vmallocinfo.lines());
        kind(&Cause::Instruction { syndrome, address }, &places)
    }

    #[test]
    fn an_access_is_of_the_device_and_in_its_direction() {
        // ISV, a word, translation fault of level 3; and the same with WnR.
        let (read, write) = (0x9382_0007, 0x9382_0047);
        let uart = Some(0xffff_8000_09ac_5018);
        assert_eq!(by_instruction(read, uart), "pl011, read");
        assert_eq!(by_instruction(write, uart), "pl011, written");
        let vmallocinfo = "0xffff800009ac5000-0xffff800009ac7000 8192 a phys=0x4000000 ioremap";
        let places = Places::new(Vec::new(), vmallocinfo.lines());
        assert_eq!(
            accessed(Direction::Read, uart, &places),
            "outside a device, read"
        );
        let told = "what is not mapped any more, read";
        assert_eq!(by_instruction(read, Some(0xffff_8000_09ac_7000)), told);
        assert_eq!(by_instruction(read, None), told);
    }

    #[test]
    fn system_registers_are_told_by_group() {
        // Arm ARM D23: ID_AA64PFR0_EL1 is 3 0 0 4 0, PMUSERENR_EL0 3 3 9 14 0, MDSCR_EL1 2 0 0 2 2,
        // OSLAR_EL1 2 0 1 0 4, ACTLR_EL1 3 0 1 0 1, PMCCFILTR_EL0 3 3 14 15 7.
        for (encoding, group) in [
            ((3, 0, 0, 4, 0), "identification"),
            ((3, 3, 9, 14, 0), "performance monitors"),
            ((3, 3, 14, 15, 7), "performance monitors"),
            ((2, 0, 0, 2, 2), "debug"),
            ((2, 0, 1, 0, 4), "debug"),
            ((3, 0, 1, 0, 1), "others"),
        ] {
            let (op0, op1, crn, crm, op2) = encoding;
            let iss: u64 = op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | crm << 1 | 1;
            let syndrome = 0x18 << 26 | 1 << 25 | iss;
            let wanted = format!("system registers: {group}");
            assert_eq!(by_instruction(syndrome, None), wanted, "{encoding:?}");
        }
    }

    #[test]
    fn waiting_and_calls_have_their_kinds() {
        // EC 0x01, 0x16, 0x17, with IL.
        assert_eq!(by_instruction(0x0600_0000, None), "waiting (WFI, WFE)");
        assert_eq!(by_instruction(0x5a00_0000, None), "call (HVC)");
        assert_eq!(by_instruction(0x5e00_0000, None), "call (SMC)");
    }

    #[test]
    fn an_interrupt_has_its_number_and_what_is_known_of_it() {
        let places = Places::new(Vec::new(), "".lines());
        let name = |cause| kind(&Cause::Interrupt(cause), &places);
        assert_eq!(name(Some(27)), "interrupt 27, the guest's timer");
        assert_eq!(name(Some(33)), "interrupt 33");
        assert_eq!(name(None), "interrupt that was gone");
    }
}
