//! What an exit means: the basic exit reason and its qualification, as they are in the VMCS.
//!
//! [`memory_access`] is called on every access of a guest to a device, [`cause`] on every other
//! exit, [`left_by`] where an exception or interrupt left the guest. Invariant: any reason and
//! any qualification mean something, if only [`Cause::Other`].
//!
//! Specification: Intel SDM volume 3, chapter "VM Exits", appendix C (basic exit reasons).

use crate::event::{Event, vector};
use guest_access::{AccessWidth, Direction};

/// The basic exit reason of an EPT violation.
pub const EPT_VIOLATION: u64 = 48;

/// Why a guest was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The VMX-preemption timer has run out.
    TurnEnded,
    /// An exception that the bitmap names, or an NMI: see [`left_by`].
    ExceptionOrNmi,
    /// CPUID.
    Cpuid,
    /// RDMSR.
    ReadMsr,
    /// WRMSR.
    WriteMsr,
    /// MOV to or from a control register, CLTS, LMSW.
    ControlRegister(ControlRegisterAccess),
    /// MOV to or from a debug register.
    DebugRegister {
        /// Its number.
        number: u8,
    },
    /// IN or OUT.
    Port {
        /// The first port.
        port: u16,
        /// Whether it writes.
        direction: Direction,
        /// How many ports.
        width: AccessWidth,
    },
    /// HLT.
    Halt,
    /// VMCALL.
    Call,
    /// The triple fault.
    TripleFault,
    /// INS, OUTS, and instructions that a guest does not have.
    Instruction,
    /// Anything else, also that the hardware refuses what the guest has made of its registers.
    Other {
        /// The basic exit reason.
        reason: u64,
    },
}

/// How a control register is accessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlRegisterAccess {
    /// MOV to it.
    Write {
        /// The control register's number.
        number: u8,
        /// The general register's.
        from: u8,
    },
    /// MOV from it.
    Read {
        /// The control register's number.
        number: u8,
        /// The general register's.
        to: u8,
    },
    /// CLTS.
    ClearTs,
    /// LMSW.
    LoadMachineStatus {
        /// The operand.
        status: u16,
    },
}

/// Who made an access that the EPT does not translate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MadeBy {
    /// A load or store of the instruction at RIP, or the delivery of an event before it, which
    /// looks the same.
    Instruction,
    /// The fetch of the instruction.
    Fetch,
    /// The CPU by itself, which walked the guest's tables.
    Processor,
}

/// What exception or interrupt left a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// An NMI, which is the machine's.
    Nmi,
    /// #DB or #AC, which the guest caused and is to have.
    Exception {
        /// Its vector.
        vector: u8,
    },
    /// INT1, an instruction.
    Int1,
}

/// What `reason` and its qualification say, of every reason but [`EPT_VIOLATION`].
pub const fn cause(reason: u64, qualification: u64) -> Cause {
    match reason {
        0 => Cause::ExceptionOrNmi,
        2 => Cause::TripleFault,
        10 => Cause::Cpuid,
        12 => Cause::Halt,
        18 => Cause::Call,
        28 => Cause::ControlRegister(control_register(qualification)),
        29 => Cause::DebugRegister {
            number: (qualification & 7) as u8,
        },
        30 => port(qualification),
        31 => Cause::ReadMsr,
        32 => Cause::WriteMsr,
        52 => Cause::TurnEnded,
        // GETSEC, INVD, RDPMC; VMCLEAR, VMLAUNCH, VMPTRLD, VMPTRST, VMREAD, VMRESUME, VMWRITE,
        // VMXOFF, VMXON; MWAIT, MONITOR, INVEPT, RDTSCP, INVVPID, WBINVD, XSETBV.
        11 | 13 | 15 | 19..=27 | 36 | 39 | 50 | 51 | 53..=55 => Cause::Instruction,
        reason => Cause::Other { reason },
    }
}

/// What the qualification of an EPT violation says.
#[inline(always)]
pub const fn memory_access(qualification: u64) -> (Direction, MadeBy) {
    const WRITE: u64 = 1 << 1;
    const FETCH: u64 = 1 << 2;
    // A linear address led there, and it is what that address translates to.
    const BY_INSTRUCTION: u64 = 1 << 7 | 1 << 8;
    let direction = if qualification & WRITE != 0 {
        Direction::Write
    } else {
        Direction::Read
    };
    let made_by = if qualification & BY_INSTRUCTION != BY_INSTRUCTION {
        MadeBy::Processor
    } else if qualification & FETCH != 0 {
        MadeBy::Fetch
    } else {
        MadeBy::Instruction
    };
    (direction, made_by)
}

/// What the VM-exit interruption information says, where it is the reason of the exit.
pub const fn left_by(information: u64) -> Left {
    let event = Event(information);
    match event.hardware_exception() {
        Some(vector::ALIGNMENT_CHECK) => Left::Exception {
            vector: vector::ALIGNMENT_CHECK,
        },
        Some(_) => Left::Exception {
            vector: vector::DEBUG,
        },
        None if event.is_nmi() => Left::Nmi,
        None => Left::Int1,
    }
}

