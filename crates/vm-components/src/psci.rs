//! The calls that a guest may make to its VMM: PSCI, and one of our own.
//!
//! Asked by the VMM component on `HVC` and `SMC`. Invariant: an unknown call returns
//! NOT_SUPPORTED and has no effect.
//!
//! Specification: Power State Coordination Interface, DEN 0022, section 5; SMC Calling
//! Convention, DEN 0028, sections 5 and 6.

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// The guest goes on with this in x0.
    Return(u64),
    /// The guest wants the VM switched off.
    PowerOff,
    /// The guest wants the VM reset.
    Reset,
    /// The guest says that it failed, with a code of its own (x1).
    Failed(u64),
}

const SMCCC_VERSION: u32 = 0x8000_0000;
const PSCI_VERSION: u32 = 0x8400_0000;
const PSCI_SYSTEM_OFF: u32 = 0x8400_0008;
const PSCI_SYSTEM_RESET: u32 = 0x8400_0009;
const PSCI_FEATURES: u32 = 0x8400_000a;
/// Vendor-specific hypervisor service, function 0: the guest has failed.
const GUEST_FAILED: u32 = 0xc600_0000;

const NOT_SUPPORTED: u64 = -1_i64 as u64;
const VERSION_1_1: u64 = 0x1_0001;

/// Judges a call by its function identifier (w0) and first argument (x1).
pub fn judge(function: u64, argument: u64) -> Call {
    match function as u32 {
        SMCCC_VERSION | PSCI_VERSION => Call::Return(VERSION_1_1),
        PSCI_SYSTEM_OFF => Call::PowerOff,
        PSCI_SYSTEM_RESET => Call::Reset,
        GUEST_FAILED => Call::Failed(argument),
        PSCI_FEATURES => Call::Return(match argument as u32 {
            SMCCC_VERSION | PSCI_VERSION | PSCI_SYSTEM_OFF | PSCI_SYSTEM_RESET | PSCI_FEATURES => 0,
            _ => NOT_SUPPORTED,
        }),
        _ => Call::Return(NOT_SUPPORTED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_functions_we_have_are_announced() {
        for (function, answer) in [
            (0x8400_0008, 0),
            (0x8400_0003, -1_i64 as u64),
            (0, -1_i64 as u64),
        ] {
            assert_eq!(judge(0x8400_000a, function), Call::Return(answer));
        }
    }

    #[test]
    fn an_unknown_call_is_not_supported() {
        for function in [0, 0x8400_0003, 0xc400_0003, 0xffff_ffff, 0x8600_0000] {
            assert_eq!(judge(function, 0), Call::Return(u64::MAX), "{function:#x}");
        }
    }

    #[test]
    fn the_upper_half_of_the_function_register_is_ignored() {
        assert_eq!(judge(0xffff_ffff_8400_0008, 0), Call::PowerOff);
    }
}
