//! The registers that decide what the CPU does: that they hold what a CPU's hold, do what they
//! say, and that what no CPU takes is a general protection exception that changes nothing.
//!
//! AMD APM volume 2, 3.1 (control registers), 3.1.7 (EFER), 6.1.1 (SYSCALL), 7.8 (PAT), 8.2
//! (vectors), 8.4.2 (page fault error code); Intel SDM volume 3, 2.5 (control registers); volume 4
//! (model-specific registers).

use guest::check;
use guest::code::{RFLAGS_CLEAR, Registers};
use guest::driver::PAGE_LEN_BYTES;
use guest::exceptions::{Exception, attempt};
use guest::page_tables::{self, WINDOW, WINDOW_LEVEL_3, forget_translations};
use guest::segments::{
    self, Around, CODE_32, CODE_64, DATA, FarPointer, Origin, STAR, USER_CODE_64, system_call_entry,
};

use super::{CODE, DEVICE_TO_READ, Location, USER_CODE, USER_DEVICE};

const RAX: usize = 0;
const RCX: usize = 1;
const RDX: usize = 2;
const RBP: usize = 5;
const RSI: usize = 6;
const R11: usize = 11;

// Vectors.
const INVALID_OPCODE: u64 = 6;
const DEVICE_NOT_AVAILABLE: u64 = 7;
const GENERAL_PROTECTION: u64 = 13;
const PAGE_FAULT: u64 = 14;

const CR0_PE: u64 = 1 << 0;
const CR0_MP: u64 = 1 << 1;
const CR0_EM: u64 = 1 << 2;
const CR0_TS: u64 = 1 << 3;
const CR0_ET: u64 = 1 << 4;
const CR0_NE: u64 = 1 << 5;
const CR0_WP: u64 = 1 << 16;
const CR0_AM: u64 = 1 << 18;
const CR0_NW: u64 = 1 << 29;
const CR0_CD: u64 = 1 << 30;
const CR0_PG: u64 = 1 << 31;

const CR4_TSD: u64 = 1 << 2;
const CR4_PAE: u64 = 1 << 5;
const CR4_OSFXSR: u64 = 1 << 9;
/// VME, PVI, TSD, DE, PSE, PGE, PCE, OSFXSR, OSXMMEXCPT.
const CR4_OWN: [u32; 9] = [0, 1, 2, 3, 4, 7, 8, 9, 10];
/// VMXE, SMXE, PCIDE, OSXSAVE, and what is reserved.
const CR4_NOT_THERE: [u32; 6] = [13, 14, 17, 18, 31, 63];

const EFER_SCE: u64 = 1 << 0;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
const EFER_NXE: u64 = 1 << 11;
const EFER_SVME: u64 = 1 << 12;

/// A register that code reads into RAX and writes from there.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Special {
    name: &'static str,
    read: &'static [u8],
    write: &'static [u8],
    /// For RCX.
    number: u64,
}

const fn control(name: &'static str, read: &'static [u8], write: &'static [u8]) -> Special {
    Special {
        name,
        read,
        write,
        number: 0,
    }
}

const fn model_specific(name: &'static str, number: u64) -> Special {
    Special {
        name,
        // RDX has the upper half: rdmsr; shl rdx, 32; or rax, rdx.
        read: &[0x0f, 0x32, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0],
        write: &[0x0f, 0x30],
        number,
    }
}

const CR0: Special = control("CR0", &[0x0f, 0x20, 0xc0], &[0x0f, 0x22, 0xc0]);
const CR4: Special = control("CR4", &[0x0f, 0x20, 0xe0], &[0x0f, 0x22, 0xe0]);
const CR8: Special = control("CR8", &[0x44, 0x0f, 0x20, 0xc0], &[0x44, 0x0f, 0x22, 0xc0]);
const MSW: Special = control("MSW", &[0x48, 0x0f, 0x01, 0xe0], &[0x0f, 0x01, 0xf0]);
const PAT: Special = model_specific("PAT", 0x277);
const EFER: Special = model_specific("EFER", 0xc000_0080);
const OF_STAR: Special = model_specific("STAR", 0xc000_0081);
const LSTAR: Special = model_specific("LSTAR", 0xc000_0082);
const CSTAR: Special = model_specific("CSTAR", 0xc000_0083);
const FMASK: Special = model_specific("FMASK", 0xc000_0084);

impl Special {
    fn read(self) -> u64 {
        match execute(self.read, 0, self.number) {
            Ok(registers) => registers.gpr[RAX],
            Err(exception) => {
                check!(false, "{} cannot be read: {exception}", self.name);
                0
            }
        }
    }

