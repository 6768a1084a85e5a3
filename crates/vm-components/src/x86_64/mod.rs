//! x86 in the work of a VMM: its exits, and what `architecture` asks.
//!
//! An exit says where an access went and whether it wrote; all else is in the instruction,
//! which x86-guest fetches, decodes and carries out. The guest may have rewritten it, its
//! tables or both since the CPU used them: what is decoded counts only if its operand is where
//! the CPU says the guest went. Whatever else it then does, it could have done by itself.
//!
//! ```text
//!   exit ─┬─ memory ─► fetch, decode ─► operand there? ─┬─ one access to a trace device: done
//!         │                 └── no ──► policy           └─ else Transfer: [read], [write]; of a
//!         │                                                string one element
//!         ├─ port ───► serial port, or nothing: policy reference
//!         ├─ HLT, VMMCALL or VMCALL
//!         └─ model-specific register, instruction: policy
//! ```
//!
//! Invariant: that of `vmm`. The exceptions of policy `fail`: #GP(0) for an access that
//! nothing answers or a register that is not there, #UD for an instruction that is not carried
//! out. No x86 CPU has an exception for an access that nothing on its bus answers; #GP is the
//! one that an operating system takes as its driver's fault.
//!
//! Specification: AMD APM volume 2, 8.2 (exceptions), 8.4.2 (page fault error code), 15.9
//! (intercepts); volume 3, IN, OUT, HLT, VMMCALL. Intel SDM volume 3, 6.15 (exceptions), 4.7
//! (page fault error code), chapters 26 (what leaves a guest) and 28 (VM exits), 31.3 (VMCALL);
//! volume 2, IN, OUT, HLT.

use crate::vmm::architecture::{Architecture, Isa};
use crate::vmm::image::{COMMAND_LINE_AREA, Start};
use crate::vmm::transfer::{Element, MAX_ELEMENTS, Place, SecondPage, Transfer};
use crate::vmm::{Answer, Attempt, Device};
use crate::{ImageError, Machine, Vmm};
use elf::abi::EM_X86_64;
use guest_trap::{Access, AccessWidth, Direction, Extension, Gpr, GuestPhysAddr};
use heapless::Vec;
use trace_records::{EndReason, Kind, Tag};
use vm_config::{Action, RamRange};
use x86_guest::{
    AccessCache, Found, Instruction, Operation, Paging, Recalled, Register, RegisterPart,
    Registers, Situation, fetch, instruction_len,
};

/// The x86 instruction set, in all its modes.
pub enum X86 {}

/// A virtual machine with an x86 vCPU.
pub trait X86Machine: Machine + Registers {
    /// Whether [`Self::situation`] costs nothing. Where CS must be asked for, the short way
    /// presumes it as long as that makes no difference.
    const SEES_CODE_SEGMENT: bool = true;

    /// Sets all 64 bits of a general register while the vCPU does not run.
    fn set_gpr(&mut self, number: u8, value: u64);

    /// Sets RFLAGS while the vCPU does not run.
    fn set_rflags(&mut self, value: u64);

    /// What decides what RIP means.
    fn situation(&self) -> Situation;

    /// The same, but CS is what it was when [`Self::situation`] was last called; equal if the
    /// machine [sees](Self::SEES_CODE_SEGMENT) it.
    fn presumed_situation(&self) -> Situation {
        self.situation()
    }

    /// CPL.
    fn privilege_level(&self) -> u8;

    /// What reads eight bytes of the guest's RAM, at an address that is a multiple of 8. All it
    /// needs it carries with it.
    fn ram_words(&self) -> impl Fn(GuestPhysAddr) -> Option<u64> + Copy + use<Self>;

    /// Makes the guest take an exception at the instruction that exited, and run on.
    fn inject(&mut self, exception: X86Exception);

    /// Sets the vCPU to its state at a VM's start, in 64-bit mode on these tables, and lets it
    /// run at `entry` with RDI and RSI.
    fn start(&mut self, entry: u64, page_tables: GuestPhysAddr, rdi: u64, rsi: u64);
}

/// An exit of the vCPU, as the hardware reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct X86Exit {
    /// RIP of the instruction that exited.
    pub rip: u64,
    /// RIP of the one after it, where the hardware tells.
    pub next_rip: Option<u64>,
    /// Why.
    pub reason: X86ExitReason,
}

