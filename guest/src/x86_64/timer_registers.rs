//! Every register by which a guest could try to reach the host's clock, its interrupts or its
//! power switch: model-specific registers, I/O ports, and the devices in memory of a PC.
//!
//! For the hostile program only. AMD APM volume 2, appendix A; Intel ICH9 datasheet (316972).

use core::arch::asm;

/// A register that may or may not let itself be written and read.
#[derive(Debug, Clone, Copy)]
pub struct HostileRegister {
    /// What it is called.
    pub name: &'static str,
    /// Writes it.
    pub write: fn(u64),
    /// Reads it.
    pub read: fn() -> u64,
}

/// Model-specific registers by their number.
macro_rules! model_specific {
    ($($name:ident $number:literal)*) => {
        &[$(HostileRegister {
            name: stringify!($name),
            write: write_model_specific::<$number>,
            read: read_model_specific::<$number>,
        },)*]
    };
}

/// Ports, one byte each.
macro_rules! ports {
    ($($name:ident $number:literal)*) => {
        &[$(HostileRegister {
            name: stringify!($name),
            write: write_port::<$number>,
            read: read_port::<$number>,
        },)*]
    };
}

/// Words in memory.
macro_rules! memory {
    ($($name:ident $address:literal)*) => {
        &[$(HostileRegister {
            name: stringify!($name),
            write: write_memory::<$address>,
            read: read_memory::<$address>,
        },)*]
    };
}

/// All of them, in groups.
pub const ALL: &[&[HostileRegister]] = &[
    model_specific! {
        TSC 0x10
        APIC_BASE 0x1b
        TSC_ADJUST 0x3b
        TSC_DEADLINE 0x6e0
        X2APIC_EOI 0x80b
        X2APIC_LVT_TIMER 0x832
        X2APIC_INITIAL_COUNT 0x838
        X2APIC_DIVIDE 0x83e
        EFER 0xc000_0080
        VM_CR 0xc001_0114
        VM_HSAVE_PA 0xc001_0117
    },
    ports! {
        PIC1_COMMAND 0x20
        PIC1_DATA 0x21
        PIT_0 0x40
        PIT_2 0x42
        PIT_COMMAND 0x43
        PIT_GATE 0x61
        RTC_INDEX 0x70
        RTC_DATA 0x71
        PIC2_DATA 0xa1
        DEBUG_EXIT 0xf4
        PM1_CNT 0x605
        RESET 0xcf9
    },
    memory! {
        IOAPIC_INDEX 0xfec0_0000
        IOAPIC_DATA 0xfec0_0010
        HPET_CONFIGURATION 0xfed0_0010
        HPET_COUNTER 0xfed0_00f0
        APIC_EOI 0xfee0_00b0
        APIC_LVT_TIMER 0xfee0_0320
        APIC_INITIAL_COUNT 0xfee0_0380
        APIC_DIVIDE 0xfee0_03e0
    },
];

fn write_model_specific<const NUMBER: u32>(value: u64) {
    // SAFETY: touches no memory; what it does to the CPU is contained by the VM, or the
    // program has found something.
    unsafe {
        asm!(
            "wrmsr",
            in("ecx") NUMBER,
            in("eax") value as u32,
            in("edx") (value >> 32) as u32,
            options(nostack, preserves_flags),
        );
    }
}

fn read_model_specific<const NUMBER: u32>() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: touches no memory.
    unsafe {
        asm!(
            "rdmsr",
            in("ecx") NUMBER,
            out("eax") low,
            out("edx") high,
            options(nostack, preserves_flags),
        );
    }
    u64::from(high) << 32 | u64::from(low)
}

fn write_port<const PORT: u16>(value: u64) {
    // SAFETY: as for `write_model_specific`.
    unsafe {
        asm!(
            "out dx, al",
            in("dx") PORT,
            in("al") value as u8,
            options(nostack, preserves_flags),
        );
    }
}

fn read_port<const PORT: u16>() -> u64 {
    let value: u8;
    // SAFETY: touches no memory.
    unsafe {
        asm!("in al, dx", in("dx") PORT, out("al") value, options(nostack, preserves_flags));
    }
    value.into()
}

fn write_memory<const ADDRESS: u64>(value: u64) {
    // SAFETY: no memory of the program's is there.
    unsafe {
        asm!(
            "mov [{a}], {v:e}",
            a = in(reg) ADDRESS,
            v = in(reg) value,
            options(nostack, preserves_flags),
        );
    }
}

fn read_memory<const ADDRESS: u64>() -> u64 {
    let value: u32;
    // SAFETY: reading has no effect on the program.
    unsafe {
        asm!(
            "mov {v:e}, [{a}]",
            a = in(reg) ADDRESS,
            v = out(reg) value,
            options(nostack, preserves_flags),
        );
    }
    value.into()
}
