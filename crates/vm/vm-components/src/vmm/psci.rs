//! The calls that a guest may make to its VMM: PSCI 1.1 and SMCCC 1.1, as far as a VM with one CPU
//! must have them, and one of our own.
//!
//! Asked by the VMM component on `HVC` and `SMC`. Invariant: an unknown call returns
//! NOT_SUPPORTED and has no effect.
//!
//! | call | answer |
//! |---|---|
//! | CPU_SUSPEND | a standby state of the CPU is WFI; others are INVALID_PARAMETERS |
//! | CPU_OFF | the only CPU is off, and so is the VM |
//! | CPU_ON | ALREADY_ON; of another CPU INVALID_PARAMETERS |
//! | AFFINITY_INFO | ON; of another CPU INVALID_PARAMETERS |
//! | MIGRATE_INFO_TYPE | there is no Trusted OS that would have to migrate |
//!
//! Specification: Power State Coordination Interface, DEN 0022D, section 5; SMC Calling
//! Convention, DEN 0028, sections 5 to 7.

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// The guest goes on with this in x0.
    Return(u64),
    /// The guest waits for an interrupt and then goes on with this in x0.
    Wait(u64),
    /// The guest wants the VM switched off.
    PowerOff,
    /// The guest wants the VM reset.
    Reset,
    /// The guest says that it failed, with a code of its own (x1).
    Failed(u64),
}

const SMCCC_VERSION: u32 = 0x8000_0000;
const SMCCC_ARCH_FEATURES: u32 = 0x8000_0001;
const PSCI_VERSION: u32 = 0x8400_0000;
const CPU_SUSPEND: u32 = 0x8400_0001;
const CPU_OFF: u32 = 0x8400_0002;
const CPU_ON: u32 = 0x8400_0003;
const AFFINITY_INFO: u32 = 0x8400_0004;
const MIGRATE_INFO_TYPE: u32 = 0x8400_0006;
const SYSTEM_OFF: u32 = 0x8400_0008;
const SYSTEM_RESET: u32 = 0x8400_0009;
const PSCI_FEATURES: u32 = 0x8400_000a;
/// Those that take an address or a CPU have a second identifier, with arguments of 64 bits.
const IN_64_BITS: u32 = 1 << 30;
const CPU_SUSPEND_64: u32 = CPU_SUSPEND | IN_64_BITS;
const CPU_ON_64: u32 = CPU_ON | IN_64_BITS;
const AFFINITY_INFO_64: u32 = AFFINITY_INFO | IN_64_BITS;
/// Vendor-specific hypervisor service, function 0: the guest has failed.
const GUEST_FAILED: u32 = 0xc600_0000;

const SUCCESS: u64 = 0;
const NOT_SUPPORTED: u64 = -1_i64 as u64;
const INVALID_PARAMETERS: u64 = -2_i64 as u64;
const ALREADY_ON: u64 = -4_i64 as u64;
const VERSION_1_1: u64 = 0x1_0001;
/// AFFINITY_INFO's answer.
const ON: u64 = 0;
/// MIGRATE_INFO_TYPE's answer.
const NO_TRUSTED_OS: u64 = 2;

/// Aff3 and Aff2 to Aff0 of an MPIDR, all of which are 0 in that of the only CPU.
const AFFINITY: u64 = 0xff_00ff_ffff;

