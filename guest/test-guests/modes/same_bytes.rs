//! The same bytes at the same RIP, in 64-bit code and in 32-bit code, where they mean different
//! things, one right after the other and in both orders: only far calls are between them, which
//! no VMM sees.
//!
//! AMD APM volume 3, 1.2.7 (REX), 1.4 (ModRM), 1.7 (RIP-relative addressing), MOV.

use core::sync::atomic::{AtomicU8, Ordering};

use guest::check;
use guest::code::{CodePage, RFLAGS_CLEAR, Registers};
use guest::driver::PAGE_LEN_BYTES;
use guest::exceptions::attempt;
use guest::page_tables::{self, WINDOW, WINDOW_LEVEL_3};
use guest::segments::{self, Around, CODE_32, CODE_64, DATA, DATA_AT, FarPointer};

use super::Location;

static CODE: CodePage = CodePage::new();

/// 256 bytes whose addresses differ in their last one alone.
#[repr(align(256))]
struct Sums([AtomicU8; 256]);
static SUMS: Sums = Sums([const { AtomicU8::new(0) }; 256]);

const RAX: usize = 0;
const RCX: usize = 1;
const RDX: usize = 2;
const RBX: usize = 3;
const RDI: usize = 7;
const R10: usize = 10;

const INVALID_OPCODE: u64 = 6;

/// What the location holds: no two bytes alike, and a tick changes only the first, which no case
/// loads.
const WORD: u32 = 0x4433_2211;

const RETF: u8 = 0xcb;

/// What an instruction does in one of the two.
enum Meaning {
    /// Loads a lane of so many bytes into EAX, and leaves ECX with that much more.
    Loads(u32, u32, u64),
    /// It wants more of the device than that has, and gets all-ones: policy `reference`.
    Wide,
    /// It is not carried out: policy `instruction`.
    Refused,
}

struct Case<'a> {
    name: &'static str,
    /// Where in its page the code is.
    offset: u64,
    code: &'a [u8],
    data: u16,
    registers: [(usize, u64); 5],
    in_64_bit: Meaning,
    in_32_bit: Meaning,
}