    fn write(self, value: u64) -> Result<(), Exception> {
        execute(self.write, value, self.number).map(drop)
    }

    /// Writes, and reads back `wanted`.
    fn becomes(self, written: u64, wanted: u64) {
        let result = self.write(written);
        check!(result.is_ok(), "{} = {written:#x}: {result:x?}", self.name);
        let found = self.read();
        check!(
            found == wanted,
            "{} = {written:#x} reads back {found:#x}, not {wanted:#x}",
            self.name
        );
    }

    fn holds(self, value: u64) {
        self.becomes(value, value);
    }

    /// The write is #GP, and none of `ALL` has changed.
    fn refuses(self, value: u64) {
        let before = ALL.map(Self::read);
        let result = self.write(value);
        check!(
            result.is_err_and(|exception| exception.vector == GENERAL_PROTECTION
                && (exception.error_code, exception.rip) == (0, CODE.address())),
            "{} = {value:#x} is not refused: {result:x?}",
            self.name
        );
        let after = ALL.map(Self::read);
        check!(
            after == before,
            "{} = {value:#x} is refused and leaves {after:x?}, not {before:x?}",
            self.name
        );
    }
}

const ALL: [Special; 9] = [CR0, CR4, CR8, PAT, EFER, OF_STAR, LSTAR, CSTAR, FMASK];

/// Runs code with RAX, RCX, and RDX as the upper half of RAX.
fn execute(code: &[u8], rax: u64, rcx: u64) -> Result<Registers, Exception> {
    CODE.write(code);
    let mut registers = Registers {
        gpr: [0; 16],
        rflags: RFLAGS_CLEAR,
    };
    registers.gpr[RAX] = rax;
    registers.gpr[RCX] = rcx;
    registers.gpr[RDX] = rax >> 32;
    attempt(|| CODE.run_with(&mut registers))?;
    Ok(registers)
}

fn raises(code: &[u8], vector: u64, what: &str) {
    let result = execute(code, 0, 0);
    check!(
        result.is_err_and(|exception| exception.vector == vector),
        "{what}: {result:x?}"
    );
}

/// Lets SYSCALL go to [`system_call_entry`], where the flags in `mask` are clear.
pub fn allow_system_calls(mask: u32) {
    EFER.holds(EFER.read() | EFER_SCE);
    OF_STAR.holds(STAR);
    LSTAR.holds(system_call_entry());
    FMASK.holds(mask.into());
}

/// Runs the code of [`USER_CODE`], which ends with SYSCALL after so many bytes.
pub fn run_until_system_call(registers: &mut Registers, len_bytes: u64) {
    let wanted = *registers;
    let call = segments::run_until_system_call(&wanted);
    *registers = call.registers;
    check!(
        registers.gpr[RCX] == USER_CODE + len_bytes
            && call.selectors == [CODE_64.into(), DATA.into()],
        "SYSCALL leaves {call:x?}"
    );
    check!(
        registers.rflags == RFLAGS_CLEAR,
        "SYSCALL leaves RFLAGS {:#x}",
        registers.rflags
    );
}

/// All of it.
pub fn is_a_cpus(location: &mut Location, is_exact: bool) {
    control_register_0();
    write_protection(location);
    control_register_4();
    for priority in (0..=15).rev() {
        CR8.holds(priority);
    }
    extended_features();
    system_calls();
    let pat = PAT.read();
    PAT.holds(pat ^ 0x0001 << 32 ^ 0x05 << 56);
    PAT.holds(pat);
    features();
    if is_exact {
        upper_halves_in_32_bit_code();
        alignment(location);
        what_no_cpu_takes();
    }
    location.say("registers");
}

