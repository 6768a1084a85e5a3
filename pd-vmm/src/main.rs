//! `pd-vmm`: the VMM component in a protection domain of its own, with one virtual machine.
//!
//! Wires the Microkit's events to `vm_components::Vmm`; what it may touch stands in
//! `system.xml`. It has a loop of its own instead of the Microkit's, for a VM's events are
//! neither answered nor told apart from a child's faults there.
#![no_std]
#![no_main]

#[cfg(target_arch = "aarch64")]
#[path = "aarch64/mod.rs"]
mod arch;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64/mod.rs"]
mod arch;
mod guest_ram;
mod slow_registers;

use arch::{Event, Instructions, KeptVcpu, VirtualMachine};
use pd_runtime::{
    ConfigurationRegion, Part, begin_life, clock, configuration, kept_region, life, region,
};
use sel4_microkit::{Handler, Infallible, Never, protection_domain, var};
use vm_components::{KeptVmm, Vmm, VmmPorts};
use vm_config::VmConfig;

#[protection_domain]
fn init() -> VmmDomain {
    begin_life();
    let config = configuration(region!(config: ConfigurationRegion));
    let KeptDomain { vmm, vcpu } = kept_region!(Part::Vmm(0) => KeptDomain);
    let mut machine = VirtualMachine::new(&config, vcpu);
    let ports = VmmPorts {
        access: region!(access_ring: _),
        access_reader: region!(access_reader: _),
        state: region!(state_page: _),
        console: region!(console_ring: _),
        console_reader: region!(console_reader: _),
        input: region!(input_ring: _),
        input_reader: region!(input_reader: _),
    };
    let images = guest_images(&config);
    VmmDomain {
        #[cfg(any(feature = "bench-floor", feature = "bench-in-vmm"))]
        answers: arch::bench::Answers::new(&config),
        vmm: Vmm::init(config, images, ports, vmm, clock(), &mut machine),
        machine,
    }
}

/// The bytes of the guest's images, which the Microkit put into a region of its own.
fn guest_images(config: &VmConfig<'_>) -> &'static [u8] {
    let region = sel4_microkit::memory_region_symbol!(guest_images: *mut u8);
    let len_bytes = *var!(guest_images_len: usize = 0);
    assert!(
        config.image_region_len_bytes() == len_bytes as u64,
        "the configuration was compiled for images of {} bytes, but these have {len_bytes}",
        config.image_region_len_bytes(),
    );
    // SAFETY: the Microkit mapped the region read-only and says how many bytes the file has.
    unsafe { core::slice::from_raw_parts(region.as_ptr(), len_bytes) }
}

/// What outlives this protection domain when it dies.
#[repr(C)]
struct KeptDomain {
    vmm: KeptVmm<Instructions>,
    vcpu: KeptVcpu,
}

struct VmmDomain {
    #[cfg(any(feature = "bench-floor", feature = "bench-in-vmm"))]
    answers: arch::bench::Answers,
    vmm: Vmm<Instructions>,
    machine: VirtualMachine,
}

impl Handler for VmmDomain {
    type Error = Infallible;

    fn run(&mut self) -> Result<Never, Infallible> {
        loop {
            match self.machine.next_event() {
                #[cfg(any(feature = "bench-floor", feature = "bench-in-vmm"))]
                Event::Exit(exit) if self.answers.answer(exit, &mut self.machine) => {}
                Event::Exit(exit) => arch::answer(&mut self.vmm, exit, &mut self.machine),
                #[cfg(target_arch = "aarch64")]
                Event::InterruptEnded(slot) => {
                    self.vmm.interrupt_ended(slot, &mut self.machine);
                }
                Event::Notified(channels) => {
                    self.vmm.notified(channels, &mut self.machine);
                    if let Some(reason) = self.vmm.unheard_end() {
                        life().set_ended(0, reason);
                    }
                }
            }
        }
    }
}
