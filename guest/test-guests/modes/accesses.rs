//! The same accesses in every mode: each width, loads, stores and what does both, twice each, so
//! that the second finds what the VMM remembers.
//!
//! AMD APM volume 3, 1.2 (prefixes) and chapter 3.

use guest::check;
use guest::code::{self, RFLAGS_CLEAR, Registers};
use guest::exceptions::{attempt, interrupted_registers};
use guest::page_tables;
use guest::segments::{
    self, Around, CODE_16_AT, CODE_32, CODE_32_AT, DATA, DATA_AT, FarPointer, USER_CODE_32,
    USER_CODE_64,
};

use super::{CODE, DEVICE, DEVICE_TO_READ, Location, USER_CODE, USER_DEVICE, control, mask};

const RAX: usize = 0;
const RCX: usize = 1;
const RSI: usize = 6;
const R11: usize = 11;

const PAGE_FAULT: u64 = 14;
const INVALID_OPCODE: u64 = 6;

/// What EAX holds before a load and ECX before a store or an addition.
const BEFORE: u64 = 0xaaaa_bbbb_1122_3344;
const ADDED: u32 = 0x100;

enum Kind {
    Load,
    Store(u32),
    Add,
}

/// An instruction with EAX or ECX and an operand at RSI.
struct Form {
    kind: Kind,
    opcode: u8,
    bytes: u32,
    lane: u32,
}

const fn form(kind: Kind, opcode: u8, bytes: u32, lane: u32) -> Form {
    Form {
        kind,
        opcode,
        bytes,
        lane,
    }
}

/// After a store of a whole word.
const FORMS: [Form; 7] = [
    form(Kind::Load, 0x8b, 4, 0),
    form(Kind::Store(0x5a), 0x88, 1, 1),
    form(Kind::Load, 0x8a, 1, 1),
    form(Kind::Store(0x1234), 0x89, 2, 2),
    form(Kind::Load, 0x8b, 2, 2),
    form(Kind::Add, 0x01, 4, 0),
    form(Kind::Load, 0x8b, 4, 0),
];

/// How the CPU reads the code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bits {
    Sixteen,
    ThirtyTwo,
    SixtyFour,
}

/// How the code is run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By a call, in 64-bit code.
    Call,
    /// By a far call from 32-bit code, to a segment and with DS.
    Far(Around, u16, u16),
    /// The same, out of protected mode for the one instruction.
    Real,
    /// At privilege level 3, by IRETQ, in a segment.
    User(u16),
    /// At privilege level 3, by SYSRET and back by SYSCALL.
    SystemCall,
}

/// Where a segment with a base begins, below the location.
const BELOW: u64 = 0x100;

/// All of them.
pub fn in_every_mode(location: &mut Location) {
    let physical = location.address();
    let elsewhere = |page: u64| page + location.in_page();
    segments::place(CODE_32_AT, CODE.address());
    segments::place(CODE_16_AT, CODE.address());
    segments::place(DATA_AT, physical - BELOW);
    control::allow_system_calls(!0);
    use Around::{Legacy, LongMode, Pae, Unpaged};
    use Bits::{Sixteen, SixtyFour, ThirtyTwo};
    let ways = [
        ("64-bit code", SixtyFour, Way::Call, physical),
        (
            "at another address",
            SixtyFour,
            Way::Call,
            elsewhere(DEVICE),
        ),
        (
            "32-bit code",
            ThirtyTwo,
            Way::Far(LongMode, CODE_32, DATA),
            physical,
        ),
        (
            "32-bit code with bases",
            ThirtyTwo,
            Way::Far(LongMode, CODE_32_AT, DATA_AT),
            BELOW,
        ),
        (
            "16-bit code",
            Sixteen,
            Way::Far(LongMode, CODE_16_AT, DATA_AT),
            BELOW,
        ),
        (
            "without paging",
            ThirtyTwo,
            Way::Far(Unpaged, CODE_32, DATA),
            physical,
        ),
        (
            "16-bit code without paging",
            Sixteen,
            Way::Far(Unpaged, CODE_16_AT, DATA_AT),
            BELOW,
        ),
        ("real mode", Sixteen, Way::Real, BELOW),
        (
            "PAE paging",
            ThirtyTwo,
            Way::Far(Pae, CODE_32, DATA),
            elsewhere(DEVICE),
        ),
        (
            "32-bit paging",
            ThirtyTwo,
            Way::Far(Legacy, CODE_32, DATA),
            page_tables::show_4_mib_at_window(physical),
        ),
        (
            "privilege level 3",
            SixtyFour,
            Way::User(USER_CODE_64),
            elsewhere(USER_DEVICE),
        ),
        (
            "32-bit code at privilege level 3",
            ThirtyTwo,
            Way::User(USER_CODE_32),
            elsewhere(USER_DEVICE),
        ),
        (
            "between SYSRET and SYSCALL",
            SixtyFour,
            Way::SystemCall,
            elsewhere(USER_DEVICE),
        ),
    ];
    for (number, (name, bits, way, address)) in (1..).zip(ways) {
        let first = form(Kind::Store(number << 24 | 0x40), 0x89, 4, 0);
        for form in core::iter::once(&first).chain(&FORMS) {
            for _ in 0..2 {
                carry_out(form, name, bits, way, address, location);
            }
        }
        location.say(name);
    }
    what_a_user_must_not(location);
}

