//! The demo is described by hand, to be read; everything else is made. What is made of the demo's
//! VM says the same as `system.xml`, element by element.

use roxmltree::{Document, Node};
use std::collections::BTreeSet;
use std::path::Path;
use system_description::{Board, Vm, describe};
use vm_config::RamRange;

/// An element with all that is in it, whatever the order.
fn written(node: Node<'_, '_>) -> String {
    let attributes: BTreeSet<_> = node
        .attributes()
        .map(|one| format!(" {}={:?}", one.name(), one.value()))
        .collect();
    let inside: BTreeSet<_> = node
        .children()
        .filter(Node::is_element)
        .map(written)
        .collect();
    let attributes: String = attributes.into_iter().collect();
    let inside: String = inside.into_iter().collect();
    format!("<{}{attributes}>\n{inside}</>\n", node.tag_name().name())
}

#[test]
fn what_is_made_of_the_demo_says_the_same_as_what_is_written_by_hand() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let board = Board::load(&root.join("boards"), "qemu_virt_aarch64").unwrap();
    let ram = vec![RamRange {
        base: 0x4000_0000,
        len_bytes: 2 << 20,
    }];
    let made = describe(
        &[Vm {
            name: "demo",
            ram,
            rom: Vec::new(),
        }],
        &board,
    );
    let by_hand = std::fs::read_to_string(root.join("system.xml")).unwrap();
    let lines = |xml: &str| {
        let document = Document::parse(xml).unwrap();
        let text = written(document.root_element());
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&made), lines(&by_hand));
}
