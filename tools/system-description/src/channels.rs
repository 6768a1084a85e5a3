//! Who can wake whom.

use crate::xml::{Attribute, Xml};
use crate::{System, of_vm};
use oversight::Part;
use vm_components::{Channel, channel};

/// The numbers in `pd-alarm`, `pd-clock`, `pd-monitor`, `pd-trace` and `pd-share` that are theirs alone.
mod own {
    use vm_components::Channel;

    pub(super) const CLOCK_TO_TRACE: Channel = Channel(0);
    pub(super) const CLOCK_TO_CONSOLE: Channel = Channel(1);
    pub(super) const CLOCK_TO_MONITOR: Channel = Channel(10);
    pub(super) const MONITOR_TO_CONSOLE: Channel = Channel(0);
    pub(super) const MONITOR_FROM_CLOCK: Channel = Channel(1);
    pub(super) const MONITOR_FROM_TRACE: Channel = Channel(2);
    pub(super) const TRACE_TO_MONITOR: Channel = Channel(10);
    pub(super) const SHARE_TO_MONITOR: Channel = Channel(0);

    pub(super) const fn clock_to_vmm(vm: u8) -> Channel {
        Channel(2 + vm)
    }

    pub(super) const fn alarm_of_vmm(vm: u8) -> Channel {
        Channel(vm)
    }

    pub(super) const fn monitor_from_share(vm: u8) -> Channel {
        Channel(3 + vm)
    }
}

/// An end of a channel: whose, its number there, and the variable that is told the number.
struct End {
    part: Part,
    number: Channel,
    told: Option<String>,
}

fn end(part: Part, number: Channel) -> End {
    let told = None;
    End { part, number, told }
}

impl End {
    /// The variable of this name for this VM is told the number.
    fn told(self, symbol: &str, vm: usize) -> Self {
        let told = Some(of_vm(symbol, vm));
        Self { told, ..self }
    }
}

/// Who of the two ends of a channel may notify the other.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// The first.
    One,
    /// Either.
    Both,
}

pub(crate) fn write(xml: &mut Xml, system: &System<'_>) {
    use Part::{Alarm, Clock, Console, Monitor, Share, Trace, Vmm};
    let to_trace = end(Trace, channel::trace::CLOCK);
    write_one(xml, end(Clock, own::CLOCK_TO_TRACE), Way::One, to_trace);
    let to_console = end(Console, channel::console::CLOCK);
    write_one(xml, end(Clock, own::CLOCK_TO_CONSOLE), Way::One, to_console);
    let to_monitor = end(Monitor, own::MONITOR_FROM_CLOCK);
    write_one(xml, end(Clock, own::CLOCK_TO_MONITOR), Way::One, to_monitor);
    let to_console = end(Console, channel::console::TRACE);
    write_one(
        xml,
        end(Trace, channel::trace::CONSOLE),
        Way::One,
        to_console,
    );
    let to_monitor = end(Monitor, own::MONITOR_FROM_TRACE);
    write_one(xml, end(Trace, own::TRACE_TO_MONITOR), Way::One, to_monitor);
    let to_console = end(Console, channel::console::MONITOR);
    write_one(
        xml,
        end(Monitor, own::MONITOR_TO_CONSOLE),
        Way::One,
        to_console,
    );
    for (vm, number) in system.numbers().zip(0..) {
        let clock = match vm {
            // This one it knows.
            0 => end(Clock, own::clock_to_vmm(number)),
            vm => end(Clock, own::clock_to_vmm(number)).told("vmm", vm),
        };
        write_one(xml, clock, Way::One, end(Vmm(vm), channel::vmm::CLOCK));
        let trace = end(Trace, channel::trace::vmm(number));
        write_one(xml, end(Vmm(vm), channel::vmm::TRACE), Way::Both, trace);
        let console = end(Console, channel::console::vmm(number));
        write_one(xml, end(Vmm(vm), channel::vmm::CONSOLE), Way::Both, console);
        if !system.is_pc() {
            let alarm = end(Alarm, own::alarm_of_vmm(number));
            write_one(xml, end(Vmm(vm), channel::vmm::TIMER), Way::Both, alarm);
        }
        if system.has_shares() {
            let monitor = end(Monitor, own::monitor_from_share(number)).told("share", vm);
            write_one(
                xml,
                end(Share(vm), own::SHARE_TO_MONITOR),
                Way::One,
                monitor,
            );
        }
    }
}

fn write_one(xml: &mut Xml, from: End, way: Way, to: End) {
    xml.open("channel", &[]);
    for (end, may_notify) in [(from, true), (to, false)] {
        let name = end.part.name();
        let mut attributes: Vec<Attribute<'_>> = vec![("pd", &name), ("id", &end.number.0)];
        if way == Way::One {
            attributes.push(("notify", if may_notify { &"true" } else { &"false" }));
        }
        if let Some(symbol) = &end.told {
            attributes.push(("setvar_id", symbol));
        }
        xml.leaf("end", &attributes);
    }
    xml.close();
}
