//! Events on their way to a guest: what an entry injects, and what an exit tells of one.
//!
//! Invariant: an event that is made here is one that an entry takes. An entry that is refused for
//! its controls is refused before anything of the guest's is loaded, and a kernel may not be
//! prepared for that.
//!
//! Specification: Intel SDM volume 3, "VM-Entry Controls for Event Injection", "Information for
//! VM Exits Due to Vectored Events", "Checks on VM-Entry Control Fields".

/// Vectors of exceptions.
pub mod vector {
    /// #DB.
    pub const DEBUG: u8 = 1;
    /// #UD.
    pub const INVALID_OPCODE: u8 = 6;
    /// #GP.
    pub const GENERAL_PROTECTION: u8 = 13;
    /// #AC.
    pub const ALIGNMENT_CHECK: u8 = 17;
}

const CR0_PE: u64 = 1;

/// A field of interruption information: an event, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Event(pub u64);

impl Event {
    /// No event.
    pub const NONE: Self = Self(0);

    const VALID: u64 = 1 << 31;
    const ERROR_CODE: u64 = 1 << 11;
    const TYPE: u64 = 0b111 << 8;
    const NMI: u64 = 2 << 8;
    const HARDWARE_EXCEPTION: u64 = 3 << 8;
    const VECTOR: u64 = 0xff;
    const BITS: u64 = Self::VALID | Self::ERROR_CODE | Self::TYPE | Self::VECTOR;

    /// The exception with this vector, as the hardware raises it in a guest with this CR0. Outside
    /// of protected mode there are no error codes.
    pub const fn exception(vector: u8, cr0: u64) -> Self {
        let has_error_code = matches!(vector, vector::GENERAL_PROTECTION | vector::ALIGNMENT_CHECK);
        let error_code = if has_error_code && cr0 & CR0_PE != 0 {
            Self::ERROR_CODE
        } else {
            0
        };
        Self(Self::VALID | Self::HARDWARE_EXCEPTION | error_code | vector as u64)
    }

    /// Whether there is one. An exit clears only the bit that says so: what is left of an event
    /// that was injected is none.
    #[inline(always)]
    pub const fn is_there(self) -> bool {
        self.0 & Self::VALID != 0
    }

    /// Whether it brings an error code.
    pub const fn has_error_code(self) -> bool {
        self.0 & Self::ERROR_CODE != 0
    }

    /// Whether an entry takes it in a guest with this CR0: none, or an exception of the hardware's
    /// with an error code exactly where the hardware has one. Other types are not injected here.
    pub const fn is_taken(self, cr0: u64) -> bool {
        let vector = self.0 & Self::VECTOR;
        // #DF, #TS, #NP, #SS, #GP, #PF, #AC.
        let wants_error_code = matches!(vector, 8 | 10..=14 | 17) && cr0 & CR0_PE != 0;
        let is_exception = self.0 & Self::TYPE == Self::HARDWARE_EXCEPTION && vector <= 31;
        !self.is_there()
            || self.0 & !Self::BITS == 0
                && is_exception
                && self.has_error_code() == wants_error_code
    }

    /// Whether it is a non-maskable interrupt, which is the machine's.
    pub(crate) const fn is_nmi(self) -> bool {
        self.0 & Self::TYPE == Self::NMI
    }

    /// The vector, if it is an exception of the hardware. INT1 only looks like one.
    pub(crate) const fn hardware_exception(self) -> Option<u8> {
        if self.0 & Self::TYPE == Self::HARDWARE_EXCEPTION {
            Some((self.0 & Self::VECTOR) as u8)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTECTED: u64 = 0x31;

    #[test]
    fn an_exception_is_valid_of_type_3_and_brings_its_error_code() {
        assert_eq!(Event::exception(6, PROTECTED), Event(0x8000_0306));
        assert_eq!(Event::exception(13, PROTECTED), Event(0x8000_0b0d));
        assert_eq!(Event::exception(17, PROTECTED), Event(0x8000_0b11));
        assert_eq!(Event::exception(1, PROTECTED), Event(0x8000_0301));
        assert!(Event::exception(13, PROTECTED).has_error_code());
    }

    #[test]
    fn real_mode_knows_no_error_codes() {
        assert_eq!(Event::exception(13, 0x30), Event(0x8000_030d));
        assert!(!Event::exception(13, 0x30).has_error_code());
    }

    #[test]
    fn every_exception_that_is_made_is_one_that_an_entry_takes() {
        for cr0 in [PROTECTED, 0x30] {
            // #PF and the other five with an error code are not made here.
            for vector in [0..8, 9..10, 13..14, 15..32].into_iter().flatten() {
                assert!(
                    Event::exception(vector, cr0).is_taken(cr0),
                    "{vector} {cr0:#x}"
                );
            }
            assert!(Event::NONE.is_taken(cr0));
        }
    }

    #[test]
    fn what_an_entry_would_fail_by_is_not_taken() {
        let refused = [
            // An error code where there is none, and none where there is one.
            0x8000_0b06,
            0x8000_030d,
            0x8000_030e,
            // A vector beyond the exceptions; reserved bits; the reserved type.
            0x8000_0320,
            0x8000_1306,
            0xc000_0306,
            0x8000_0106,
            // An interrupt, an NMI with another's vector, INT n, INT3 without a length, MTF.
            0x8000_0020,
            0x8000_0206,
            0x8000_0480,
            0x8000_0603,
            0x8000_0701,
            0xffff_ffff,
        ];
        for event in refused {
            assert!(!Event(event).is_taken(PROTECTED), "{event:#x}");
        }
        assert!(!Event(0x8000_0b0d).is_taken(0x30), "real mode");
    }

    #[test]
    fn what_an_exit_leaves_of_an_event_is_none() {
        let injected = Event::exception(13, PROTECTED);
        assert!(injected.is_there());
        assert!(!Event(injected.0 & !(1 << 31)).is_there());
        assert!(!Event::NONE.is_there());
    }
}