fn carry_out(form: &Form, name: &str, bits: Bits, way: Way, address: u64, location: &mut Location) {
    let mut registers = Registers {
        gpr: [0; 16],
        rflags: RFLAGS_CLEAR,
    };
    registers.gpr[RAX] = BEFORE;
    registers.gpr[RCX] = match form.kind {
        Kind::Load => 0,
        Kind::Store(value) => value.into(),
        Kind::Add => ADDED.into(),
    };
    registers.gpr[RSI] = address + u64::from(form.lane);
    let wanted = registers;
    let mut code = Code::new();
    form.encode(bits, &mut code);
    code.run(bits, way, &mut registers);

    // 32-bit code shows the lower halves alone.
    let shown = match bits {
        Bits::SixtyFour => u64::MAX,
        Bits::Sixteen | Bits::ThirtyTwo => u32::MAX.into(),
    };
    match form.kind {
        Kind::Load => {
            let mask = mask(form.bytes);
            let value = registers.gpr[RAX] as u32 & mask;
            location.loaded(form.bytes, form.lane, value);
            let kept = match form.bytes {
                4 => 0,
                _ => BEFORE & !u64::from(mask),
            };
            check!(
                (registers.gpr[RAX] ^ (kept | u64::from(value))) & shown == 0,
                "{name}: {} bytes loaded leave {:#x}",
                form.bytes,
                registers.gpr[RAX]
            );
        }
        Kind::Store(value) => location.stored(form.bytes, form.lane, value),
        Kind::Add => location.added(ADDED),
    }
    for number in [RCX, RSI] {
        if number == RCX && way == Way::SystemCall {
            // It is where SYSCALL leaves RIP.
            continue;
        }
        let (found, before) = (registers.gpr[number], wanted.gpr[number]);
        check!(
            (found ^ before) & shown == 0,
            "{name}: register {number} is {found:#x}"
        );
    }
}

/// A few instructions.
struct Code {
    bytes: [u8; 64],
    len: usize,
}

