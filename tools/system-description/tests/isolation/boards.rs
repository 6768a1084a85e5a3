//! Boards differ where their hardware does, and nowhere else.

use crate::descriptions::{is_one_for_all, made};
use roxmltree::{Document, Node};
use vm_config::MAX_VMS;

#[test]
fn a_board_differs_from_the_demo_only_where_its_hardware_does() {
    let hardware = ["phys_addr=", "setvar_vaddr=\"uart_", "<irq "];
    let of_all_boards = |line: &&str| !hardware.iter().any(|what| line.contains(what));
    let (demo, board) = (made("qemu_virt_aarch64", 1), made("zcu102", 1));
    let lines = |xml| str::lines(xml).filter(of_all_boards).collect::<Vec<_>>();
    assert_eq!(lines(&demo), lines(&board));
    assert_eq!(demo.lines().count(), board.lines().count());
}

/// Whether an element is about what a PC has no need of, since a guest runs on its VMM's time
/// there: idling that is measured, shares of the CPU.
fn is_about_time(element: Node<'_, '_>) -> bool {
    let names_one = |node: Node<'_, '_>| {
        ["pd", "path", "name"].into_iter().any(|what| {
            let named = node.attribute(what).unwrap_or_default();
            named == "pd-idle" || named == "pd-alarm" || named.starts_with("pd-share")
        })
    };
    let channel = element
        .ancestors()
        .find(|node| node.has_tag_name("channel"));
    names_one(element) || channel.is_some_and(|channel| channel.children().any(names_one))
}

#[test]
fn a_pc_differs_from_a_board_only_where_its_hardware_does() {
    let without_hardware = |xml: &str| {
        let document = Document::parse(xml).unwrap();
        let elements = document.descendants().filter(Node::is_element);
        let of_all = elements.filter(|node| {
            let region = node.attribute("mr").or(node.attribute("name"));
            let is_of_hardware = |resource| is_one_for_all(resource) && resource != "report";
            !node.has_tag_name("ioport")
                && !node.has_tag_name("irq")
                && !region.is_some_and(is_of_hardware)
                && !is_about_time(*node)
        });
        let line_of = |node: Node<'_, '_>| {
            let name = node.attribute("name").unwrap_or_default();
            let of_hardware: &[&str] = match node.tag_name().name() {
                "memory_region" => &["phys_addr"],
                "virtual_machine" => &["priority"],
                "protection_domain" if name.starts_with("pd-vmm") => {
                    &["priority", "budget", "period"]
                }
                "protection_domain" if name == "pd-console" => &["priority", "budget", "period"],
                "protection_domain" if name == "pd-trace" => &["priority"],
                _ => &[],
            };
            let attributes = node.attributes();
            let attributes = attributes.filter(|one| !of_hardware.contains(&one.name()));
            let attributes: Vec<_> = attributes
                .map(|one| format!("{}={}", one.name(), one.value()))
                .collect();
            format!("{} {}", node.tag_name().name(), attributes.join(" "))
        };
        of_all.map(line_of).collect::<Vec<_>>()
    };
    for vms in 1..=MAX_VMS {
        let (board, pc) = (
            made("qemu_virt_aarch64", vms),
            made("x86_64_generic_vtx", vms),
        );
        assert_eq!(without_hardware(&board), without_hardware(&pc), "{vms} VMs");
    }
}
