//! What a component can reach that shares its address space with all others: everything.

use crate::arch::memory_map::{COMPILED_CONFIGURATIONS, GUESTS_START, REPORT};
use crate::places::{self, GUEST_RAM_BLOCK, PAGE_BYTES};
use crate::{arch, image, rings};
use attacks::{Hands, Kernel, Place, Region};
use core::ptr::{from_ref, with_exposed_provenance_mut};
use vm_components::{Channel, Host};

/// What a component can do, with the platform that it may ask.
pub struct UnikernelHands<'a>(pub &'a mut dyn Host);

/// Where something lies.
fn address(place: Place) -> usize {
    let vm = place.vm;
    let (vmm, trace, console) = (rings::vmm(vm), rings::trace(vm), rings::console(vm));
    match place.region {
        Region::GuestRam => {
            places::ram_after(&places::images()) + usize::from(vm) * GUEST_RAM_BLOCK
        }
        Region::GuestImage => GUESTS_START,
        Region::Config => COMPILED_CONFIGURATIONS.start + usize::from(vm) * PAGE_BYTES,
        Region::AccessRing => from_ref(vmm.access).addr(),
        Region::AccessReader => from_ref(vmm.access_reader).addr(),
        Region::StatePage => from_ref(vmm.state).addr(),
        Region::LogRing => from_ref(trace.log).addr(),
        Region::LogReader => from_ref(trace.log_reader).addr(),
        Region::TraceRing => from_ref(trace.trace).addr(),
        Region::ConsoleRing => from_ref(console.text).addr(),
        Region::ConsoleReader => from_ref(console.text_reader).addr(),
        Region::Report => REPORT.start,
        Region::Uart => UART,
        // The platform's own data.
        Region::Kernel => image::data_start(),
        Region::LifePage
        | Region::LifeOfTrace
        | Region::KeptOfTrace
        | Region::MonitorRing
        | Region::Null => 0,
    }
}

/// The PL011 of QEMU's virt board.
#[cfg(target_arch = "aarch64")]
const UART: usize = 0x900_0000;
/// An I/O port: no memory is there.
#[cfg(target_arch = "x86_64")]
const UART: usize = 0x3f8;

impl Hands for UnikernelHands<'_> {
    fn now(&mut self) -> u64 {
        self.0.now()
    }

    fn hz(&mut self) -> u64 {
        arch::clock::frequency_hz()
    }

    fn load(&mut self, place: Place, word: u64) -> u64 {
        let from = with_exposed_provenance_mut::<u64>(address(place) + word as usize * 8);
        // SAFETY: none. That it can be done is what the attack shows.
        unsafe { from.read_volatile() }
    }

    fn store(&mut self, place: Place, word: u64, value: u64) {
        #[cfg(target_arch = "x86_64")]
        if place.region == Region::Uart {
            let mut port = x86_64::instructions::port::PortWriteOnly::<u8>::new(UART as u16);
            // SAFETY: as below.
            return unsafe { port.write(value as u8) };
        }
        let to = with_exposed_provenance_mut::<u64>(address(place) + word as usize * 8);
        // SAFETY: none. That it can be done is what the attack shows.
        unsafe { to.write_volatile(value) };
    }

    fn notify(&mut self, channel: Channel) {
        self.0.notify(channel);
    }

    // Nobody waits for one.
    fn beat(&mut self) {}

    // Nobody else runs before this component returns.
    fn rest(&mut self) {}

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
        None
    }
}
