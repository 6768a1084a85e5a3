//! Segments of a program's own, and code that runs in them: in every mode that a CPU has, at
//! privilege level 3, after SYSRET.
//!
//! Called by the program `modes`, on one vCPU, with interrupts masked. Invariant: after each
//! call the CPU is as before, in 64-bit mode at privilege level 0 on the same tables, whatever
//! the code was; an exception where there is long mode ends the attempt that it came in.
//!
//! ```text
//!   64-bit mode ─ far call ─► 32-bit code ─ far call ─► the code, in the segment that it wants
//!               ◄─ RETF ────  at an entry  ◄─ RETF ───
//!                             │
//!                             ├ compatibility
//!                             ├ without paging: CR0.PG cleared, and set again afterwards
//!                             └ PAE and 32-bit paging: besides, EFER.LME cleared, another CR3,
//!                               and for the latter CR4.PAE cleared, PSE set
//! ```
//!
//! AMD APM volume 2, 4.7 and 4.8 (descriptors), 6.1.1 (SYSCALL, SYSRET), 12.2.5 (task state
//! segment), 14.6 and 14.8 (entering and leaving long mode); volume 3, far CALL, RET, IRET.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::code::Registers;
use crate::page_tables;

/// A selector of 64-bit code, the segment that a program is entered in.
pub const CODE_64: u16 = 0x08;
/// Of data: 4 GiB from 0.
pub const DATA: u16 = 0x10;
/// Of 32-bit code: 4 GiB from 0.
pub const CODE_32: u16 = 0x18;
/// Of 32-bit code: 64 KiB from where [`place`] says.
pub const CODE_32_AT: u16 = 0x20;
/// Of 16-bit code: the same.
pub const CODE_16_AT: u16 = 0x28;
/// Of data: the same.
pub const DATA_AT: u16 = 0x30;
/// Of 32-bit code of privilege level 3; SYSRET wants the next two behind it.
pub const USER_CODE_32: u16 = 0x38 | 3;
/// Of data of privilege level 3.
pub const USER_DATA: u16 = 0x40 | 3;
/// Of 64-bit code of privilege level 3.
pub const USER_CODE_64: u16 = 0x48 | 3;
/// Of the task state segment, two entries.
const TASK: u16 = 0x50;
/// Of a task of 16 bits, which does not go with long mode.
const SHORT_TASK: u16 = 0x60;
/// Of 32-bit code that is marked as 64-bit code besides, which means nothing outside of long mode.
const MARKED_CODE: u16 = 0x68;

// Descriptors: 4 GiB from 0 but for those whose base is set, which have 64 KiB.
const DESCRIPTORS: [u64; 14] = [
    0,
    0x00af_9b00_0000_ffff,
    0x00cf_9300_0000_ffff,
    0x00cf_9b00_0000_ffff,
    0x0040_9b00_0000_ffff,
    0x0000_9b00_0000_ffff,
    0x0040_9300_0000_ffff,
    0x00cf_fb00_0000_ffff,
    0x00cf_f300_0000_ffff,
    0x00af_fb00_0000_ffff,
    0x0000_8900_0000_0067,
    0,
    0x0000_8100_0000_002b,
    0x00ef_9b00_0000_ffff,
];

static TABLE: [AtomicU64; DESCRIPTORS.len()] = [const { AtomicU64::new(0) }; DESCRIPTORS.len()];
/// The task state segment: in words 1 and 2 the stack that an exception at privilege level 3
/// is taken on.
static TASK_STATE: [AtomicU32; 26] = [const { AtomicU32::new(0) }; 26];

#[repr(C, align(16))]
struct Stack([AtomicU64; 1024]);
static EXCEPTION_STACK: Stack = Stack([const { AtomicU64::new(0) }; 1024]);

/// Loads the table and the task register.
pub fn turn_on() {
    for (place, descriptor) in TABLE.iter().zip(DESCRIPTORS) {
        place.store(descriptor, Ordering::Relaxed);
    }
    let stack = (&raw const EXCEPTION_STACK).addr() + size_of::<Stack>();
    TASK_STATE[1].store(stack as u32, Ordering::Relaxed);
    set_base(TASK, (&raw const TASK_STATE).addr() as u32);
    let table = (&raw const TABLE).addr() as u64;
    // Limit and base, as LGDT has them.
    let pointer = [(size_of_val(&TABLE) as u64 - 1) << 48, table];
    // SAFETY: the first entries are those that the program was entered with.
    unsafe { asm!("lgdt [{0} + 6]", in(reg) &pointer, options(nostack)) };
    // SAFETY: the entry describes the task state segment above.
    unsafe { asm!("ltr {0:x}", in(reg) TASK, options(nostack)) };
}