/// All of them.
pub fn mean_another_thing(location: &mut Location) {
    use Meaning::{Loads, Refused, Wide};
    let at = location.address();
    segments::place(DATA_AT, at - 0x100);
    let unused = (0, 0x1122_3344);
    let moffs = (at as u32).to_le_bytes();
    let [a, b, c, d] = moffs;
    // Where RIP-relative 64-bit code and absolute 32-bit code both find the device.
    const FIRST_PAGE: usize = 4;
    const END: u64 = PAGE_LEN_BYTES - 9;
    let absolute = WINDOW + (FIRST_PAGE as u64 + 1) * PAGE_LEN_BYTES + location.in_page() + 3;
    let relative = absolute as u32 as i32;
    let [e, f, g, h] = relative.to_le_bytes();
    let device = at & !(PAGE_LEN_BYTES - 1);
    WINDOW_LEVEL_3.set(FIRST_PAGE, page_tables::page(CODE.address()));
    WINDOW_LEVEL_3.set(FIRST_PAGE + 1, page_tables::page(device));
    WINDOW_LEVEL_3.set(2 * FIRST_PAGE + 2, page_tables::page(device));
    page_tables::show_window_at(0);

    let cases = [
        // 64-bit: mov al, [r10]. 32-bit: inc ecx; mov al, [edx].
        Case {
            name: "a prefix or an increment",
            offset: 0,
            code: &[0x41, 0x8a, 0x02, RETF],
            data: DATA,
            registers: [unused, (R10, at + 1), (RDX, at + 2), unused, unused],
            in_64_bit: Loads(1, 1, 0),
            in_32_bit: Loads(1, 2, 1),
        },
        // 64-bit: mov rax, [rdx], more than the device has. 32-bit: dec eax; mov eax, [edx].
        Case {
            name: "64 bits or a decrement",
            offset: 0,
            code: &[0x48, 0x8b, 0x02, RETF],
            data: DATA,
            registers: [unused, (RDX, at), unused, unused, unused],
            in_64_bit: Wide,
            in_32_bit: Loads(4, 0, 0),
        },
        // 64-bit: mov al, [edi]. 32-bit: mov al, [bx].
        Case {
            name: "an address of 32 or of 16 bits",
            offset: 0,
            code: &[0x67, 0x8a, 0x07, RETF],
            data: DATA_AT,
            registers: [unused, (RDI, at + 1), (RBX, 0x102), unused, unused],
            in_64_bit: Loads(1, 1, 0),
            in_32_bit: Loads(1, 2, 0),
        },
        // 64-bit: movsxd eax, [rdx]. 32-bit: arpl [edx], ax.
        Case {
            name: "an extension or arpl",
            offset: 0,
            code: &[0x63, 0x02, RETF],
            data: DATA,
            registers: [unused, (RDX, at), unused, unused, unused],
            in_64_bit: Loads(4, 0, 0),
            in_32_bit: Refused,
        },
        // 64-bit: mov al, [address of 64 bits]. 32-bit: mov al, [address of 32 bits];
        // add [eax], al, twice.
        Case {
            name: "an address of 64 bits or two additions",
            offset: 0,
            code: &[0xa0, a.wrapping_add(2), b, c, d, 0, 0, 0, 0, RETF],
            data: DATA,
            registers: [
                (RAX, (&raw const SUMS).addr() as u64),
                unused,
                unused,
                unused,
                unused,
            ],
            in_64_bit: Loads(1, 2, 0),
            in_32_bit: Loads(1, 2, 0),
        },
        // 64-bit: mov al, [rip + displacement]. 32-bit: mov al, [displacement].
        Case {
            name: "relative or absolute",
            offset: WINDOW + FIRST_PAGE as u64 * PAGE_LEN_BYTES + END - CODE.address(),
            code: &[0x8a, 0x05, e, f, g, h, RETF],
            data: DATA,
            registers: [unused; 5],
            in_64_bit: Loads(1, 0, 0),
            in_32_bit: Loads(1, 3, 0),
        },
    ];
    for case in &cases {
        case.run(location);
    }
    let sum = SUMS.0[usize::from(WORD.to_le_bytes()[2])].load(Ordering::Relaxed);
    let sums = 3 * 2 * WORD.to_le_bytes()[2] as u32;
    check!(
        u32::from(sum) == sums & 0xff,
        "the additions are {sum:#x}, not {sums:#x}"
    );
}

impl Case<'_> {
    fn run(&self, location: &mut Location) {
        let in_page = self.offset % PAGE_LEN_BYTES;
        CODE.write_at(in_page as usize, self.code);
        let offset = CODE.address().wrapping_add(self.offset) as u32;
        location.set(WORD);
        for selector in [CODE_64, CODE_64, CODE_32, CODE_32, CODE_64, CODE_32] {
            let mut registers = Registers {
                gpr: [0; 16],
                rflags: RFLAGS_CLEAR,
            };
            for (number, value) in self.registers.into_iter().rev() {
                registers.gpr[number] = value;
            }
            let before = registers;
            let code = FarPointer { offset, selector };
            let result =
                attempt(|| segments::far_call(Around::LongMode, code, self.data, &mut registers));
            let meaning = match selector {
                CODE_64 => &self.in_64_bit,
                _ => &self.in_32_bit,
            };
            match *meaning {
                Meaning::Loads(bytes, lane, more) => {
                    check!(result.is_ok(), "{}: {result:x?}", self.name);
                    let mask = super::mask(bytes);
                    location.loaded(bytes, lane, registers.gpr[RAX] as u32 & mask);
                    let kept = registers.gpr[RAX] ^ before.gpr[RAX];
                    check!(
                        kept as u32 & !mask == 0 && registers.gpr[RCX] == before.gpr[RCX] + more,
                        "{} in segment {selector:#x}: {registers:x?}",
                        self.name
                    );
                }
                Meaning::Wide => check!(
                    result.is_ok() && registers.gpr[RAX] as u32 == u32::MAX,
                    "{} in segment {selector:#x}: {result:x?}, {registers:x?}",
                    self.name
                ),
                Meaning::Refused => check!(
                    result.is_err_and(|exception| exception.vector == INVALID_OPCODE
                        && exception.rip == offset.into()),
                    "{} in segment {selector:#x}: {result:x?}",
                    self.name
                ),
            }
        }
        location.say(self.name);
    }
}