/// Judges a call by its function identifier (w0) and its first two arguments (x1, x2).
pub fn judge(function: u64, arguments: [u64; 2]) -> Call {
    let function = function as u32;
    let [first, second] = match function & IN_64_BITS {
        0 => arguments.map(|argument| argument & 0xffff_ffff),
        _ => arguments,
    };
    match function {
        SMCCC_VERSION | PSCI_VERSION => Call::Return(VERSION_1_1),
        SMCCC_ARCH_FEATURES => Call::Return(match first as u32 {
            SMCCC_VERSION | SMCCC_ARCH_FEATURES => SUCCESS,
            _ => NOT_SUPPORTED,
        }),
        CPU_SUSPEND | CPU_SUSPEND_64 if is_standby_of_the_cpu(first) => Call::Wait(SUCCESS),
        CPU_SUSPEND | CPU_SUSPEND_64 => Call::Return(INVALID_PARAMETERS),
        CPU_ON | CPU_ON_64 if first == 0 => Call::Return(ALREADY_ON),
        CPU_ON | CPU_ON_64 => Call::Return(INVALID_PARAMETERS),
        AFFINITY_INFO | AFFINITY_INFO_64 if holds_the_cpu(first, second) => Call::Return(ON),
        AFFINITY_INFO | AFFINITY_INFO_64 => Call::Return(INVALID_PARAMETERS),
        MIGRATE_INFO_TYPE => Call::Return(NO_TRUSTED_OS),
        CPU_OFF | SYSTEM_OFF => Call::PowerOff,
        SYSTEM_RESET => Call::Reset,
        GUEST_FAILED => Call::Failed(first),
        PSCI_FEATURES if is_there(first as u32) => Call::Return(SUCCESS),
        _ => Call::Return(NOT_SUPPORTED),
    }
}

/// Whether PSCI_FEATURES announces a function. No feature has a flag: power states are in the
/// original format, and the platform coordinates.
const fn is_there(function: u32) -> bool {
    matches!(
        function,
        SMCCC_VERSION
            | PSCI_VERSION
            | CPU_SUSPEND
            | CPU_SUSPEND_64
            | CPU_OFF
            | CPU_ON
            | CPU_ON_64
            | AFFINITY_INFO
            | AFFINITY_INFO_64
            | MIGRATE_INFO_TYPE
            | SYSTEM_OFF
            | SYSTEM_RESET
            | PSCI_FEATURES
    )
}

/// Whether a power_state is a standby state (bit 16) of the CPU alone (bits 25 and 24), with any
/// StateID (bits 15 to 0).
const fn is_standby_of_the_cpu(power_state: u64) -> bool {
    power_state & 0xffff_0000 == 0
}

