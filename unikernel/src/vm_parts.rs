//! What a VM is given at the start: its configuration, its guest's images, its RAM.
//!
//! Called once by `component_host`, before a guest runs. The invariant: what one VM is given no
//! other is; what cannot be given is said and ends the run.

use crate::arch::SecondStage;
use crate::arch::guest_ram::{self, GuestRam};
use crate::arch::power;
use crate::places;
use core::ops::Range;
use heapless::Vec;
use spin::Once;
use vm_components::{MAX_VMS, MappedRam, MappedRange};
use vm_config::{ConfigError, ROM_BLOCK_LEN_BYTES, VmConfig};

/// The VMs' configurations, as the loader left them.
pub fn configurations() -> Vec<VmConfig<'static>, MAX_VMS> {
    let mut configs = Vec::new();
    for (number, place) in (0..).zip(places::compiled_configurations()) {
        match VmConfig::parse(place) {
            Ok(config) if config.vm() != number => power::off_because(format_args!(
                "the compiled configuration of VM {} is in the place of VM {number}",
                config.vm()
            )),
            Ok(config) => {
                // There is room: a configuration with a higher number is none.
                let _ = configs.push(config);
            }
            // Nothing was loaded there.
            Err(ConfigError::Magic([0, 0, 0, 0])) if number > 0 => break,
            Err(error) => power::off_because(format_args!(
                "the compiled configuration of VM {number}: {error}"
            )),
        }
    }
    configs
}

/// The bytes of the guest's images, taken from the front of `images`.
pub fn next_images(config: &VmConfig<'_>, images: &mut &'static [u8]) -> &'static [u8] {
    let len = config.image_region_len_bytes() as usize;
    let Some(region) = images.get(..len) else {
        power::off_because(format_args!(
            "the images of VM {} have {len} bytes, but there is room for {}",
            config.vm(),
            images.len()
        ))
    };
    let next = len.next_multiple_of(places::PAGE_BYTES);
    *images = images.get(next..).unwrap_or_default();
    region
}

/// Each VM's RAM, for as long as the power is on.
static RAM: [Once<MappedRam>; MAX_VMS] = [const { Once::new() }; MAX_VMS];

/// The VM's RAM, taken from the front of `free`, and the tables that give it to its guest.
pub fn next_ram(config: &VmConfig<'_>, free: &mut Range<usize>) -> (GuestRam, SecondStage) {
    // 0 is what the TLB's entries have before there is a VM.
    let mut second_stage = SecondStage::new(config.vm() + 1);
    let mapped = MappedRam::new(config.ram().map(|ram| {
        let len = ram.len_bytes as usize;
        if len > free.len() {
            power::off_because(format_args!(
                "VM {} wants {len:#x} bytes of RAM at {:#x}, but there are {:#x} left for guests: \
                 give QEMU a larger -m",
                config.vm(),
                ram.base,
                free.len()
            ));
        }
        let host = free.start;
        free.start += len.next_multiple_of(places::GUEST_RAM_BLOCK);
        // SAFETY: it is RAM for guests, and `free` does not have it any more.
        let mapped = unsafe { second_stage.map(ram.base as usize, host, len) };
        mapped.unwrap_or_else(|error| power::off_because(error));
        MappedRange::new(ram, host)
    }));
    let Some(mapped) = mapped else {
        power::off_because(format_args!("VM {} has no RAM", config.vm()))
    };
    for rom in config.rom() {
        let block = rom_block(free);
        for (base, len_bytes) in rom.blocks() {
            // SAFETY: the block has nothing but ones, and `free` does not have it any more.
            let mapped =
                unsafe { second_stage.map_read_only(base as usize, block, len_bytes as usize) };
            mapped.unwrap_or_else(|error| power::off_because(error));
        }
    }
    let ram = RAM[usize::from(config.vm())].call_once(|| mapped);
    // SAFETY: `paging` maps all that was in `free` RW, and this VM is its only user.
    (unsafe { GuestRam::new(ram) }, second_stage)
}

/// The block that all ROM of all VMs is.
static ROM_BLOCK: Once<usize> = Once::new();

/// Where it is: a block of all-ones, taken from the front of `free` when it is first wanted.
fn rom_block(free: &mut Range<usize>) -> usize {
    *ROM_BLOCK.call_once(|| {
        const _: () = assert!(ROM_BLOCK_LEN_BYTES as usize == places::GUEST_RAM_BLOCK);
        let block = free.start;
        if free.len() < places::GUEST_RAM_BLOCK {
            power::off_because(format_args!(
                "there is no room for ROM: give QEMU a larger -m"
            ));
        }
        free.start += places::GUEST_RAM_BLOCK;
        // SAFETY: `paging` maps all that was in `free` RW, and nobody else has this block.
        unsafe { guest_ram::fill(block, places::GUEST_RAM_BLOCK, 0xff) };
        block
    })
}
