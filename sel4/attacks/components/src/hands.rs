//! What a protection domain has in its hands: its address space, its capabilities.

use crate::kernel::Sel4;
use crate::places::Domain;
use attacks::{Hands, Kernel, Place, Region};
use core::ptr::with_exposed_provenance_mut;
use core::sync::atomic::{AtomicU64, Ordering};
use vm_components::{Channel, Host};

/// The counter's frequency, as the platform told the honest component.
pub static HZ: AtomicU64 = AtomicU64::new(0);

/// See the file's header.
pub struct DomainHands<'a> {
    domain: Domain,
    host: &'a mut dyn Host,
    kernel: Sel4,
}

impl<'a> DomainHands<'a> {
    /// The hands of a domain, whose component may ask `host`.
    pub fn new(domain: Domain, host: &'a mut impl Host) -> Self {
        Self {
            domain,
            host,
            kernel: Sel4,
        }
    }

    fn pointer(&self, place: Place, word: u64) -> *mut u64 {
        with_exposed_provenance_mut(self.domain.address(place) + word as usize * 8)
    }
}

#[cfg(target_arch = "aarch64")]
fn counter() -> u64 {
    let ticks;
    // SAFETY: reading the counter changes nothing; the SDK's kernels allow it at EL0.
    unsafe { core::arch::asm!("mrs {}, cntpct_el0", out(reg) ticks, options(nomem, nostack)) };
    ticks
}

#[cfg(target_arch = "x86_64")]
fn counter() -> u64 {
    // SAFETY: every CPU with long mode has the instruction, and seL4 leaves CR4.TSD clear.
    unsafe { core::arch::x86_64::_rdtsc() }
}

impl Hands for DomainHands<'_> {
    // Not the host's: an honest component gives a sign of life when it asks for the time.
    fn now(&mut self) -> u64 {
        counter()
    }

    fn hz(&mut self) -> u64 {
        HZ.load(Ordering::Relaxed)
    }

    fn load(&mut self, place: Place, word: u64) -> u64 {
        // SAFETY: none. That it faults where it must is what the attack shows.
        unsafe { self.pointer(place, word).read_volatile() }
    }

    fn store(&mut self, place: Place, word: u64, value: u64) {
        // SAFETY: none. That it faults where it must is what the attack shows.
        unsafe { self.pointer(place, word).write_volatile(value) };
    }

    fn notify(&mut self, channel: Channel) {
        self.host.notify(channel);
    }

    fn beat(&mut self) {
        let beats = self.load(Region::LifePage.own(), 0);
        self.store(Region::LifePage.own(), 0, beats.wrapping_add(1));
    }

    fn rest(&mut self) {
        sel4::r#yield();
    }

    fn crash(&mut self) {
        // SAFETY: the exception is what the attack wants.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            core::arch::asm!("udf #0")
        };
        // SAFETY: the exception is what the attack wants.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            core::arch::asm!("ud2")
        };
    }

    fn kernel(&mut self) -> Option<&mut dyn Kernel> {
        Some(&mut self.kernel)
    }
}