/// Whether the only CPU is in the affinity instance that `target` names from `lowest_level` up.
const fn holds_the_cpu(target: u64, lowest_level: u64) -> bool {
    let below = match lowest_level {
        0 => 0,
        1 => 0xff,
        2 => 0xffff,
        3 => 0xff_ffff,
        _ => return false,
    };
    target & !AFFINITY == 0 && target & !below == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO: Call = Call::Return(-1_i64 as u64);
    const VERSION: u64 = 0x8400_0000;
    const INVALID: Call = Call::Return(-2_i64 as u64);

    fn call(function: u64) -> Call {
        judge(function, [0, 0])
    }

    /// What PSCI 1.1 says is mandatory (DEN 0022D, table 5 in 5.1), and what SMCCC 1.1 does.
    const MANDATORY: [u64; 11] = [
        0x8400_0000, // PSCI_VERSION
        0x8400_0001, // CPU_SUSPEND
        0xc400_0001,
        0x8400_0002, // CPU_OFF
        0x8400_0003, // CPU_ON
        0xc400_0003,
        0x8400_0004, // AFFINITY_INFO
        0xc400_0004,
        0x8400_0008, // SYSTEM_OFF
        0x8400_0009, // SYSTEM_RESET
        0x8400_000a, // PSCI_FEATURES
    ];

    #[test]
    fn what_the_announced_version_makes_mandatory_is_there_and_announced() {
        for function in MANDATORY {
            assert_ne!(judge(function, [VERSION, 0]), NO, "{function:#x}");
            let announced = judge(0x8400_000a, [function, 0]);
            assert_eq!(announced, Call::Return(0), "{function:#x}");
        }
        for version in [0x8400_0000, 0x8000_0000] {
            assert_eq!(call(version), Call::Return(0x1_0001));
        }
        assert_eq!(judge(0x8400_000a, [0x8000_0000, 0]), Call::Return(0));
        for function in [0x8000_0000, 0x8000_0001] {
            assert_eq!(judge(0x8000_0001, [function, 0]), Call::Return(0));
        }
        // SMCCC_ARCH_WORKAROUND_1 and 2: this VMM has none.
        for function in [0x8000_8000, 0x8000_7fff] {
            assert_eq!(judge(0x8000_0001, [function, 0]), NO);
        }
    }

    #[test]
    fn only_the_functions_we_have_are_announced() {
        // All of PSCI's and those around them.
        for function in (0..0x40).flat_map(|number| [0x8400_0000 | number, 0xc400_0000 | number]) {
            let announced = judge(0x8400_000a, [function, 0]);
            let answer = judge(function, [VERSION, 0]);
            assert_eq!(announced == NO, answer == NO, "{function:#x}");
        }
        for function in [0, 0x8000_0001, 0xc600_0000] {
            assert_eq!(judge(0x8400_000a, [function, 0]), NO, "{function:#x}");
        }
    }

    #[test]
    fn an_unknown_call_is_not_supported() {
        // MIGRATE, MIGRATE_INFO_UP_CPU, SYSTEM_SUSPEND, SYSTEM_RESET2; CPU_OFF and SYSTEM_OFF
        // have no second identifier.
        for function in [
            0x8400_0005,
            0xc400_0005,
            0x8400_0007,
            0xc400_0007,
            0x8400_000e,
            0x8400_0012,
            0xc400_0002,
            0xc400_0008,
            0,
            0xffff_ffff,
            0x8600_0000,
        ] {
            assert_eq!(call(function), NO, "{function:#x}");
        }
    }

    #[test]
    fn the_only_cpu_is_on_and_there_is_no_other() {
        for (on, info) in [(0x8400_0003, 0x8400_0004), (0xc400_0003, 0xc400_0004)] {
            assert_eq!(judge(on, [0, 0x4000_0000]), Call::Return(-4_i64 as u64));
            for level in 0..4 {
                assert_eq!(judge(info, [0, level]), Call::Return(0));
            }
            for (other, level) in [(1, 0), (0x100, 1), (0x1_0000, 2), (1 << 24, 0), (0, 4)] {
                assert_eq!(judge(info, [other, level]), INVALID, "{other:#x} {level}");
            }
            for other in [1, 0x100, 0x80_0000, 1 << 24] {
                assert_eq!(judge(on, [other, 0]), INVALID, "{other:#x}");
            }
            assert_eq!(
                judge(info, [0xff, 1]),
                Call::Return(0),
                "it is in this cluster"
            );
        }
        // Aff3 is in the arguments of 64 bits alone.
        assert_eq!(judge(0xc400_0003, [1 << 32, 0]), INVALID);
        assert_eq!(
            judge(0x8400_0003, [1 << 32, 0]),
            Call::Return(-4_i64 as u64)
        );
    }

    #[test]
    fn a_standby_state_is_a_wait_and_others_do_not_exist() {
        for suspend in [0x8400_0001, 0xc400_0001] {
            assert_eq!(judge(suspend, [0, 0]), Call::Wait(0));
            assert_eq!(judge(suspend, [0x1234, 0]), Call::Wait(0));
            for state in [1 << 16, 1 << 24, 1 << 31, 1 << 17] {
                assert_eq!(judge(suspend, [state, 0]), INVALID, "{state:#x}");
            }
        }
    }

    #[test]
    fn the_only_cpu_takes_the_vm_with_it() {
        assert_eq!(call(0x8400_0002), Call::PowerOff);
    }

    #[test]
    fn no_trusted_os_has_to_migrate() {
        assert_eq!(call(0x8400_0006), Call::Return(2));
    }

    #[test]
    fn the_upper_half_of_the_function_register_is_ignored() {
        assert_eq!(call(0xffff_ffff_8400_0008), Call::PowerOff);
    }
}
