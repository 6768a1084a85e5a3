//! Boards differ where their hardware does, and nowhere else.

use crate::descriptions::{attribute, is_one_for_all, made, nodes, number};
use roxmltree::{Document, Node};
use vm_config::MAX_VMS;

/// The lines of a description that are no board's own.
fn of_all_boards(xml: &str) -> Vec<&str> {
    let hardware = ["phys_addr=", "setvar_vaddr=\"uart_", "<irq "];
    let lines = xml.lines();
    lines
        .filter(|line| !hardware.iter().any(|what| line.contains(what)))
        .collect()
}

#[test]
fn a_board_differs_from_the_demo_only_where_its_hardware_does() {
    let demo = made("qemu_virt_aarch64", 1);
    for board in ["zcu102", "rpi4b_2gb", "odroidc4"] {
        let made = made(board, 1);
        assert_eq!(of_all_boards(&demo), of_all_boards(&made), "{board}");
        assert_eq!(demo.lines().count(), made.lines().count(), "{board}");
    }
    // What a GICv2 has for guests is missing where there is none.
    let mut wanted = of_all_boards(&demo);
    wanted.retain(|line| !line.contains("gic_cpu"));
    for board in ["imx8mp_evk", "maaxboard"] {
        assert_eq!(wanted, of_all_boards(&made(board, 1)), "{board}");
    }
}

/// The addresses and interrupts that the kernel's device trees have (seL4 16.0.0, `tools/dts`): an SPI is 32 more.
#[test]
fn a_boards_uart_is_where_its_device_tree_has_it() {
    for (board, symbol, at, interrupt, trigger) in [
        ("zcu102", "uart_cadence", 0xff00_0000, 32 + 0x15, None),
        ("rpi4b_2gb", "uart_mini", 0xfe21_5000, 32 + 0x5d, None),
        ("imx8mp_evk", "uart_imx", 0x3089_0000, 32 + 0x1b, None),
        ("maaxboard", "uart_imx", 0x3086_0000, 32 + 0x1a, None),
        (
            "odroidc4",
            "uart_meson",
            0xff80_3000_u64,
            32 + 0xc1,
            Some("edge"),
        ),
    ] {
        let made = made(board, 1);
        let document = Document::parse(&made).unwrap();
        let uart = nodes(&document, "memory_region")
            .find(|region| region.attribute("name") == Some("uart"))
            .unwrap();
        assert_eq!(number(attribute(&uart, "phys_addr")), at, "{board}");
        assert!(
            made.contains(&format!("setvar_vaddr=\"{symbol}\"")),
            "{board}"
        );
        let line = nodes(&document, "irq").next().unwrap();
        assert_eq!(number(attribute(&line, "irq")), interrupt, "{board}");
        assert_eq!(line.attribute("trigger"), trigger, "{board}");
    }
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