/// Why an x86 vCPU left the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum X86ExitReason {
    /// Second-stage paging has no page for a load or store.
    Access {
        /// The guest-physical address.
        address: GuestPhysAddr,
        /// Whether it was going to change memory.
        direction: Direction,
    },
    /// Second-stage paging has no page for what the CPU did by itself: walking the guest's
    /// tables, delivering an exception.
    OwnAccess {
        /// The guest-physical address.
        address: GuestPhysAddr,
        /// Whether it was going to change memory.
        direction: Direction,
    },
    /// Second-stage paging has no page for an instruction fetch.
    Fetch {
        /// The guest-physical address.
        address: GuestPhysAddr,
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
    /// INS, OUTS, and instructions that a guest does not have here.
    Instruction,
    /// HLT.
    Halt,
    /// The call of the hypervisor: VMMCALL on AMD's CPUs, VMCALL on Intel's.
    Call,
    /// RDMSR, WRMSR or MOV DR of a register that the platform does not know.
    Register {
        /// Its number.
        number: u32,
    },
    /// The triple fault.
    Shutdown,
    /// Anything else.
    Other {
        /// The hardware's number for it.
        code: u64,
    },
}

/// An exception for an x86 guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum X86Exception {
    /// #UD.
    InvalidOpcode,
    /// #GP, error code 0.
    GeneralProtection,
    /// #PF.
    PageFault {
        /// For CR2.
        address: u64,
        /// Present, write, user.
        error_code: u32,
    },
}

/// How an x86 instruction ends.
pub struct X86End {
    instruction: Instruction,
    next_rip: u64,
}

const CR0_WP: u64 = 1 << 16;
const PAGE_BYTES: u64 = 4096;

/// The tables that a guest starts on: one of level 4, one of level 3, four of level 2.
pub(crate) const START_TABLES_BYTES: u64 = 6 * PAGE_BYTES;

/// Bits of a page fault's error code.
mod page_fault {
    pub const PRESENT: u32 = 1 << 0;
    pub const WRITE: u32 = 1 << 1;
    pub const USER: u32 = 1 << 2;
}

impl Vmm<X86> {
    /// Handles an exit of the vCPU.
    #[inline(always)]
    pub fn exit(&mut self, exit: X86Exit, machine: &mut impl X86Machine) {
        let done = match exit.reason {
            X86ExitReason::Access { address, direction } => {
                self.complete_access(address, direction, machine)
            }
            _ => false,
        };
        if !done {
            self.other_exit(exit, machine);
        }
    }

    /// The short way of [`Self::exit`]: completes one read or write of a trace device that was
    /// made before, if nothing stands against it. Returns whether it did; if not, nothing has
    /// happened.
    #[inline(always)]
    pub fn complete_access<M: X86Machine>(
        &mut self,
        address: GuestPhysAddr,
        direction: Direction,
        machine: &mut M,
    ) -> bool {
        let Some(Device::Trace(point)) = self.bus.find(address) else {
            return false;
        };
        let situation = machine.presumed_situation();
        let recalled = self.memory.recall(&situation, machine, machine.ram_words());
        let Some(Recalled {
            instruction,
            address: operand,
            reads_alike,
        }) = recalled
        else {
            return false;
        };
        let is_such = match direction {
            Direction::Read => !instruction.writes(),
            Direction::Write => !instruction.reads(),
        };
        if operand != address || !is_such {
            return false;
        }
        if !M::SEES_CODE_SEGMENT && !reads_alike && machine.situation() != situation {
            return false;
        }
        let access = access(address, instruction.width, direction, situation.rip);
        let Ok((current, lane)) = point.look(&access, &self.link) else {
            return false;
        };
        let value = match direction {
            Direction::Read => lane,
            // A store needs no value that was read.
            Direction::Write => match instruction.execute(0, machine).write {
                Some(value) => value as u32,
                None => return false,
            },
        };
        let attempt = point.record(&access, current, value, &mut self.link, machine);
        let Attempt::Done(_) = attempt else {
            return false;
        };
        if direction == Direction::Read {
            let effect = instruction.execute(lane.into(), machine);
            if let Some((number, value)) = effect.register {
                machine.set_gpr(number, value);
            }
            if let Some(rflags) = effect.rflags {
                machine.set_rflags(rflags);
            }
        }
        machine.proceed(situation.rip.wrapping_add(instruction.len.into()));
        true
    }

