//! The channels between the components, by the numbers that `system.xml` gives them.
//!
//! A channel has a number at each end. A platform connects the ends; a component knows only
//! its own. Invariant: the constants here and the channels of the system description agree.

/// One end of a channel, as its component numbers it: 0 to 61.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel(pub u8);

/// The channels that were signalled since the component last ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChannelSet(u64);

impl ChannelSet {
    /// No channel.
    pub const EMPTY: Self = Self(0);

    /// The set of one bit for each signalled channel.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Adds a channel.
    pub fn insert(&mut self, channel: Channel) {
        self.0 |= 1 << (channel.0 & 63);
    }

    /// Whether the channel was signalled.
    pub const fn contains(self, channel: Channel) -> bool {
        self.0 & 1 << (channel.0 & 63) != 0
    }

    /// Whether none was.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The VMM's ends.
pub mod vmm {
    use super::Channel;
    /// Wakes the VMM every 100 ms.
    pub const CLOCK: Channel = Channel(0);
    /// To and from the trace component.
    pub const TRACE: Channel = Channel(1);
    /// To and from the console.
    pub const CONSOLE: Channel = Channel(2);
    /// The guest's timer interrupts it, or the time has come for which
    /// [`Machine::wake_at`](crate::Machine::wake_at) asked.
    pub const TIMER: Channel = Channel(3);
}

/// The trace component's ends.
pub mod trace {
    use super::Channel;
    /// Wakes the trace component every 10 ms.
    pub const CLOCK: Channel = Channel(0);
    /// To the console.
    pub const CONSOLE: Channel = Channel(1);
    /// To and from the VMM of the VM with this number.
    pub const fn vmm(vm: u8) -> Channel {
        Channel(2 + vm)
    }
}

/// The console's ends.
pub mod console {
    use super::Channel;
    /// Wakes the console every 100 ms.
    pub const CLOCK: Channel = Channel(0);
    /// From the trace component.
    pub const TRACE: Channel = Channel(1);
    /// To and from the VMM of the VM with this number.
    pub const fn vmm(vm: u8) -> Channel {
        Channel(2 + vm)
    }
    /// From whoever watches over the components.
    pub const MONITOR: Channel = Channel(10);
    /// From the UART: something may have been typed.
    pub const TYPED: Channel = Channel(11);
}
