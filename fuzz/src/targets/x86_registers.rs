//! The registers of an x86 guest that its instructions name.

use x86_guest::{Mode, Registers, Segment};

/// As plain variables.
pub(crate) struct X86Registers {
    pub mode: Mode,
    pub gprs: [u64; 16],
    pub rflags: u64,
    /// Of ES, CS, SS, DS, FS and GS, as they were loaded.
    pub bases: [u64; 6],
}

impl Registers for X86Registers {
    fn gpr(&self, number: u8) -> u64 {
        self.gprs[usize::from(number)]
    }

    fn rflags(&self) -> u64 {
        self.rflags
    }

    fn segment_base(&self, segment: Segment) -> u64 {
        let base = self.bases[segment as usize];
        match (self.mode, segment) {
            (Mode::Long, Segment::Fs | Segment::Gs) => base,
            (Mode::Long, _) => 0,
            _ => base & 0xffff_ffff,
        }
    }
}

impl X86Registers {
    /// RFLAGS has a bit that is always set.
    pub(crate) fn reset(mode: Mode) -> Self {
        Self {
            mode,
            gprs: [0; 16],
            rflags: 1 << 1,
            bases: [0; 6],
        }
    }
}