    /// Every exit that [`Self::complete_access`] has not handled.
    #[cold]
    pub fn other_exit<M: X86Machine>(&mut self, exit: X86Exit, machine: &mut M) {
        let rip = exit.rip;
        if !matches!(exit.reason, X86ExitReason::Halt) {
            self.idle = None;
        }
        match exit.reason {
            X86ExitReason::Access { address, direction } => {
                match self.plan(rip, address, direction, machine) {
                    Ok(transfer) => self.carry_out(transfer, 0, machine),
                    Err(Obstacle::PageFault(fault)) => machine.inject(fault),
                    Err(Obstacle::Unsupported) => {
                        self.record_refused(address, None, direction, rip, machine);
                        self.refuse_instruction(exit, address.0, machine);
                    }
                }
            }
            X86ExitReason::OwnAccess { address, direction } => {
                self.record_refused(address, None, direction, rip, machine);
                // There is no instruction to skip or to blame: the VM cannot go on.
                self.end(EndReason::MemoryError, address.0, rip, machine);
            }
            X86ExitReason::Port {
                port,
                direction,
                width,
            } => self.port(exit, port, direction, width, machine),
            X86ExitReason::Instruction => self.refuse_instruction(exit, 0, machine),
            X86ExitReason::Halt => match exit.after(machine) {
                Some(next) => self.wait(rip, next, machine),
                None => self.refuse_instruction(exit, 0, machine),
            },
            X86ExitReason::Call => {
                let function = machine.gpr(RAX);
                let arguments = [machine.gpr(RCX), machine.gpr(RDX)];
                // An Intel CPU lets user programs call as well: they have no business here.
                let next = exit.after(machine);
                let Some(next) = next.filter(|_| machine.privilege_level() == 0) else {
                    return self.refuse_instruction(exit, 0, machine);
                };
                match self.call(function, arguments, rip, machine) {
                    Some(Answer::Now(value)) => {
                        machine.set_gpr(RAX, value);
                        machine.proceed(next);
                    }
                    Some(Answer::AfterWaiting(value)) => {
                        machine.set_gpr(RAX, value);
                        self.wait(rip, next, machine);
                    }
                    None => {}
                }
            }
            X86ExitReason::Register { number } => {
                let action = self.config.unsupported().register;
                match (action, exit.after(machine)) {
                    (Action::Ignore, Some(next)) => machine.proceed(next),
                    (Action::Abort, _) => {
                        self.end(EndReason::UnsupportedRegister, number.into(), rip, machine);
                    }
                    _ => {
                        let exception = X86Exception::GeneralProtection;
                        self.inject(exception, number.into(), rip, machine);
                    }
                }
            }
            X86ExitReason::Fetch { address } => {
                self.end(EndReason::FetchAbort, address.0, rip, machine);
            }
            X86ExitReason::Shutdown => {
                self.end(EndReason::UnknownExit, 0, rip, machine);
            }
            X86ExitReason::Other { code } => {
                self.end(EndReason::UnknownExit, code, rip, machine);
            }
        }
    }

    /// Finds out what the instruction at `rip` does, if its operand is at `reported` and
    /// `direction` is one that it has.
    fn plan<M: X86Machine>(
        &mut self,
        rip: u64,
        reported: GuestPhysAddr,
        direction: Direction,
        machine: &mut M,
    ) -> Result<Transfer<X86End>, Obstacle> {
        let situation = machine.situation();
        let paging = situation.paging;
        let words = machine.ram_words();
        let found = self.memory.find(&situation, machine, words);
        if !M::SEES_CODE_SEGMENT {
            self.memory.compare_modes(&situation, words);
        }
        let found = found.ok_or(Obstacle::Unsupported)?;
        let Found {
            instruction,
            linear,
            written,
            ..
        } = found;
        let (reads, writes) = (instruction.reads(), instruction.writes());
        let (width, log2_bytes) = (instruction.width, instruction.width.log2());
        let mut elements: Vec<Element, MAX_ELEMENTS> = Vec::new();
        let mut add = |linear, direction, writes, value: u64| {
            let place = place(linear, &instruction, writes, paging, machine)?;
            let element = Element::new(place, Some(linear), direction, log2_bytes, value.into());
            // There are at most two.
            let _ = elements.push(element);
            Ok(())
        };
        if reads {
            add(linear, Direction::Read, writes && written.is_none(), 0)?;
        }
        if writes {
            let stored = instruction.execute(0, machine).write.unwrap_or(0) & width.mask();
            add(written.unwrap_or(linear), Direction::Write, true, stored)?;
        }
        // An emulator reports the reading half of what reads and writes at one place, a CPU the
        // writing one.
        let goes_there = |element: &Element| {
            let is_half = written.is_none() || element.direction == direction;
            is_half && element.virtual_address_of(reported).is_some()
        };
        let has_direction = match direction {
            Direction::Read => reads,
            Direction::Write => writes,
        };
        let is_told = match instruction.operation {
            // It goes there as a read does, and nothing comes of it.
            Operation::Flush => found.address == reported,
            _ => has_direction && elements.iter().any(goes_there),
        };
        if !is_told || instruction.is_over(machine) {
            return Err(Obstacle::Unsupported);
        }
        let end = X86End {
            instruction,
            next_rip: situation.next_rip(instruction.len),
        };
        Ok(Transfer::new(rip, elements, end))
    }