/// Lets the segment of `selector`, one with a base, begin at a linear address.
pub fn place(selector: u16, base: u64) {
    assert!(matches!(selector, CODE_32_AT | CODE_16_AT | DATA_AT));
    set_base(selector, base as u32);
}

fn set_base(selector: u16, base: u32) {
    let index = usize::from(selector >> 3);
    let base = u64::from(base);
    let descriptor = DESCRIPTORS[index] | (base & 0xff_ffff) << 16 | (base >> 24) << 56;
    TABLE[index].store(descriptor, Ordering::Relaxed);
}

/// What the CPU is in while the code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Around {
    /// Long mode.
    LongMode,
    /// Protected mode without paging.
    Unpaged,
    /// Protected mode with PAE paging, on the tables of [`page_tables::pae_root`].
    Pae,
    /// The same, but the first of the four entries of the root has this bit, too.
    PaeWith(u32),
    /// Protected mode with paging of 32-bit entries, those of [`page_tables::root_of_4_mib`].
    Legacy,
}

/// Code in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct FarPointer {
    /// Its offset there.
    pub offset: u32,
    /// The segment's selector.
    pub selector: u16,
}

/// Runs code that ends with a far return of 32 bits, with these registers and with DS as `data`
/// says. In 32-bit code the general registers but RSP are loaded and stored, the lower halves of
/// them, and RFLAGS; RBP and R8 to R15 are wholly what they were in 64-bit mode.
///
/// `false` if the CPU refuses to switch paging on; then the code has not run.
pub fn far_call(around: Around, code: FarPointer, data: u16, registers: &mut Registers) -> bool {
    const CR4_PAE_PSE: u32 = 1 << 5 | 1 << 4;
    let (root, cr4_change) = match around {
        Around::Pae => (page_tables::pae_root(0), 0),
        Around::PaeWith(bit) => (page_tables::pae_root(1 << bit), 0),
        Around::Legacy => (page_tables::root_of_4_mib(), CR4_PAE_PSE),
        Around::LongMode | Around::Unpaged => (0, 0),
    };
    #[cfg(target_os = "none")]
    {
        unsafe extern "C" {
            fn in_compatibility_mode();
            fn in_unpaged_mode();
            fn in_legacy_mode();
            fn call_by_32_bit_code(entry: &FarPointer, call: *mut Call);
            static mut call_of_32_bit_code: Call;
        }
        let entry: unsafe extern "C" fn() = match around {
            Around::LongMode => in_compatibility_mode,
            Around::Unpaged => in_unpaged_mode,
            Around::Pae | Around::PaeWith(_) | Around::Legacy => in_legacy_mode,
        };
        let entry = FarPointer {
            offset: entry as usize as u32,
            selector: CODE_32,
        };
        let call = &raw mut call_of_32_bit_code;
        let wanted = Call {
            registers: *registers,
            code,
            data: data.into(),
            root: root as u32,
            cr4_change,
            refused: 0,
        };
        // SAFETY: nobody else uses the place, on one vCPU and with interrupts masked.
        unsafe { call.write_volatile(wanted) };
        // SAFETY: by the function's contract the code returns; what it may change is stored.
        unsafe { call_by_32_bit_code(&entry, call) };
        // SAFETY: as above.
        let call = unsafe { call.read_volatile() };
        *registers = call.registers;
        call.refused == 0
    }
    #[cfg(not(target_os = "none"))]
    unimplemented!("{around:?} {code:?} {data:#x} {registers:?} {root:#x} {cr4_change:#x}")
}

/// From what no CPU enters long mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A task of 16 bits.
    ShortTask,
    /// A code segment that is marked as 64-bit code.
    MarkedCode,
}

