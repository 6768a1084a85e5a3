//! Diagnostics beside each other: their order, how many, their colour, and those of other tools.

use crate::told::{VM, of, with};
use insta::assert_snapshot;

#[test]
fn many_mistakes_are_told_in_the_order_of_the_file() {
    let text = "system demo\ncpu\ncpu\nvdev trace loc io:0x300 emit-trace\nload guest-app pass\n";
    assert_snapshot!(of(text), @"
    error: a VM has one vCPU
     --> vm.conf:3:1
      |
    2 | cpu
      | --- the first one
    3 | cpu
      | ^^^ a second `cpu`
      |
      = help: remove this `cpu`; a second VM needs a configuration of its own

    error: a `vdev trace` is in memory, not in I/O space
     --> vm.conf:4:16
      |
    4 | vdev trace loc io:0x300 emit-trace
      |                ^^^^^^^^ `io:` is the I/O space of x86
      |
      = help: give a guest-physical address: `loc 0xfa000000` or `loc mem:0xfa000000`

    error: `emit-trace` needs the number of a trace event, 0 to 1023
     --> vm.conf:4:25
      |
    4 | vdev trace loc io:0x300 emit-trace
      |                         ^^^^^^^^^^ the next word, `load`, is an option
      |
      = help: for example: `emit-trace 12`

    error: `pass` is an option of the QNX hypervisor that this project does not have
     --> vm.conf:5:16
      |
    5 | load guest-app pass
      |                ^^^^
      |
      = help: a guest gets virtual devices only; that is what keeps it away from others

    error: there is no `ram`
    --> vm.conf
     = help: every VM needs one; for example: `ram 0x40000000,2M`
    ");
}

#[test]
fn a_flood_of_mistakes_is_cut_off_and_counted() {
    let rendered = with(&"systme\n".repeat(50));
    assert_eq!(rendered.matches("there is no option `systme`").count(), 20);
    assert!(
        rendered.ends_with("error: and 30 more in `vm.conf`\n"),
        "{rendered}"
    );
}

#[test]
fn a_tool_that_knows_more_can_point_into_the_text_of_a_vm() {
    let vm = vmconf::parse("vm.conf", VM).unwrap();
    let error = vmconf::Diagnostic::error(vm.ram[0].span, "the region `guest_ram` is smaller")
        .label("2 MiB here")
        .help("`system.xml`:12 gives it 1 MiB");
    assert_snapshot!(vmconf::Diagnostics::new(vm.source, vec![error]).to_string(), @"
    error: the region `guest_ram` is smaller
     --> vm.conf:2:5
      |
    2 | ram 0x40000000,2M
      |     ^^^^^^^^^^^^^ 2 MiB here
      |
      = help: `system.xml`:12 gives it 1 MiB
    ");
}

#[test]
fn a_place_that_is_not_in_the_text_is_no_reason_to_panic() {
    let vm = vmconf::parse("vm.conf", VM).unwrap();
    let places = [
        (0, 0),
        (3, 1),
        (1000, 2000),
        (usize::MAX, 0),
        (0, usize::MAX),
    ];
    let errors = places.map(|(start, end)| {
        let place = vmconf::Span::new(start, end);
        vmconf::Diagnostic::error(place, "elsewhere").also(place, "here as well")
    });
    let text = vmconf::Diagnostics::new(vm.source, errors.to_vec()).to_string();
    assert_eq!(text.matches("error: elsewhere").count(), 5);
}

#[test]
fn colour_changes_nothing_but_the_escape_sequences() {
    let text = format!("{VM}vdev trace loc io:0x300\n");
    let diagnostics = vmconf::parse("vm.conf", &text).unwrap_err();
    let coloured = diagnostics.render(vmconf::Colour::Always);
    assert!(coloured.contains("\x1b["));
    let mut plain = String::new();
    for (index, part) in coloured.split("\x1b[").enumerate() {
        plain += if index == 0 {
            part
        } else {
            part.split_once('m').unwrap().1
        };
    }
    assert_eq!(plain, diagnostics.render(vmconf::Colour::Never));
}