fn control_register_0() {
    let cr0 = CR0.read();
    let entered = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
    check!(cr0 == entered, "CR0 is {cr0:#x}");
    let bits = [
        CR0_MP,
        CR0_EM,
        CR0_TS,
        CR0_NE,
        CR0_WP,
        CR0_AM,
        CR0_CD,
        CR0_CD | CR0_NW,
        CR0_MP | CR0_TS | CR0_AM,
    ];
    for bits in bits {
        CR0.holds(cr0 ^ bits);
        let status = MSW.read();
        check!(
            (status ^ cr0 ^ bits) & 0xffff == 0,
            "SMSW gives {status:#x} of {:#x}",
            cr0 ^ bits
        );
        CR0.holds(cr0);
    }
    // ET is always set.
    CR0.becomes(cr0 & !CR0_ET, cr0);

    // LMSW changes four bits and cannot clear the first; from a register and from memory.
    const FROM_MEMORY: &[u8] = &[0x50, 0x0f, 0x01, 0x34, 0x24, 0x58];
    for lmsw in [MSW.write, FROM_MEMORY] {
        for (status, wanted) in [
            (0xfffe, cr0 | CR0_MP | CR0_EM | CR0_TS),
            (0x0009, cr0 | CR0_TS),
            (0, cr0),
        ] {
            let result = execute(lmsw, status, 0);
            let found = CR0.read();
            check!(
                result.is_ok() && found == wanted,
                "LMSW of {status:#x}: {result:x?}, CR0 {found:#x}"
            );
        }
    }

    // movaps xmm0, xmm0; clts.
    const VECTOR: &[u8] = &[0x0f, 0x28, 0xc0];
    const CLTS_THEN_VECTOR: &[u8] = &[0x0f, 0x06, 0x0f, 0x28, 0xc0];
    let cr4 = CR4.read();
    CR4.holds(cr4 | CR4_OSFXSR);
    CR0.holds(cr0 | CR0_TS);
    raises(VECTOR, DEVICE_NOT_AVAILABLE, "a vector while TS is set");
    let result = execute(CLTS_THEN_VECTOR, 0, 0);
    check!(result.is_ok(), "CLTS and a vector: {result:x?}");
    check!(CR0.read() == cr0, "CLTS leaves {:#x}", CR0.read());
    CR0.holds(cr0 | CR0_EM);
    raises(VECTOR, INVALID_OPCODE, "a vector while EM is set");
    CR0.holds(cr0);
    CR4.holds(cr4);
}

/// Privilege level 0 writes a page to be read alone, unless WP is set.
fn write_protection(location: &mut Location) {
    const VALUE: u32 = 0x5000_0040;
    const STORE: &[u8] = &[0x89, 0x06];
    const ADD: &[u8] = &[0x01, 0x06];
    const TO_WRITE: u64 = 0b011;
    let address = DEVICE_TO_READ + location.in_page();
    let run = |code| {
        CODE.write(code);
        let mut registers = Registers {
            gpr: [0; 16],
            rflags: RFLAGS_CLEAR,
        };
        registers.gpr[RAX] = VALUE.into();
        registers.gpr[RSI] = address;
        attempt(|| CODE.run_with(&mut registers))
    };
    let cr0 = CR0.read();
    for round in 0..2 {
        for code in [STORE, ADD] {
            let refused = run(code);
            check!(
                refused.is_err_and(|exception| exception.vector == PAGE_FAULT
                    && (exception.error_code, exception.cr2) == (TO_WRITE, address)),
                "a write that WP forbids: {refused:x?}"
            );
        }
        CR0.holds(cr0 & !CR0_WP);
        CODE.write(STORE);
        let written = run(STORE);
        check!(written.is_ok(), "a write without WP: {written:x?}");
        location.stored(4, 0, VALUE);
        if round == 0 {
            let added = run(ADD);
            check!(added.is_ok(), "an addition without WP: {added:x?}");
            location.added(VALUE);
        }
        CR0.holds(cr0);
    }
}

fn control_register_4() {
    let cr4 = CR4.read();
    check!(cr4 & CR4_PAE != 0, "CR4 is {cr4:#x}");
    for bit in CR4_OWN {
        CR4.holds(cr4 ^ 1 << bit);
        CR4.holds(cr4);
    }
    // rdtsc; ud2.
    const COUNTER: &[u8] = &[0x0f, 0x31, 0x0f, 0x0b];
    for (value, vector) in [(cr4, INVALID_OPCODE), (cr4 | CR4_TSD, GENERAL_PROTECTION)] {
        CR4.holds(value);
        CODE.write(COUNTER);
        let registers = Registers {
            gpr: [0; 16],
            rflags: RFLAGS_CLEAR,
        };
        let ended = attempt::<()>(|| segments::run_as_user(USER_CODE_64, USER_CODE, &registers));
        check!(
            ended.is_err_and(|exception| exception.vector == vector),
            "RDTSC with CR4 {value:#x}: {ended:x?}"
        );
    }
    CR4.holds(cr4);
}