    /// IN or OUT.
    fn port<M: X86Machine>(
        &mut self,
        exit: X86Exit,
        port: u16,
        direction: Direction,
        width: AccessWidth,
        machine: &mut M,
    ) {
        let Some(next) = exit.after(machine) else {
            return self.refuse_instruction(exit, port.into(), machine);
        };
        let register = Register {
            number: RAX,
            part: match width {
                AccessWidth::Byte => RegisterPart::LowByte,
                AccessWidth::Halfword => RegisterPart::Word,
                _ => RegisterPart::Doubleword,
            },
        };
        let whole = machine.gpr(RAX);
        let serial = self.ports.find(GuestPhysAddr(port.into())).copied();
        let mut read = width.mask();
        match (serial, direction) {
            (Some(first), Direction::Read) if width == AccessWidth::Byte => {
                read = self.console.port_read(port - first, machine).into();
            }
            (Some(first), Direction::Write) if width == AccessWidth::Byte => {
                self.console.port_write(port - first, whole as u8, machine);
            }
            _ => {
                let tag = Tag::new(Kind::Outside).with_access(direction, Some(width));
                let address = GuestPhysAddr(port.into());
                let mut record = self.record(tag, address, exit.rip, machine);
                record.old = match direction {
                    Direction::Read => read as u32,
                    Direction::Write => register.of(whole) as u32,
                };
                self.link.push_outside(record, machine);
                let reason = EndReason::UnsupportedReference;
                match self.config.unsupported().reference {
                    Action::Ignore => {}
                    Action::Fail => {
                        let exception = X86Exception::GeneralProtection;
                        return self.inject(exception, port.into(), exit.rip, machine);
                    }
                    Action::Abort => return self.end(reason, port.into(), exit.rip, machine),
                }
            }
        }
        if direction == Direction::Read {
            machine.set_gpr(RAX, register.put(whole, read));
        }
        machine.proceed(next);
    }

    /// Policy `instruction`; `address` is what it was about.
    fn refuse_instruction<M: X86Machine>(&mut self, exit: X86Exit, address: u64, machine: &mut M) {
        let action = self.config.unsupported().instruction;
        match (action, exit.after(machine)) {
            (Action::Ignore, Some(next)) => machine.proceed(next),
            (Action::Abort, _) => {
                let reason = EndReason::UnsupportedInstruction;
                self.end(reason, address, exit.rip, machine);
            }
            _ => self.inject(X86Exception::InvalidOpcode, address, exit.rip, machine),
        }
    }
}

/// Why an access is not carried out.
enum Obstacle {
    /// Policy `instruction`.
    Unsupported,
    /// The guest's own affair.
    PageFault(X86Exception),
}

const RAX: u8 = 0;
const RCX: u8 = 1;
const RDX: u8 = 2;

impl Isa for X86 {
    type End = X86End;
    type Exception = X86Exception;
    type Memory = AccessCache;
    const ELF_MACHINE: u16 = EM_X86_64;
}

impl<M: X86Machine> Architecture<M> for X86 {
    fn advanced(transfer: &mut Transfer<X86End>, machine: &mut M) {
        let instruction = transfer.end.instruction;
        let read = transfer.first_value() as u64;
        if instruction.reads()
            && let Some(element) = transfer.next()
            && let Some(value) = instruction.execute(read, machine).write
        {
            element.set_value(value.into());
        }
    }

    fn finish(transfer: Transfer<X86End>, machine: &mut M) {
        let X86End {
            instruction,
            next_rip,
        } = transfer.end;
        let effect = instruction.execute(transfer.first_value() as u64, machine);
        let stepped = instruction.stepped(machine);
        let changed = effect.register.into_iter().chain(effect.second_register);
        for (number, value) in changed.chain(stepped.registers) {
            machine.set_gpr(number, value);
        }
        if let Some(rflags) = effect.rflags {
            machine.set_rflags(rflags);
        }
        // Between two elements of a string the guest may take an interrupt, as on a CPU.
        machine.proceed(if stepped.repeats {
            transfer.pc
        } else {
            next_rip
        });
    }

    fn unanswered(_: &Element, _: GuestPhysAddr, _: u64, _: &mut M) -> X86Exception {
        X86Exception::GeneralProtection
    }

