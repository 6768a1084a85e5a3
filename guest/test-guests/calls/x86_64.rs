//! Registers, ports, CPUID leaves and instructions of x86 that do not exist in a VM or are the
//! host's.
//!
//! AMD APM volume 2, appendix A (model-specific registers), 3.1 (control registers), 15
//! (virtualization); volume 3, appendix E (CPUID). Intel SDM volume 3, chapter 26 (instructions
//! that leave a guest).

use guest::code::{self, Registers};
use guest::exceptions::{Exception, attempt};
use guest::{check, say};

use super::CODE;

const DEBUG: u64 = 1;
const INVALID_OPCODE: u64 = 6;
const GENERAL_PROTECTION: u64 = 13;

const RAX: usize = 0;
const RCX: usize = 1;
const RDX: usize = 2;
const RBX: usize = 3;

/// The ranges that the CPU's permission map knows, and some of those beyond.
const MODEL_SPECIFIC: [core::ops::Range<u32>; 4] = [
    0..0x2000,
    0x4000_0000..0x4000_0100,
    0xc000_0000..0xc000_2000,
    0xc001_0000..0xc001_2000,
];
/// TSC, the SYSENTER registers, PAT, EFER, the SYSCALL registers, the bases of FS and GS.
const READABLE: u32 = 13;

/// Registers by which a guest could reach the host, and what it writes there: TSC, APIC_BASE,
/// MISC_ENABLE, MTRR_DEF_TYPE, EFER (SVME set; LME cleared, while it runs in long mode), SYSCFG,
/// HWCR, SMM_BASE, VM_CR, VM_HSAVE_PA.
const OF_THE_HOST: [(u32, u64); 11] = [
    (0x10, 0),
    (0x1b, 0xfee0_0900),
    (0x1a0, 0),
    (0x2ff, 0),
    (0xc000_0080, 0x1d01),
    (0xc000_0080, 0),
    (0xc001_0010, u64::MAX),
    (0xc001_0015, 0),
    (0xc001_0111, 0),
    (0xc001_0114, 0x10),
    (0xc001_0117, 0),
];

/// Instructions that a guest has not, by their bytes.
const INSTRUCTIONS: [(&str, &[u8]); 21] = [
    ("vmrun", &[0x0f, 0x01, 0xd8]),
    ("vmload", &[0x0f, 0x01, 0xda]),
    ("vmsave", &[0x0f, 0x01, 0xdb]),
    ("stgi", &[0x0f, 0x01, 0xdc]),
    ("clgi", &[0x0f, 0x01, 0xdd]),
    ("skinit", &[0x0f, 0x01, 0xde]),
    ("invlpga", &[0x0f, 0x01, 0xdf]),
    ("vmlaunch", &[0x0f, 0x01, 0xc2]),
    ("vmxoff", &[0x0f, 0x01, 0xc4]),
    ("monitor", &[0x0f, 0x01, 0xc8]),
    ("mwait", &[0x0f, 0x01, 0xc9]),
    ("xsetbv", &[0x0f, 0x01, 0xd1]),
    ("rdpmc", &[0x0f, 0x33]),
    ("invd", &[0x0f, 0x08]),
    ("wbinvd", &[0x0f, 0x09]),
    ("rsm", &[0x0f, 0xaa]),
    ("getsec", &[0x0f, 0x37]),
    ("insb", &[0x6c]),
    ("outsb", &[0x6e]),
    ("int1", &[0xf1]),
    ("ud2", &[0x0f, 0x0b]),
];

/// Of the serial port.
const OWN_PORTS: core::ops::RangeInclusive<u64> = 0x3f8..=0x3ff;

/// Names all of them.
pub fn registers_and_instructions() {
    model_specific_registers();
    control_and_debug_registers();
    for (name, bytes) in INSTRUCTIONS {
        CODE.write(bytes);
        is_refused(name, &[0; 4]);
    }
    // INVLPG is the guest's own, wherever it points.
    for address in [0, 0xfa00_0000, 0x1000_0000, u64::MAX] {
        CODE.write(&[0x0f, 0x01, 0x39]);
        let registers = run(&[0, address, 0, 0]);
        check!(registers.is_ok(), "invlpg of {address:#x}: {registers:x?}");
    }
    say!("{} instructions that a guest has not", INSTRUCTIONS.len());
    leaves();
    ports();
}

fn model_specific_registers() {
    let (mut there, mut absent) = (0, 0);
    CODE.write(&[0x0f, 0x32]);
    for number in MODEL_SPECIFIC.into_iter().flatten() {
        match run(&[0, number.into(), 0, 0]) {
            Ok(_) => there += 1,
            Err(exception) => {
                is_at_the_code("rdmsr", exception, GENERAL_PROTECTION);
                absent += 1;
            }
        }
    }
    check!(there == READABLE, "{there} registers can be read");
    CODE.write(&[0x0f, 0x30]);
    for (number, value) in OF_THE_HOST {
        let result = run(&[value & 0xffff_ffff, number.into(), value >> 32, 0]);
        match result {
            Ok(_) => check!(false, "register {number:#x} can be written"),
            Err(exception) => is_at_the_code("wrmsr", exception, GENERAL_PROTECTION),
        }
    }
    say!("{there} model-specific registers can be read, {absent} cannot");
}

