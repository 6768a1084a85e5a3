//! Priorities, budgets and periods: whom nobody can hold up, and how much of the CPU each may have.

use crate::descriptions::{attribute, in_each, is_of_pc, nodes, number, of_vm, sharing};
use roxmltree::{Document, Node};
use std::collections::BTreeSet;

#[test]
fn whoever_a_guest_must_not_hold_up_runs_above_its_vcpu() {
    in_each(|name, document, _| {
        // With VT-x a vCPU runs at its VMM's priority, and both are held up together.
        let priority_of_vcpu = |vm: Node<'_, '_>| match is_of_pc(name) {
            true => number(attribute(&vm.parent().unwrap(), "priority")),
            false => number(attribute(&vm, "priority")),
        };
        let of_vcpus: BTreeSet<u64> = nodes(document, "virtual_machine")
            .map(priority_of_vcpu)
            .collect();
        assert_eq!(of_vcpus.len(), 1, "{name}: the VMs take turns");
        let of_vcpus = of_vcpus.into_iter().next().unwrap();
        for domain in nodes(document, "protection_domain") {
            let domain_name = attribute(&domain, "name");
            if is_of_pc(name) && domain_name.starts_with("pd-vmm") {
                continue;
            }
            if domain_name == "pd-idle" {
                assert!(number(attribute(&domain, "priority")) < of_vcpus, "{name}");
                continue;
            }
            assert!(
                number(attribute(&domain, "priority")) > of_vcpus,
                "{name}: {domain_name}"
            );
        }
        let (budget, period) = budget_and_period(document, "pd-clock");
        assert_eq!(
            period, 10_000,
            "{name}: the trace component's wake-ups, in microseconds"
        );
        // With a budget as long as its period a yield returns at once and the loop takes the
        // CPU. A small one is no better: the kernel makes a thread wait one period for each
        // budget by which it was overrun, by an emulator's host or a board's firmware.
        assert!(
            budget < period && budget * 2 > period,
            "{name}: {budget} {period}"
        );
    });
}

/// What keeps a VMM from starving another VM. The numbers are those of the monitor's `shares`.
#[test]
fn each_of_several_vmms_has_a_share_of_the_cpu_and_goes_on_below_the_vcpus() {
    const ON_SHARE: u64 = 210;
    const IN_BACKGROUND: u64 = 90;
    in_each(|name, document, vms| {
        let domain = |wanted: &str| {
            let mut domains = nodes(document, "protection_domain");
            domains.find(|node| attribute(node, "name") == wanted)
        };
        let priority = |wanted: &str| number(attribute(&domain(wanted).unwrap(), "priority"));
        let sharing = sharing(name, vms);
        for vm in 0..vms {
            let vmm = domain(&of_vm("pd-vmm", '-', vm)).unwrap();
            let is_sharing = sharing.contains(&vm);
            assert_eq!(vmm.attribute("budget").is_some(), is_sharing, "{name}");
        }
        let mut permille = 0;
        for vm in sharing.clone() {
            let (vmm, share) = (of_vm("pd-vmm", '-', vm), of_vm("pd-share", '-', vm));
            let (budget, period) = budget_and_period(document, &vmm);
            permille += 1000 * budget / period;
            assert!(budget <= 1_500, "{name}: the others wait for {budget} us");
            assert_eq!(priority(&vmm), ON_SHARE, "{name}");
            assert!(priority(&share) > ON_SHARE, "{name}");
            let share = domain(&share).unwrap();
            assert!(
                share.attribute("budget").is_none() && share.attribute("period").is_none(),
                "{name}: the background has no limit"
            );
            // The kernel names a share by its protection domain's place in the description.
            let mut all = nodes(document, "protection_domain");
            let place = all.position(|node| attribute(&node, "name") == vmm);
            assert_eq!(place, Some(1 + usize::from(vm)), "{name}");
        }
        if sharing.is_empty() {
            return;
        }
        assert!(
            permille <= 700,
            "{name}: the rest is for pd-trace and pd-console"
        );
        for vm in nodes(document, "virtual_machine") {
            assert!(number(attribute(&vm, "priority")) > IN_BACKGROUND, "{name}");
        }
        for served in ["pd-trace", "pd-console"] {
            assert!(
                priority(served) < ON_SHARE,
                "{name}: who notifies {served} pays for it"
            );
        }
    });
}

/// In microseconds.
fn budget_and_period(document: &Document<'_>, domain: &str) -> (u64, u64) {
    let mut domains = nodes(document, "protection_domain");
    let domain = domains.find(|node| attribute(node, "name") == domain);
    let domain = domain.unwrap();
    let of = |name| number(attribute(&domain, name));
    (of("budget"), of("period"))
}

/// The monitor measures the counter when it starts, on a PC; nobody may read it before.
#[test]
fn the_monitor_runs_before_all_others() {
    in_each(|name, document, _| {
        let mut domains = nodes(document, "protection_domain");
        let monitor = domains.find(|node| attribute(node, "name") == "pd-monitor");
        let monitor = monitor.unwrap();
        assert!(
            monitor.attribute("budget").is_none() && monitor.attribute("period").is_none(),
            "{name}: with less than the whole period others run in between"
        );
        for domain in nodes(document, "protection_domain").filter(|node| *node != monitor) {
            assert!(
                number(attribute(&domain, "priority")) < number(attribute(&monitor, "priority")),
                "{name}: {}",
                attribute(&domain, "name")
            );
        }
    });
}

/// A polled UART takes the CPU from all that run below the console, unless that waits for its
/// next period: when the port has sent what its FIFO holds (PC16550D, section 8.6), 16 characters
/// of 10 bits.
#[test]
fn a_pcs_console_waits_as_long_as_its_fifo_takes() {
    in_each(|name, document, _| {
        if is_of_pc(name) {
            let (budget, period) = budget_and_period(document, "pd-console");
            let fifo = 16 * 10 * 1_000_000 / 115_200;
            assert!((fifo + 1..fifo + 20).contains(&period), "{name}: {period}");
            // For the same reasons as the clock's.
            assert!(
                budget < period && budget * 2 > period,
                "{name}: {budget} {period}"
            );
        }
    });
}