fn extended_features() {
    let efer = EFER.read();
    check!(
        efer == EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE,
        "EFER is {efer:#x}"
    );
    // LMA is the CPU's to change.
    for refused in [efer & !EFER_LME, efer | EFER_SVME, efer | 1 << 63] {
        EFER.refuses(refused);
    }

    // A page that is not to be executed; without NXE that bit is reserved.
    const PAGE: usize = 12;
    const NO_EXECUTE: u64 = 1 << 63;
    const FETCH: u64 = 0b1_0001;
    const RESERVED: u64 = 0b1000;
    // call rax; mov eax, [rax]. Both lie elsewhere.
    const CALL: &[u8] = &[0xff, 0xd0];
    const LOAD: &[u8] = &[0x8b, 0x00];
    let page = WINDOW + PAGE as u64 * PAGE_LEN_BYTES;
    WINDOW_LEVEL_3.set(PAGE, page_tables::page(CODE.address()) | NO_EXECUTE);
    forget_translations();
    let faults_with = |code: &[u8]| match execute(code, page, 0) {
        Err(exception) if (exception.vector, exception.cr2) == (PAGE_FAULT, page) => {
            exception.error_code
        }
        Err(exception) => {
            check!(false, "a page that is not to be executed: {exception}");
            0
        }
        Ok(_) => 0,
    };
    check!(
        [faults_with(LOAD), faults_with(CALL)] == [0, FETCH],
        "NXE: {:#x}",
        faults_with(CALL)
    );
    EFER.holds(efer & !EFER_NXE);
    forget_translations();
    check!(
        // A CPU calls it present as well, an emulator may not.
        faults_with(LOAD) & RESERVED != 0,
        "without NXE: {:#x}",
        faults_with(LOAD)
    );
    EFER.holds(efer);
    WINDOW_LEVEL_3.set(PAGE, 0);
    forget_translations();

    const SYSCALL: &[u8] = &[0x0f, 0x05];
    EFER.holds(efer & !EFER_SCE);
    raises(SYSCALL, INVALID_OPCODE, "SYSCALL without SCE");
    EFER.holds(efer);
}

/// SYSCALL clears the flags that FMASK has, and no others.
fn system_calls() {
    const CF: u64 = 1 << 0;
    const AC: u64 = 1 << 18;
    const ID: u64 = 1 << 21;
    const SYSCALL: &[u8] = &[0x0f, 0x05];
    allow_system_calls((CF | AC) as u32);
    CODE.write(SYSCALL);
    let mut registers = Registers {
        gpr: [0; 16],
        rflags: 0,
    };
    registers.gpr[RCX] = USER_CODE;
    registers.gpr[R11] = RFLAGS_CLEAR | CF | AC | ID;
    let call = segments::run_until_system_call(&registers);
    check!(
        call.registers.gpr[R11] == registers.gpr[R11] && call.registers.rflags == RFLAGS_CLEAR | ID,
        "SYSCALL with FMASK leaves {call:x?}"
    );
    for register in [LSTAR, CSTAR] {
        for address in [0x7fff_ffff_ffff, 0xffff_8000_0000_0000, u64::MAX, 0] {
            register.holds(address);
        }
    }
    for value in [u64::MAX, 0] {
        OF_STAR.holds(value);
    }
    for value in [0xffff_ffff, 0] {
        FMASK.holds(value);
    }
}

/// What CPUID says of virtualization, in 64-bit and in 32-bit code.
fn features() {
    const VMX: u64 = 1 << 5;
    const HYPERVISOR: u64 = 1 << 31;
    const SVM: u64 = 1 << 2;
    // In 32-bit code ended by RETF.
    const CPUID: &[u8] = &[0x0f, 0xa2];
    const CPUID_FAR: &[u8] = &[0x0f, 0xa2, 0xcb];
    for leaf in [1, 0x8000_0001_u64] {
        let in_64_bit = execute(CPUID, leaf, 0);
        CODE.write(CPUID_FAR);
        let mut registers = Registers {
            gpr: [0; 16],
            rflags: RFLAGS_CLEAR,
        };
        registers.gpr[RAX] = leaf;
        let code = FarPointer {
            offset: CODE.address() as u32,
            selector: CODE_32,
        };
        segments::far_call(Around::LongMode, code, DATA, &mut registers);
        let found = registers.gpr[RCX];
        let wanted = match leaf {
            1 => found & (VMX | HYPERVISOR) == HYPERVISOR,
            _ => found & SVM == 0,
        };
        check!(
            wanted && in_64_bit.is_ok_and(|in_64_bit| in_64_bit.gpr[RCX] == found),
            "leaf {leaf:#x}: {registers:x?}, {in_64_bit:x?}"
        );
    }
}

