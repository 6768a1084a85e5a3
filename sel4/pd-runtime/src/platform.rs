//! The Microkit as the components' platform.
//!
//! Used on every hop of an access. Invariant: a component's channel number is the
//! Microkit's, so this only changes types.

use crate::{Counter, life};
use vm_components::{Channel, ChannelSet, Clock, Host};
use vm_config::{REGION_LEN_BYTES, VmConfig};

/// The clock that all protection domains agree on without talking: time since the counter
/// was zero.
pub fn clock() -> Clock {
    Clock {
        hz: Counter::hz(),
        start_ticks: 0,
    }
}

/// A platform that can signal the channels of this protection domain. Asking it for the time is a
/// sign of life: components do at least once in each turn of a VM, so a flood that keeps them at work
/// for long is no silence.
pub struct Signals;

impl Host for Signals {
    #[inline(always)]
    fn now(&mut self) -> u64 {
        life().beat();
        Counter::now()
    }

    #[inline(always)]
    fn notify(&mut self, channel: Channel) {
        sel4_microkit::Channel::new(usize::from(channel.0)).notify();
    }

    fn under_way(&mut self, vm: Option<u8>) {
        life().set_under_way(vm);
    }
}

/// The channels of a notification, as the components see them.
pub fn channel_set(channels: sel4_microkit::ChannelSet) -> ChannelSet {
    let mut set = ChannelSet::EMPTY;
    for channel in channels.iter() {
        set.insert(Channel(channel.index() as u8));
    }
    set
}

/// The region that holds a VM's compiled configuration.
pub type ConfigurationRegion = [u8; REGION_LEN_BYTES];

/// The VM's configuration in the region that holds its compiled form. Panics, with the
/// reason as the protection domain's last words, if that is not what the region holds.
pub fn configuration(region: &'static ConfigurationRegion) -> VmConfig<'static> {
    // Nobody can write the region.
    if let Ok(config) = VmConfig::parse_again(region)
        && life().is_configured(config.vm())
    {
        return config;
    }
    match VmConfig::parse(region) {
        Ok(config) => {
            life().set_configured(config.vm());
            config
        }
        Err(error) => panic!("the compiled configuration: {error}"),
    }
}