const fn control_register(qualification: u64) -> ControlRegisterAccess {
    let number = (qualification & 0xf) as u8;
    let general = (qualification >> 8 & 0xf) as u8;
    match qualification >> 4 & 0b11 {
        0 => ControlRegisterAccess::Write {
            number,
            from: general,
        },
        1 => ControlRegisterAccess::Read {
            number,
            to: general,
        },
        2 => ControlRegisterAccess::ClearTs,
        _ => ControlRegisterAccess::LoadMachineStatus {
            status: (qualification >> 16) as u16,
        },
    }
}

const fn port(qualification: u64) -> Cause {
    const IN: u64 = 1 << 3;
    const STRING: u64 = 1 << 4;
    if qualification & STRING != 0 {
        return Cause::Instruction;
    }
    Cause::Port {
        port: (qualification >> 16) as u16,
        direction: if qualification & IN != 0 {
            Direction::Read
        } else {
            Direction::Write
        },
        width: match qualification & 0b111 {
            0 => AccessWidth::Byte,
            1 => AccessWidth::Halfword,
            _ => AccessWidth::Word,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_is_an_instructions_only_if_its_linear_address_led_there_by_itself() {
        let read = (Direction::Read, MadeBy::Instruction);
        assert_eq!(memory_access(0x181), read);
        let write = (Direction::Write, MadeBy::Instruction);
        assert_eq!(memory_access(0x182), write);
        // A read-modify-write says both.
        assert_eq!(memory_access(0x183), write);
        assert_eq!(memory_access(0x184).1, MadeBy::Fetch);
        // A table on the way, read or marked as accessed; and no linear address at all.
        assert_eq!(memory_access(0x81), (Direction::Read, MadeBy::Processor));
        assert_eq!(memory_access(0x82), (Direction::Write, MadeBy::Processor));
        assert_eq!(memory_access(0x1), (Direction::Read, MadeBy::Processor));
    }

    #[test]
    fn ports_have_a_width_and_a_direction_and_strings_are_refused() {
        let port = |port, direction, width| Cause::Port {
            port,
            direction,
            width,
        };
        let (read, write) = (Direction::Read, Direction::Write);
        assert_eq!(
            cause(30, 0x03f8_0000),
            port(0x3f8, write, AccessWidth::Byte)
        );
        assert_eq!(cause(30, 0x03fd_0008), port(0x3fd, read, AccessWidth::Byte));
        assert_eq!(
            cause(30, 0xffff_0049),
            port(0xffff, read, AccessWidth::Halfword)
        );
        assert_eq!(
            cause(30, 0x0cf8_0003),
            port(0xcf8, write, AccessWidth::Word)
        );
        assert_eq!(cause(30, 0x0080_0010), Cause::Instruction);
        assert_eq!(cause(30, 0x0080_0038), Cause::Instruction);
    }

    #[test]
    fn control_registers_are_written_read_or_changed_by_instructions_of_their_own() {
        let access = |qualification| match cause(28, qualification) {
            Cause::ControlRegister(access) => access,
            other => panic!("{other:?}"),
        };
        let (number, from) = (4, 15);
        assert_eq!(access(0xf04), ControlRegisterAccess::Write { number, from });
        let (number, to) = (8, 4);
        assert_eq!(access(0x418), ControlRegisterAccess::Read { number, to });
        assert_eq!(access(0x20), ControlRegisterAccess::ClearTs);
        let status = 0x8000;
        assert_eq!(
            access(0x8000_0030),
            ControlRegisterAccess::LoadMachineStatus { status }
        );
        assert_eq!(cause(29, 0x317), Cause::DebugRegister { number: 7 });
    }

    #[test]
    fn int1_is_neither_an_exception_nor_the_machines() {
        let exception = |vector| Left::Exception { vector };
        assert_eq!(left_by(0x8000_0301), exception(1));
        assert_eq!(left_by(0x8000_0b11), exception(17));
        assert_eq!(left_by(0x8000_0202), Left::Nmi);
        assert_eq!(left_by(0x8000_0501), Left::Int1);
    }

    #[test]
    fn every_reason_means_something() {
        for reason in 0..=0xffff {
            let _ = cause(reason, u64::MAX);
        }
        // The guest's state is invalid; the entry was refused.
        assert_eq!(cause(33, 0), Cause::Other { reason: 33 });
        let reason = 0xffff_ffff;
        assert_eq!(cause(reason, 0), Cause::Other { reason });
        // VMREAD, RDTSCP, XSETBV; INVLPG is the guest's own.
        for reason in [23, 51, 55] {
            assert_eq!(cause(reason, 0), Cause::Instruction);
        }
        assert_eq!(cause(14, 0), Cause::Other { reason: 14 });
    }
}