impl Code {
    const fn new() -> Self {
        Self {
            bytes: [0; 64],
            len: 0,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Runs it and checks that it ends where it should.
    fn run(&self, bits: Bits, way: Way, registers: &mut Registers) {
        const RETF: &[u8] = &[0xcb];
        const RETF_OF_32_BITS: &[u8] = &[0x66, 0xcb];
        const UD2: &[u8] = &[0x0f, 0x0b];
        const SYSCALL: &[u8] = &[0x0f, 0x05];
        // Of 16 bits, with operands of 32: mov ebx, cr0; and ebx, ~1; mov cr0, ebx.
        const LEAVE_PROTECTED_MODE: &[u8] =
            &[0x0f, 0x20, 0xc3, 0x66, 0x83, 0xe3, 0xfe, 0x0f, 0x22, 0xc3];
        // or ebx, 1; mov cr0, ebx.
        const ENTER_PROTECTED_MODE: &[u8] = &[0x66, 0x83, 0xcb, 0x01, 0x0f, 0x22, 0xc3];
        let mut all = Self::new();
        if way == Way::Real {
            all.push(LEAVE_PROTECTED_MODE);
        }
        all.push(&self.bytes[..self.len]);
        if way == Way::Real {
            all.push(ENTER_PROTECTED_MODE);
        }
        let len = all.len;
        all.push(match (way, bits) {
            (Way::Call, _) => &[],
            (Way::Far(..) | Way::Real, Bits::Sixteen) => RETF_OF_32_BITS,
            (Way::Far(..) | Way::Real, _) => RETF,
            (Way::User(_), _) => UD2,
            (Way::SystemCall, _) => SYSCALL,
        });
        CODE.write(&all.bytes[..all.len]);
        match way {
            Way::Call => code::call_with(CODE.address(), registers),
            Way::Far(around, selector, data) => {
                let offset = match selector {
                    CODE_32 => CODE.address() as u32,
                    _ => 0,
                };
                let code = FarPointer { offset, selector };
                check!(
                    segments::far_call(around, code, data, registers),
                    "{around:?} is refused"
                );
            }
            Way::Real => {
                let code = FarPointer {
                    offset: 0,
                    selector: CODE_16_AT,
                };
                segments::far_call(Around::Unpaged, code, DATA_AT, registers);
            }
            Way::User(selector) => {
                let ended = attempt::<()>(|| segments::run_as_user(selector, USER_CODE, registers));
                let end = USER_CODE + len as u64;
                check!(
                    ended.is_err_and(
                        |exception| exception.vector == INVALID_OPCODE && exception.rip == end
                    ),
                    "a program at privilege level 3 ended by {ended:x?}"
                );
                *registers = interrupted_registers();
            }
            Way::SystemCall => {
                let wanted = *registers;
                registers.gpr[RCX] = USER_CODE;
                registers.gpr[R11] = RFLAGS_CLEAR;
                // What ECX should be the code itself must say.
                let mut with_register = Self::new();
                with_register.push(&[0xb9]);
                with_register.push(&(wanted.gpr[RCX] as u32).to_le_bytes());
                with_register.push(&all.bytes[..all.len]);
                CODE.write(&with_register.bytes[..with_register.len]);
                control::run_until_system_call(registers, with_register.len as u64);
            }
        }
    }
}

impl Form {
    fn encode(&self, bits: Bits, code: &mut Code) {
        const OPERAND_SIZE: u8 = 0x66;
        // [SI] in 16-bit code, [RSI] or [ESI] elsewhere.
        let (operand, usual_bytes) = match bits {
            Bits::Sixteen => (0b100, 2),
            Bits::ThirtyTwo | Bits::SixtyFour => (0b110, 4),
        };
        let register = match self.kind {
            Kind::Load => RAX,
            Kind::Store(_) | Kind::Add => RCX,
        };
        if self.bytes != 1 && self.bytes != usual_bytes {
            code.push(&[OPERAND_SIZE]);
        }
        code.push(&[self.opcode, (register as u8) << 3 | operand]);
    }
}

/// The guest's own tables hold privilege level 3 off a device as off anything else.
fn what_a_user_must_not(location: &mut Location) {
    const TO_READ: u64 = 0b101;
    const TO_WRITE: u64 = 0b111;
    let cases = [
        ("a load", FORMS[0].opcode, DEVICE, TO_READ),
        ("a store", 0x89, DEVICE, TO_WRITE),
        ("a store", 0x89, DEVICE_TO_READ, TO_WRITE),
        ("an addition", 0x01, DEVICE_TO_READ, TO_WRITE),
    ];
    for (what, opcode, page, error) in cases {
        let address = page + location.in_page();
        CODE.write(&[opcode, 0x0e]);
        let mut registers = Registers {
            gpr: [0; 16],
            rflags: RFLAGS_CLEAR,
        };
        registers.gpr[RSI] = address;
        let refused = attempt::<()>(|| segments::run_as_user(USER_CODE_64, USER_CODE, &registers));
        check!(
            refused.is_err_and(|exception| exception.vector == PAGE_FAULT
                && (exception.error_code, exception.cr2) == (error, address)
                && exception.rip == USER_CODE),
            "{what} at {address:#x} that privilege level 3 must not make: {refused:x?}"
        );
    }
    // And may read what is there to read.
    CODE.write(&[FORMS[0].opcode, 0x06, 0x0f, 0x0b]);
    let mut registers = Registers {
        gpr: [0; 16],
        rflags: RFLAGS_CLEAR,
    };
    registers.gpr[RSI] = DEVICE_TO_READ + location.in_page();
    let ended = attempt::<()>(|| segments::run_as_user(USER_CODE_64, USER_CODE, &registers));
    check!(
        ended.is_err_and(|exception| exception.vector == INVALID_OPCODE),
        "a load at privilege level 3: {ended:x?}"
    );
    location.loaded(4, 0, interrupted_registers().gpr[RAX] as u32);
    location.say("a page to read");
}
