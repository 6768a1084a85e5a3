//! Channels have the numbers that the components know.

use crate::descriptions::{attribute, has_idle, in_each, is_of_pc, nodes, number, of_vm, sharing};
use std::collections::BTreeSet;
use vm_components::channel;

#[test]
fn channels_have_the_numbers_that_the_components_use() {
    in_each(|name, document, vms| {
        let channels: BTreeSet<[(String, u64); 2]> = nodes(document, "channel")
            .map(|channel| {
                let ends = channel.children().filter(|node| node.has_tag_name("end"));
                let mut ends = ends
                    .map(|end| {
                        (
                            attribute(&end, "pd").to_owned(),
                            number(attribute(&end, "id")),
                        )
                    })
                    .collect::<Vec<_>>();
                ends.sort();
                ends.try_into().unwrap()
            })
            .collect();
        let end =
            |who: &str, channel: vm_components::Channel| (who.to_owned(), u64::from(channel.0));
        let clock = |number: u8| ("pd-clock".to_owned(), u64::from(number));
        let mut wanted = BTreeSet::from([
            [clock(0), end("pd-trace", channel::trace::CLOCK)],
            [clock(1), end("pd-console", channel::console::CLOCK)],
            [
                end("pd-console", channel::console::TRACE),
                end("pd-trace", channel::trace::CONSOLE),
            ],
            [
                end("pd-console", channel::console::MONITOR),
                ("pd-monitor".to_owned(), 0),
            ],
            // The numbers in `pd-clock`, `pd-trace` and `pd-monitor`.
            [clock(10), ("pd-monitor".to_owned(), 1)],
            [("pd-monitor".to_owned(), 2), ("pd-trace".to_owned(), 10)],
        ]);
        for vm in sharing(name, vms) {
            let share = of_vm("pd-share", '-', vm);
            let monitor = ("pd-monitor".to_owned(), 3 + u64::from(vm));
            wanted.insert([monitor, (share, 0)]);
        }
        for vm in 0..vms {
            let vmm = of_vm("pd-vmm", '-', vm);
            if has_idle(name) {
                let alarm = ("pd-alarm".to_owned(), u64::from(vm));
                wanted.insert([alarm, end(&vmm, channel::vmm::TIMER)]);
            }
            wanted.extend([
                [clock(2 + vm), end(&vmm, channel::vmm::CLOCK)],
                [
                    end("pd-trace", channel::trace::vmm(vm)),
                    end(&vmm, channel::vmm::TRACE),
                ],
                [
                    end("pd-console", channel::console::vmm(vm)),
                    end(&vmm, channel::vmm::CONSOLE),
                ],
            ]);
        }
        assert_eq!(channels, wanted, "{name}");
        let symbol = |domain: &str, channel: u8| {
            let mut ends = nodes(document, "end").filter(|end| attribute(end, "pd") == domain);
            let end = ends.find(|end| number(attribute(end, "id")) == u64::from(channel));
            attribute(&end.unwrap(), "setvar_id").to_owned()
        };
        // The clock knows VM 0's channel, and is told the others'; the monitor is told all.
        for vm in 1..vms {
            assert_eq!(symbol("pd-clock", 2 + vm), of_vm("vmm", '_', vm), "{name}");
        }
        for vm in sharing(name, vms) {
            let wanted = of_vm("share", '_', vm);
            assert_eq!(symbol("pd-monitor", 3 + vm), wanted, "{name}");
        }
    });
}

/// Who types wakes the console, and no interrupt goes anywhere else.
#[test]
fn the_uart_s_interrupt_goes_to_the_console_alone() {
    in_each(|name, document, _| {
        let interrupts: Vec<_> = nodes(document, "irq")
            .map(|irq| {
                let who = attribute(&irq.parent().unwrap(), "name").to_owned();
                (who, number(attribute(&irq, "id")))
            })
            .collect();
        let typed = u64::from(channel::console::TYPED.0);
        let wanted = match is_of_pc(name) {
            true => vec![],
            false => vec![("pd-console".to_owned(), typed)],
        };
        assert_eq!(interrupts, wanted, "{name}");
    });
}