/// Leaves long mode by switching paging off, and tries to enter it again from there. Whether the
/// CPU refuses that by #GP; one that does not may never come back.
pub fn is_refused_long_mode(from: Origin) -> bool {
    #[cfg(target_os = "none")]
    {
        unsafe extern "C" {
            fn call_by_32_bit_code(entry: &FarPointer, call: *mut Call);
            fn in_unpaged_mode_from();
            fn enter_long_mode();
            static mut call_of_32_bit_code: Call;
        }
        let short_task = usize::from(SHORT_TASK >> 3);
        // Available, though it was loaded before.
        TABLE[short_task].store(DESCRIPTORS[short_task], Ordering::Relaxed);
        let (selector, task) = match from {
            Origin::ShortTask => (CODE_32, SHORT_TASK),
            Origin::MarkedCode => (MARKED_CODE, TASK),
        };
        let wanted = Call {
            registers: Registers {
                gpr: [0; 16],
                rflags: crate::code::RFLAGS_CLEAR,
            },
            code: FarPointer {
                offset: enter_long_mode as *const () as u32,
                selector,
            },
            data: task.into(),
            root: 0,
            cr4_change: 0,
            refused: 0,
        };
        let entry = FarPointer {
            offset: in_unpaged_mode_from as *const () as u32,
            selector: CODE_32,
        };
        let call = &raw mut call_of_32_bit_code;
        // SAFETY: as in `far_call`.
        unsafe { call.write_volatile(wanted) };
        // SAFETY: the entry comes back in long mode, on the task that was loaded before.
        unsafe { call_by_32_bit_code(&entry, call) };
        // SAFETY: as above.
        unsafe { call.read_volatile() }.refused != 0
    }
    #[cfg(not(target_os = "none"))]
    unimplemented!("{from:?} {SHORT_TASK:#x} {MARKED_CODE:#x}")
}

/// What the assembly is told, and where it leaves the registers.
#[derive(Clone, Copy)]
#[repr(C)]
struct Call {
    registers: Registers,
    code: FarPointer,
    data: u32,
    root: u32,
    /// Bits that change with long mode off; what was changed is changed back.
    cr4_change: u32,
    /// Not 0 if paging was refused.
    refused: u32,
}
const _: () = assert!(core::mem::offset_of!(Call, code) == 136);
const _: () = assert!(core::mem::offset_of!(Call, data) == 144);
const _: () = assert!(core::mem::offset_of!(Call, root) == 148);
const _: () = assert!(core::mem::offset_of!(Call, cr4_change) == 152);
const _: () = assert!(core::mem::offset_of!(Call, refused) == 156);

/// Goes to privilege level 3 by IRETQ, to `rip` in the code segment `selector`. Ends by an
/// exception alone, so an attempt is under way.
pub fn run_as_user(selector: u16, rip: u64, registers: &Registers) -> ! {
    #[cfg(target_os = "none")]
    {
        unsafe extern "C" {
            fn return_to_user(selector: u64, rip: u64, registers: &Registers) -> !;
        }
        // SAFETY: privilege level 3 reaches only what the page tables let it.
        unsafe { return_to_user(selector.into(), rip, registers) }
    }
    #[cfg(not(target_os = "none"))]
    unimplemented!("{selector:#x} {rip:#x} {registers:?}")
}

/// What SYSCALL left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct SystemCall {
    /// The registers at the entry; RFLAGS are those of the entry, too.
    pub registers: Registers,
    /// CS and SS.
    pub selectors: [u64; 2],
}

/// Goes to privilege level 3 by SYSRET, to RCX in 64-bit code, with R11 as RFLAGS; until SYSCALL.
/// STAR and LSTAR must be [`STAR`] and [`system_call_entry`].
pub fn run_until_system_call(registers: &Registers) -> SystemCall {
    #[cfg(target_os = "none")]
    {
        unsafe extern "C" {
            fn return_by_sysret(call: &mut SystemCall);
        }
        let mut call = SystemCall {
            registers: *registers,
            selectors: [0; 2],
        };
        // SAFETY: as above; the entry stores what the code may change.
        unsafe { return_by_sysret(&mut call) };
        call
    }
    #[cfg(not(target_os = "none"))]
    unimplemented!("{registers:?}")
}

/// STAR: the segments of SYSCALL and of SYSRET.
pub const STAR: u64 = (USER_CODE_32 as u64) << 48 | (CODE_64 as u64) << 32;

/// Where SYSCALL goes.
pub fn system_call_entry() -> u64 {
    #[cfg(target_os = "none")]
    {
        unsafe extern "C" {
            fn from_system_call();
        }
        from_system_call as *const () as u64
    }
    #[cfg(not(target_os = "none"))]
    unimplemented!()
}