    fn inject(exception: X86Exception, machine: &mut M) {
        machine.inject(exception);
    }

    /// Below the command line lie tables that map the first 4 GiB to themselves, in pages of
    /// 2 MiB.
    fn start(start: &Start, ram: RamRange, machine: &mut M) -> Result<(), ImageError> {
        const PRESENT_WRITABLE: u64 = 0b11;
        const LARGE: u64 = 1 << 7;
        // An entry of the vCPU with a RIP that no CPU has fails, which not every kernel survives.
        if start.entry.wrapping_sub(ram.base) >= ram.len_bytes {
            return Err(ImageError::OutsideRam(GuestPhysAddr(start.entry)));
        }
        let room = ram
            .len_bytes
            .checked_sub(COMMAND_LINE_AREA + START_TABLES_BYTES);
        let root = ram.base + room.ok_or(ImageError::NoRoomForCommandLine)?;
        let mut put = |table: u64, index: u64, entry: u64| {
            let place = GuestPhysAddr(root + table * PAGE_BYTES + index * 8);
            match machine.write_ram(place, &entry.to_le_bytes()) {
                true => Ok(()),
                false => Err(ImageError::NoRoomForCommandLine),
            }
        };
        put(0, 0, (root + PAGE_BYTES) | PRESENT_WRITABLE)?;
        for gigabyte in 0..4 {
            let table = 2 + gigabyte;
            put(1, gigabyte, (root + table * PAGE_BYTES) | PRESENT_WRITABLE)?;
            for index in 0..512 {
                let page = (gigabyte << 30) + (index << 21);
                put(table, index, page | PRESENT_WRITABLE | LARGE)?;
            }
        }
        let (address, len_bytes) = (start.command_line.0, start.command_line_len_bytes);
        machine.start(start.entry, GuestPhysAddr(root), address, len_bytes);
        Ok(())
    }
}

impl X86Exit {
    /// Where the guest goes on after the instruction that exited; `None` if its length cannot
    /// be found out.
    pub fn after(&self, machine: &impl X86Machine) -> Option<u64> {
        self.next_rip.or_else(|| {
            let situation = machine.situation();
            let (address, words) = (situation.linear_rip(), machine.ram_words());
            let code = fetch(&situation.paging, address, words)?;
            let len = instruction_len(&code, situation.mode())?;
            Some(situation.next_rip(len))
        })
    }
}

/// Where the bytes of an operand at a linear address are. The CPU has translated the first of them
/// and checked what the guest may do there, unless the instruction has two operands and it was the
/// other one that it could not go to; the rest obeys the guest's tables here. An emulator may
/// report the reading half of an instruction before it looks whether it may write.
fn place(
    linear: u64,
    instruction: &Instruction,
    writes: bool,
    paging: Paging,
    machine: &impl X86Machine,
) -> Result<Place, Obstacle> {
    let user = machine.privilege_level() == 3;
    let page_fault = |address, present| {
        let bit = |is_set, bit| if is_set { bit } else { 0 };
        let error_code = present | bit(writes, page_fault::WRITE) | bit(user, page_fault::USER);
        Obstacle::PageFault(X86Exception::PageFault {
            address,
            error_code,
        })
    };
    let words = machine.ram_words();
    let checked = |address| {
        let found = paging.translate(address, words)?;
        let obeys_writable = user || paging.cr0 & CR0_WP != 0;
        let allowed = (!user || found.user) && (!writes || !obeys_writable || found.writable);
        Some((found.address, allowed))
    };
    let (first, allowed) = checked(linear).ok_or(match instruction.written {
        None => Obstacle::Unsupported,
        Some(_) => page_fault(linear, 0),
    })?;
    if !allowed {
        return Err(page_fault(linear, page_fault::PRESENT));
    }
    let before = PAGE_BYTES - linear % PAGE_BYTES;
    if before >= instruction.width.bytes() {
        let second_page = None;
        return Ok(Place { first, second_page });
    }
    let second = linear.wrapping_add(before);
    match checked(second) {
        None => Err(page_fault(second, 0)),
        Some((_, false)) => Err(page_fault(second, page_fault::PRESENT)),
        Some((address, true)) => Ok(Place {
            first,
            second_page: Some(SecondPage {
                bytes_before: before as usize,
                address,
            }),
        }),
    }
}

#[inline(always)]
fn access(address: GuestPhysAddr, width: AccessWidth, direction: Direction, pc: u64) -> Access {
    Access {
        address,
        width,
        direction,
        register: Gpr::ZERO,
        extension: Extension {
            signed: false,
            to_64_bits: true,
        },
        pc,
    }
}