/// 32-bit code moves lower halves, whatever 64-bit code has left in the upper ones.
fn upper_halves_in_32_bit_code() {
    // mov cr0, ebp; mov eax, cr0; retf. mov cr4, ebp; mov eax, cr4; retf.
    const OF_CR0: &[u8] = &[0x0f, 0x22, 0xc5, 0x0f, 0x20, 0xc0, 0xcb];
    const OF_CR4: &[u8] = &[0x0f, 0x22, 0xe5, 0x0f, 0x20, 0xe0, 0xcb];
    const UPPER: u64 = 0x1234_5678 << 32;
    for (register, code, bit) in [(CR0, OF_CR0, CR0_AM), (CR4, OF_CR4, CR4_TSD)] {
        let before = register.read();
        CODE.write(code);
        let mut registers = Registers {
            gpr: [0; 16],
            rflags: RFLAGS_CLEAR,
        };
        registers.gpr[RBP] = UPPER | before ^ bit;
        let code = FarPointer {
            offset: CODE.address() as u32,
            selector: CODE_32,
        };
        let result = attempt(|| segments::far_call(Around::LongMode, code, DATA, &mut registers));
        check!(
            result.is_ok() && registers.gpr[RAX] == before ^ bit,
            "{} in 32-bit code: {result:x?}, {:#x}",
            register.name,
            registers.gpr[RAX]
        );
        register.holds(before);
    }
}

/// Privilege level 3 can have its accesses checked, the device's as any other.
fn alignment(location: &Location) {
    const ALIGNMENT_CHECK: u64 = 17;
    const AC: u64 = 1 << 18;
    // mov eax, [rsi].
    const LOAD: &[u8] = &[0x8b, 0x06];
    let cr0 = CR0.read();
    CR0.holds(cr0 | CR0_AM);
    for address in [USER_CODE + 1, USER_DEVICE + location.in_page() + 1] {
        CODE.write(LOAD);
        let mut registers = Registers {
            gpr: [0; 16],
            rflags: RFLAGS_CLEAR | AC,
        };
        registers.gpr[RSI] = address;
        let refused = attempt::<()>(|| segments::run_as_user(USER_CODE_64, USER_CODE, &registers));
        check!(
            refused.is_err_and(|exception| exception.vector == ALIGNMENT_CHECK
                && (exception.error_code, exception.rip) == (0, USER_CODE)),
            "a load at {address:#x} whose alignment is checked: {refused:x?}"
        );
    }
    CR0.holds(cr0);
}

/// What a CPU refuses, and what it does not take of CR0.
fn what_no_cpu_takes() {
    let (cr0, cr4) = (CR0.read(), CR4.read());
    for bit in 32..64 {
        CR0.refuses(cr0 | 1 << bit);
    }
    CR0.refuses(cr0 & !CR0_PE);
    CR0.refuses(cr0 | CR0_NW);
    CR0.refuses(cr0 & !CR0_PG);
    CR0.refuses(cr0 & !CR0_PG & !CR0_PE);
    // Reserved bits of the lower half stay clear.
    CR0.becomes(cr0 | 0x1ff0_ffc0, cr0);

    for bit in CR4_NOT_THERE {
        CR4.refuses(cr4 | 1 << bit);
    }
    CR4.refuses(cr4 & !CR4_PAE);
    for priority in [0x10, 0x1f, 1 << 32, u64::MAX] {
        CR8.refuses(priority);
    }
    let pat = PAT.read();
    for place in 0..8 {
        for kind in [2, 3, 8, 0x80] {
            PAT.refuses(pat & !(0xff << (8 * place)) | kind << (8 * place));
        }
    }
    for register in [LSTAR, CSTAR] {
        for address in [0x8000_0000_0000, 0xffff_7fff_ffff_ffff, 1 << 63] {
            register.refuses(address);
        }
    }
    FMASK.refuses(1 << 32);

    for from in [Origin::ShortTask, Origin::MarkedCode, Origin::ShortTask] {
        let refused = segments::is_refused_long_mode(from);
        check!(refused, "long mode is entered from {from:?}");
    }

    // Of the four entries that PAE paging begins with.
    const RETF: &[u8] = &[0xcb];
    CODE.write(RETF);
    let mut registers = Registers {
        gpr: [0; 16],
        rflags: RFLAGS_CLEAR,
    };
    let code = FarPointer {
        offset: CODE.address() as u32,
        selector: CODE_32,
    };
    for (bits, is_taken) in [([9, 10, 11, 3], true), ([1, 2, 5, 63], false)] {
        for bit in bits {
            let around = Around::PaeWith(bit);
            let taken = segments::far_call(around, code, DATA, &mut registers);
            check!(
                taken == is_taken,
                "bit {bit} of a page directory pointer: {taken}"
            );
        }
    }
}