// call_by_32_bit_code(RDI = far pointer of an entry, RSI = Call): keeps RBX, RBP, R12 to R15.
//
// The entries, in 32-bit code, entered by a far call: change what is around, call `by_32_bit_code`,
// and change it back. That loads and stores all registers by way of SS, which is flat. Without long
// mode there is one exception that has a handler, #GP where paging is switched on. One entry calls
// nothing but jumps to `enter_long_mode`, in the segment and on the task (Call.data) that are asked for.
//
// return_to_user(RDI = selector, RSI = RIP, RDX = registers): ends by an exception.
//
// return_by_sysret(RDI = SystemCall): keeps RBX, RBP, R12 to R15. SYSCALL, without a stack of its
// own, finds RSP as it was.
#[cfg(target_os = "none")]
core::arch::global_asm!(
    r#"
    // What the caller keeps.
    .macro push_callers
        push    rbp
        push    rbx
        push    r12
        push    r13
        push    r14
        push    r15
    .endm
    // R8 to R15 from and to the registers at \base.
    .macro load_r8_to_r15 base
        mov     r8, [\base + 64]
        mov     r9, [\base + 72]
        mov     r10, [\base + 80]
        mov     r11, [\base + 88]
        mov     r12, [\base + 96]
        mov     r13, [\base + 104]
        mov     r14, [\base + 112]
        mov     r15, [\base + 120]
    .endm
    .macro store_r8_to_r15 base
        mov     [\base + 64], r8
        mov     [\base + 72], r9
        mov     [\base + 80], r10
        mov     [\base + 88], r11
        mov     [\base + 96], r12
        mov     [\base + 104], r13
        mov     [\base + 112], r14
        mov     [\base + 120], r15
    .endm

    .section .text.segments, "ax"
    .global call_by_32_bit_code
call_by_32_bit_code:
    push_callers
    mov     eax, {DATA}
    mov     ss, eax
    mov     es, eax
    mov     rbp, [rsi + 40]
    load_r8_to_r15 rsi
    call    fword ptr [rdi]
    lea     rsi, [rip + call_of_32_bit_code]
    mov     [rsi + 40], rbp
    store_r8_to_r15 rsi
3:  pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbx
    pop     rbp
    ret

    .global return_to_user
return_to_user:
    mov     eax, {USER_DATA}
    mov     ds, eax
    mov     es, eax
    push    rax                         // SS
    push    0                           // RSP: there is no stack
    push    [rdx + 128]                 // RFLAGS
    push    rdi                         // CS
    push    rsi                         // RIP
    mov     rax, [rdx]
    mov     rcx, [rdx + 8]
    mov     rbx, [rdx + 24]
    mov     rbp, [rdx + 40]
    mov     rsi, [rdx + 48]
    mov     rdi, [rdx + 56]
    load_r8_to_r15 rdx
    mov     rdx, [rdx + 16]
    iretq

    .global return_by_sysret
return_by_sysret:
    push_callers
    mov     [rip + system_call], rdi
    mov     eax, {DATA}
    mov     ss, eax
    mov     rax, [rdi]
    mov     rcx, [rdi + 8]
    mov     rdx, [rdi + 16]
    mov     rbx, [rdi + 24]
    mov     rbp, [rdi + 40]
    mov     rsi, [rdi + 48]
    load_r8_to_r15 rdi
    mov     rdi, [rdi + 56]
    sysretq

    .global from_system_call
from_system_call:
    pushfq
    push    rdi
    mov     rdi, [rip + system_call]
    mov     [rdi], rax
    mov     [rdi + 8], rcx
    mov     [rdi + 16], rdx
    mov     [rdi + 24], rbx
    mov     [rdi + 40], rbp
    mov     [rdi + 48], rsi
    pop     [rdi + 56]
    store_r8_to_r15 rdi
    pop     [rdi + 128]
    mov     eax, cs
    mov     [rdi + 136], rax
    mov     eax, ss
    mov     [rdi + 144], rax
    jmp     3b

    .code32
    .global in_compatibility_mode
in_compatibility_mode:
    call    by_32_bit_code
    retf

    .global in_unpaged_mode
in_unpaged_mode:
    mov     eax, cr0
    btr     eax, 31
    mov     cr0, eax
    call    by_32_bit_code
    mov     eax, cr0
    bts     eax, 31
    mov     cr0, eax
    retf

    .global in_legacy_mode
in_legacy_mode:
    mov     eax, cr0
    btr     eax, 31
    mov     cr0, eax
    mov     eax, cr3
    push    eax
    mov     ecx, 0xc0000080             // EFER
    rdmsr
    btr     eax, 8                      // LME
    wrmsr
    mov     eax, cr4
    xor     eax, ss:[call_of_32_bit_code + 152]
    mov     cr4, eax
    mov     eax, ss:[call_of_32_bit_code + 148]
    mov     cr3, eax
    sub     esp, 8
    sidt    [esp]
    mov     eax, offset legacy_general_protection
    call    take_general_protection
    mov     eax, cr0
    bts     eax, 31
    mov     cr0, eax
    call    by_32_bit_code
leave_legacy_mode:
    lidt    [esp]
    add     esp, 8
    mov     eax, cr0
    btr     eax, 31
    mov     cr0, eax
    mov     eax, cr4
    xor     eax, ss:[call_of_32_bit_code + 152]
    mov     cr4, eax
    mov     ecx, 0xc0000080
    rdmsr
    bts     eax, 8
    wrmsr
    pop     eax
    mov     cr3, eax
    mov     eax, cr0
    bts     eax, 31
    mov     cr0, eax
    retf

legacy_general_protection:
    add     esp, 4                          // its error code
    mov     dword ptr [esp], offset leave_legacy_mode
    mov     dword ptr ss:[call_of_32_bit_code + 156], 1
    iretd

    // Its handler is at EAX.
take_general_protection:
    mov     ss:[legacy_gate], ax            // offset 15..0
    mov     word ptr ss:[legacy_gate + 2], {CODE_32}
    mov     word ptr ss:[legacy_gate + 4], 0x8e00
    shr     eax, 16
    mov     ss:[legacy_gate + 6], ax        // offset 31..16
    lidt    ss:[legacy_table_pointer]
    ret

    .global in_unpaged_mode_from
in_unpaged_mode_from:
    mov     eax, cr0
    btr     eax, 31
    mov     cr0, eax
    sub     esp, 8
    sidt    [esp]
    mov     eax, offset long_mode_is_refused
    call    take_general_protection
    mov     eax, ss:[call_of_32_bit_code + 144]
    call    load_task
    jmp     fword ptr ss:[call_of_32_bit_code + 136]
    .global enter_long_mode
enter_long_mode:
    mov     eax, cr0
    bts     eax, 31
    mov     cr0, eax
back_to_long_mode:
    lidt    [esp]
    add     esp, 8
    mov     eax, {TASK}
    call    load_task
    mov     eax, cr0
    bts     eax, 31
    mov     cr0, eax
    retf

long_mode_is_refused:
    add     esp, 4                          // its error code
    mov     dword ptr [esp], offset back_to_long_mode
    mov     dword ptr [esp + 4], {CODE_32}
    mov     dword ptr ss:[call_of_32_bit_code + 156], 1
    iretd

    // The task of selector EAX, also if it is the one that is under way.
load_task:
    sub     esp, 8
    sgdt    [esp]
    mov     ecx, [esp + 2]
    btr     dword ptr ss:[ecx + eax + 4], 9
    add     esp, 8
    ltr     ax
    ret

by_32_bit_code:
    mov     ds, ss:[call_of_32_bit_code + 144]
    push    dword ptr ss:[call_of_32_bit_code + 128]
    popfd
    mov     eax, ss:[call_of_32_bit_code]
    mov     ecx, ss:[call_of_32_bit_code + 8]
    mov     edx, ss:[call_of_32_bit_code + 16]
    mov     ebx, ss:[call_of_32_bit_code + 24]
    mov     esi, ss:[call_of_32_bit_code + 48]
    mov     edi, ss:[call_of_32_bit_code + 56]
    call    fword ptr ss:[call_of_32_bit_code + 136]
    mov     ss:[call_of_32_bit_code], eax
    mov     ss:[call_of_32_bit_code + 8], ecx
    mov     ss:[call_of_32_bit_code + 16], edx
    mov     ss:[call_of_32_bit_code + 24], ebx
    mov     ss:[call_of_32_bit_code + 48], esi
    mov     ss:[call_of_32_bit_code + 56], edi
    pushfd
    pop     dword ptr ss:[call_of_32_bit_code + 128]
    mov     eax, {DATA}
    mov     ds, eax
    cld
    ret
    .code64

    .section .rodata.segments, "a"
    .balign 4
legacy_table_pointer:
    .word   14 * 8 - 1
    .long   legacy_table

    .section .bss.segments, "aw", @nobits
    .balign 8
legacy_table:   .skip 13 * 8
legacy_gate:    .skip 8
    .global call_of_32_bit_code
call_of_32_bit_code:
                .skip 160
system_call:    .skip 8
"#,
    CODE_32 = const CODE_32,
    DATA = const DATA,
    TASK = const TASK,
    USER_DATA = const USER_DATA,
);
