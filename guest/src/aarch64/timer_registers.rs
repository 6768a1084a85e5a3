//! Every system register by which a guest could try to reach the host's clock: the generic
//! timers of all levels, the GIC's CPU interface, and what EL2 keeps for itself.
//!
//! For the hostile program only. Encodings, not names: an assembler need not know a register
//! to attack it. Arm ARM D17.11 (timers), GICv3 (IHI0069) 12.2 (ICC), C5.3 (the encoding
//! `S<op0>_<op1>_C<n>_C<m>_<op2>`).

/// A register that may or may not let itself be written and read at EL1.
#[derive(Debug, Clone, Copy)]
pub struct HostileRegister {
    /// The architecture's name.
    pub name: &'static str,
    /// MSR.
    pub write: fn(u64),
    /// MRS.
    pub read: fn() -> u64,
}

/// MSR and MRS of each register. The value is the only operand; memory may change, since the
/// instruction may cause an exception.
macro_rules! registers {
    ($($name:ident $encoding:literal)*) => {
        &[$(
            HostileRegister {
                name: stringify!($name),
                write: |value| {
                    // SAFETY: touches no memory; what it does to the CPU is contained by EL2,
                    // or the program has found something.
                    unsafe {
                        core::arch::asm!(
                            concat!("msr ", $encoding, ", {v}"),
                            v = in(reg) value,
                            options(nostack, preserves_flags),
                        );
                    }
                },
                read: || {
                    let mut value = 0;
                    // SAFETY: touches no memory.
                    unsafe {
                        core::arch::asm!(
                            concat!("mrs {v}, ", $encoding),
                            v = inout(reg) value,
                            options(nostack, preserves_flags),
                        );
                    }
                    value
                },
            },
        )*]
    };
}

/// All of them, in groups.
pub const ALL: &[&[HostileRegister]] = &[registers! {
    CNTFRQ_EL0 "S3_3_C14_C0_0"
    CNTPCT_EL0 "S3_3_C14_C0_1"
    CNTKCTL_EL1 "S3_0_C14_C1_0"

    CNTP_TVAL_EL0 "S3_3_C14_C2_0"
    CNTP_CTL_EL0 "S3_3_C14_C2_1"
    CNTP_CVAL_EL0 "S3_3_C14_C2_2"
    CNTV_TVAL_EL0 "S3_3_C14_C3_0"
    CNTV_CTL_EL0 "S3_3_C14_C3_1"
    CNTV_CVAL_EL0 "S3_3_C14_C3_2"
    CNTP_CTL_EL02 "S3_5_C14_C2_1"
    CNTV_CTL_EL02 "S3_5_C14_C3_1"

    CNTPS_TVAL_EL1 "S3_7_C14_C2_0"
    CNTPS_CTL_EL1 "S3_7_C14_C2_1"
    CNTPS_CVAL_EL1 "S3_7_C14_C2_2"

    CNTVOFF_EL2 "S3_4_C14_C0_3"
    CNTPOFF_EL2 "S3_4_C14_C0_6"
    CNTHCTL_EL2 "S3_4_C14_C1_0"
    CNTHP_TVAL_EL2 "S3_4_C14_C2_0"
    CNTHP_CTL_EL2 "S3_4_C14_C2_1"
    CNTHP_CVAL_EL2 "S3_4_C14_C2_2"
    CNTHV_TVAL_EL2 "S3_4_C14_C3_0"
    CNTHV_CTL_EL2 "S3_4_C14_C3_1"
    CNTHV_CVAL_EL2 "S3_4_C14_C3_2"

    HCR_EL2 "S3_4_C1_C1_0"
    VTTBR_EL2 "S3_4_C2_C1_0"
    VBAR_EL2 "S3_4_C12_C0_0"
    ICC_SRE_EL2 "S3_4_C12_C9_5"
    ICH_HCR_EL2 "S3_4_C12_C11_0"

    ICC_PMR_EL1 "S3_0_C4_C6_0"
    ICC_IAR0_EL1 "S3_0_C12_C8_0"
    ICC_EOIR0_EL1 "S3_0_C12_C8_1"
    ICC_DIR_EL1 "S3_0_C12_C11_1"
    ICC_SGI1R_EL1 "S3_0_C12_C11_5"
    ICC_SGI0R_EL1 "S3_0_C12_C11_7"
    ICC_IAR1_EL1 "S3_0_C12_C12_0"
    ICC_EOIR1_EL1 "S3_0_C12_C12_1"
    ICC_BPR1_EL1 "S3_0_C12_C12_3"
    ICC_CTLR_EL1 "S3_0_C12_C12_4"
    ICC_SRE_EL1 "S3_0_C12_C12_5"
    ICC_IGRPEN0_EL1 "S3_0_C12_C12_6"
    ICC_IGRPEN1_EL1 "S3_0_C12_C12_7"
}];