fn control_and_debug_registers() {
    // MOV RAX, CRn and MOV CRn, RAX; with REX.R those from 8 on.
    for number in [1, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15_u8] {
        for direction in [0x20, 0x22] {
            let rex = if number >= 8 { 0x44 } else { 0x40 };
            CODE.write(&[rex, 0x0f, direction, 0xc0 | (number & 7) << 3]);
            is_refused("a control register", &[0; 4]);
        }
    }
    for number in 0..8_u8 {
        for direction in [0x21, 0x23] {
            CODE.write(&[0x0f, direction, 0xc0 | number << 3]);
            is_refused("a debug register", &[0; 4]);
        }
    }
}

/// A debugger's step over an instruction that the VMM carries out ends behind it; `location` is
/// the trace device's.
pub fn single_steps(location: u64) {
    const TIME_STAMP_COUNTER: u64 = 0x10;
    // Of the serial port: every access to a port where nothing is counts, below.
    const LINE_STATUS: u64 = 0x3fd;
    // PUSHFQ, OR byte [RSP + 1], 1 (TF), POPFQ; what follows is the first step.
    const STEP: &[u8] = &[0x9c, 0x80, 0x4c, 0x24, 0x01, 0x01, 0x9d];
    const NOP: u8 = 0x90;
    let instructions: [(&str, &[u8]); 6] = [
        ("nop", &[NOP]),
        ("cpuid", &[0x0f, 0xa2]),
        ("rdmsr", &[0x0f, 0x32]),
        ("in al, dx", &[0xec]),
        ("mov eax, [rbx]", &[0x8b, 0x03]),
        ("mov [rbx], eax", &[0x89, 0x03]),
    ];
    for (name, instruction) in instructions {
        let mut code = [NOP; 16];
        let after = STEP.len() + instruction.len();
        code[..STEP.len()].copy_from_slice(STEP);
        code[STEP.len()..after].copy_from_slice(instruction);
        CODE.write(&code);
        // Twice: the VMM remembers what it has decoded.
        for _ in 0..2 {
            let stepped = run(&[0, TIME_STAMP_COUNTER, LINE_STATUS, location]);
            let Err(exception) = stepped else {
                check!(false, "no step over {name}");
                continue;
            };
            let found = (exception.vector, exception.rip);
            check!(
                found == (DEBUG, CODE.address() + after as u64),
                "a step over {name}: {exception} at {:#x}",
                exception.rip
            );
        }
    }
    say!("{} instructions are a step each", instructions.len());
}

/// What other hypervisors and the host's virtualization say of themselves is not there.
fn leaves() {
    const VMX: u64 = 1 << 5;
    const HYPERVISOR: u64 = 1 << 31;
    const SVM: u64 = 1 << 2;
    CODE.write(&[0x0f, 0xa2]);
    let cpuid = |leaf: u64| {
        let Ok(registers) = run(&[leaf, 0, 0, 0]) else {
            check!(false, "leaf {leaf:#x} is an exception");
            return [0; 4];
        };
        [RAX, RBX, RCX, RDX].map(|number| registers.gpr[number])
    };
    let hypervisors = 0x4000_0000..0x4000_0100;
    for leaf in hypervisors.chain([0x8000_000a, 0xc000_0000, 0xffff_ffff]) {
        let found = cpuid(leaf);
        check!(found == [0; 4], "leaf {leaf:#x}: {found:x?}");
    }
    check!(
        cpuid(1)[2] & (VMX | HYPERVISOR) == HYPERVISOR && cpuid(0x8000_0001)[2] & SVM == 0,
        "there is virtualization in a VM"
    );
}

/// Every port is read, and every sixteenth written: what nothing answers reads as all-ones and
/// takes what is written.
fn ports() {
    const IN_AL_DX: &[u8] = &[0xec];
    const OUT_DX_EAX: &[u8] = &[0xef];
    let mut count = 0;
    for (instruction, step) in [(IN_AL_DX, 1), (OUT_DX_EAX, 16)] {
        CODE.write(instruction);
        let ports = (0..=0xffff).step_by(step);
        for port in ports.filter(|port| !OWN_PORTS.contains(port)) {
            // Four bytes from below the serial port reach into it.
            let registers = code::call(CODE.address(), [0x1100, 0, port, 0, 0, 0, 0, 0]);
            let wanted = if instruction == IN_AL_DX {
                0x11ff
            } else {
                0x1100
            };
            check!(
                registers[0] == wanted,
                "port {port:#x}: {:#x}",
                registers[0]
            );
            count += 1;
        }
    }
    say!("{count} accesses to ports where nothing is");
}

/// Runs the page's code with RAX, RCX, RDX and RBX as given.
fn run(first: &[u64; 4]) -> Result<Registers, Exception> {
    attempt(|| {
        let mut registers = Registers {
            gpr: [0; 16],
            rflags: code::RFLAGS_CLEAR,
        };
        registers.gpr[..4].copy_from_slice(first);
        CODE.run_with(&mut registers);
        registers
    })
}

/// The page's instruction is #UD or #GP.
fn is_refused(what: &str, first: &[u64; 4]) {
    match run(first) {
        Ok(registers) => check!(false, "{what} was carried out: {registers:x?}"),
        Err(exception) => {
            let vector = match exception.vector {
                GENERAL_PROTECTION => GENERAL_PROTECTION,
                _ => INVALID_OPCODE,
            };
            is_at_the_code(what, exception, vector);
        }
    }
}

fn is_at_the_code(what: &str, exception: Exception, vector: u64) {
    let is_it = (exception.vector, exception.error_code, exception.rip);
    check!(
        is_it == (vector, 0, CODE.address()),
        "{what}: {exception} at {:#x}",
        exception.rip
    );
}
