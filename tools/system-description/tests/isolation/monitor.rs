//! What the monitor knows of its children, and what it alone holds.

use crate::descriptions::{attribute, has_idle, in_each, nodes, number, sharing};
use oversight::Part;
use roxmltree::Node;
use std::collections::{BTreeMap, BTreeSet};

/// The children of the monitor and their numbers, as the code has them.
fn children(name: &str, vms: u8) -> BTreeMap<String, u64> {
    let mut parts = vec![Part::Trace, Part::Console, Part::Clock];
    parts.extend((0..vms).map(|vm| Part::Vmm(vm.into())));
    if has_idle(name) {
        parts.extend([Part::Alarm, Part::Idle]);
    }
    parts.extend(sharing(name, vms).map(|vm| Part::Share(vm.into())));
    let numbered = |part: Part| (part.name().to_owned(), part.number() as u64);
    parts.into_iter().map(numbered).collect()
}

/// The monitor names a dead child by its number.
#[test]
fn children_have_the_numbers_that_the_monitor_knows() {
    in_each(|name, document, vms| {
        let given = nodes(document, "protection_domain");
        let given = given.filter(|node| node.attribute("id").is_some());
        let given: BTreeMap<String, u64> = given
            .map(|node| {
                (
                    attribute(&node, "name").to_owned(),
                    number(attribute(&node, "id")),
                )
            })
            .collect();
        assert_eq!(given, children(name, vms), "{name}");
    });
}

/// A scheduling context says what its protection domain consumed, and could be given more or less:
/// the monitor alone has them, in the slots after the children's numbers and its own, and nobody
/// has any other capability besides what the Microkit gives.
#[test]
fn the_monitor_alone_holds_scheduling_contexts_and_nobody_any_other_capability() {
    in_each(|name, document, vms| {
        let mut wanted: BTreeSet<(String, u64)> = children(name, vms)
            .into_iter()
            .map(|(child, number)| (child, number + 1))
            .collect();
        let own = Part::Monitor.slot_of_time() as u64;
        wanted.insert(("pd-monitor".to_owned(), own));
        let mut given = BTreeSet::new();
        for cspace in nodes(document, "cspace") {
            let owner = cspace.parent().unwrap();
            assert_eq!(attribute(&owner, "name"), "pd-monitor", "{name}");
            for capability in cspace.children().filter(Node::is_element) {
                assert!(capability.has_tag_name("cap_sc"), "{name}: {capability:?}");
                let of = attribute(&capability, "pd").to_owned();
                given.insert((of, number(attribute(&capability, "slot"))));
            }
        }
        assert_eq!(given, wanted, "{name}");
    });
}
