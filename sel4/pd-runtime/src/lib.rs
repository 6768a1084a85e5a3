//! What protection domains do besides their component: read the machine's counter and the
//! configuration, give the components their view of the Microkit's channels, write to the
//! UART, begin anew where they have died, say that they live, and leave word when they panic.
//!
//! Called by the `pd-*` crates. Invariant: nothing here maps memory or holds a capability; a
//! protection domain can do what `system.xml` gives it and no more.
#![no_std]

#[cfg(target_arch = "aarch64")]
#[path = "aarch64/mod.rs"]
mod arch;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64/mod.rs"]
mod arch;
mod life;
mod platform;

#[cfg(target_arch = "x86_64")]
pub use arch::calibrate;
pub use arch::{Counter, Overrun, Serial};
pub use life::{begin_life, life};
pub use oversight::{LifePage, Part};
pub use platform::{ConfigurationRegion, Signals, channel_set, clock, configuration};

/// A reference to a memory region that `system.xml` maps into this protection domain.
///
/// `$symbol` is the `setvar_vaddr` of its mapping, `$type` what lies there.
///
/// # Safety
///
/// `$type` must be made of atomics, or nobody may write the region while the system runs;
/// and the region must be as large as it.
#[macro_export]
macro_rules! region {
    ($symbol:ident: $type:ty) => {{
        let region: ::core::ptr::NonNull<$type> =
            ::sel4_microkit::memory_region_symbol!($symbol: *mut $type);
        // SAFETY: the Microkit mapped the region at this address for the whole life of the
        // protection domain; the rest is the caller's promise.
        unsafe { region.as_ref() }
    }};
}

/// A reference to what outlives this protection domain: the region that `system.xml` maps as `kept`
/// into it alone.
///
/// `$part` is what this protection domain is, as [`Part`] has it, `$type` what it keeps. Used once, by
/// `init`.
///
/// # Safety
///
/// `$type` must be valid when all of it is zero, as the region is at first, and as this program's
/// stores have left it at any death.
#[macro_export]
macro_rules! kept_region {
    ($part:expr => $type:ty) => {{
        const {
            assert!(
                ::core::mem::size_of::<$type>() <= $crate::Part::kept_bytes($part),
                "more is kept than its region holds"
            );
        }
        let mut region: ::core::ptr::NonNull<$type> =
            ::sel4_microkit::memory_region_symbol!(kept: *mut $type);
        // SAFETY: the Microkit mapped the region, of this size, at this address for this protection
        // domain alone, and whoever had a reference to it has died; the rest is the caller's promise.
        unsafe { region.as_mut() }
    }};
}

/// As [`region!`], for a region that only some system descriptions map: `None` where the
/// symbol was left null.
///
/// # Safety
///
/// That of [`region!`].
#[macro_export]
macro_rules! optional_region {
    ($symbol:ident: $type:ty) => {{
        let address: usize = *::sel4_microkit::var!($symbol: usize = 0);
        let region = ::core::ptr::NonNull::new(address as *mut $type);
        // SAFETY: as above; the Microkit has set the symbol, so it has mapped the region.
        region.map(|region| unsafe { region.as_ref() })
    }};
}
