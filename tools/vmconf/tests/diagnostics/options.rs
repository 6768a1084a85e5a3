//! Options: unknown, missing, repeated, and where they do not belong.

use crate::told::{of, with};
use insta::assert_snapshot;

#[test]
fn an_option_one_letter_off_is_refused_with_the_one_that_was_meant() {
    assert_snapshot!(with("vdev trace loc 0xfa000000 emit-loger emit-trace 12\n"), @"
    error: there is no option `emit-loger`
     --> vm.conf:4:27
      |
    4 | vdev trace loc 0xfa000000 emit-loger emit-trace 12
      |                           ^^^^^^^^^^
      |
      = help: did you mean `emit-logger`?
    ");
}

#[test]
fn an_option_of_the_vm_one_letter_off_is_refused_too() {
    assert_snapshot!(with("cmdlnie \"a b\" logger info stdout\n"), @r#"
    error: there is no option `cmdlnie`
     --> vm.conf:4:1
      |
    4 | cmdlnie "a b" logger info stdout
      | ^^^^^^^
      |
      = help: did you mean `cmdline`?
    "#);
}

#[test]
fn a_long_option_with_two_slips_is_recognised() {
    let told = with("unsuportde instruction fail\n");
    assert!(told.contains("did you mean `unsupported`?"), "{told}");
}

#[test]
fn a_word_that_is_like_no_option_is_refused() {
    assert_snapshot!(with("bananas 12 0x3\n"), @"
    error: there is no option `bananas`
     --> vm.conf:4:1
      |
    4 | bananas 12 0x3
      | ^^^^^^^
    ");
}

#[test]
fn a_string_in_the_place_of_an_option_is_refused() {
    assert_snapshot!(with("\"cpu\"\n"), @r#"
    error: an option was expected here
     --> vm.conf:4:1
      |
    4 | "cpu"
      | ^^^^^ this is not the name of an option
    "#);
}

#[test]
fn a_second_cpu_is_refused() {
    assert_snapshot!(with("cpu\n# the other core\ncpu\n"), @"
    error: a VM has one vCPU
     --> vm.conf:6:1
      |
    4 | cpu
      | --- the first one
    5 | # the other core
    6 | cpu
      | ^^^ a second `cpu`
      |
      = help: remove this `cpu`; a second VM needs a configuration of its own
    ");
}

#[test]
fn an_empty_file_lacks_everything() {
    assert_snapshot!(of("# nothing\n"), @"
    error: there is no `system`
    --> vm.conf
     = help: every VM needs one; for example: `system demo`

    error: there is no `ram`
    --> vm.conf
     = help: every VM needs one; for example: `ram 0x40000000,2M`

    error: there is no `load`
    --> vm.conf
     = help: every VM needs one; for example: `load guest-app`
    ");
}

#[test]
fn an_unknown_device_is_refused() {
    assert_snapshot!(with("vdev tarce loc 0xfa000000 emit-logger frob 12\n"), @"
    error: there is no device `tarce`
     --> vm.conf:4:6
      |
    4 | vdev tarce loc 0xfa000000 emit-logger frob 12
      |      ^^^^^
      |
      = help: did you mean `trace`?
    ");
}

#[test]
fn one_device_too_many_is_refused() {
    let devices: String = (0..34)
        .map(|number| format!("vdev trace loc {:#x}\n", 0xfa00_0000_u32 + 4 * number))
        .collect();
    assert_snapshot!(with(&devices), @"
    error: a VM has at most 32 devices
      --> vm.conf:36:1
       |
    36 | vdev trace loc 0xfa000080
       | ^^^^^^^^^^ the first of 2 too many
    ");
}

#[test]
fn an_option_of_a_device_without_a_device_is_refused() {
    assert_snapshot!(with("loc 0xfa000000\n"), @"
    error: `loc` belongs to a device
     --> vm.conf:4:1
      |
    4 | loc 0xfa000000
      | ^^^ no `vdev` is described here
      |
      = help: for example: `vdev trace loc 0xfa000000`
    ");
}

#[test]
fn an_option_of_a_device_after_its_description_is_refused() {
    assert_snapshot!(with("vdev trace loc 0xfa000000\nlogger info stdout\nemit-logger\n"), @"
    error: `emit-logger` belongs to a device
     --> vm.conf:6:1
      |
    4 | vdev trace loc 0xfa000000
      | ---------- the description of this one has ended
    5 | logger info stdout
    6 | emit-logger
      | ^^^^^^^^^^^ no `vdev` is described here
      |
      = help: an option of the VM ends the description; move this in front of it
    ");
}

#[test]
fn an_option_that_is_repeated_is_refused() {
    let text = "system again\n\
                unsupported register ignore unsupported register fail\n\
                vdev trace loc 0xfa000000 emit-logger loc 0xfa000004 emit-logger\n";
    assert_snapshot!(with(text), @"
    error: `system` is given twice
     --> vm.conf:4:1
      |
    1 | system demo
      | ------ first given here
    ...
    4 | system again
      | ^^^^^^ again here

    error: `unsupported register` is given twice
     --> vm.conf:5:29
      |
    5 | unsupported register ignore unsupported register fail
      | --------------------        ^^^^^^^^^^^^^^^^^^^^ again here
      | |
      | first given here

    error: `loc` is given twice
     --> vm.conf:6:39
      |
    6 | vdev trace loc 0xfa000000 emit-logger loc 0xfa000004 emit-logger
      |            --- first given here       ^^^ again here

    error: `emit-logger` is given twice
     --> vm.conf:6:54
      |
    6 | vdev trace loc 0xfa000000 emit-logger loc 0xfa000004 emit-logger
      |                           -----------                ^^^^^^^^^^^ again here
      |                           |
      |                           first given here
    ");
}

#[test]
fn an_unknown_kind_and_an_unknown_action_are_refused() {
    assert_snapshot!(with("unsupported regster fail\nunsupported reference crash\n"), @"
    error: `regster` is not a kind of unsupported
     --> vm.conf:4:13
      |
    4 | unsupported regster fail
      |             ^^^^^^^
      |
      = help: did you mean `register`?

    error: `crash` is not an action
     --> vm.conf:5:23
      |
    5 | unsupported reference crash
      |                       ^^^^^
      |
      = help: there is `ignore`, `fail`, `abort`
    ");
}

#[test]
fn a_command_line_without_quotes_is_refused() {
    assert_snapshot!(with("cmdline console=none quiet\n"), @r#"
    error: there is no option `quiet`
     --> vm.conf:4:22
      |
    4 | cmdline console=none quiet
      |                      ^^^^^
      |
      = help: a command line of several words needs quotes: `cmdline "a b c"`
    "#);
}

#[test]
fn a_value_behind_an_option_that_has_none_is_refused() {
    assert_snapshot!(with("vdev trace loc 0xfa000000 emit-logger yes\n"), @r"
    error: there is no option `yes`
     --> vm.conf:4:39
      |
    4 | vdev trace loc 0xfa000000 emit-logger yes
      |                                       ^^^
      |
      = help: `emit-logger` takes no value
    ");
}

#[test]
fn emit_trace_without_a_number_is_refused_in_front_of_an_option() {
    assert_snapshot!(with("vdev trace\n\tloc 0xfa000000\n\temit-trace\n\temit-logger\n"), @"
    error: `emit-trace` needs the number of a trace event, 0 to 1023
     --> vm.conf:6:2
      |
    6 |     emit-trace
      |     ^^^^^^^^^^ the next word, `emit-logger`, is an option
      |
      = help: for example: `emit-trace 12`
    ");
}

#[test]
fn emit_trace_without_a_number_is_refused_at_the_end_of_the_file() {
    assert_snapshot!(with("vdev trace loc 0xfa000000 emit-trace"), @"
    error: `emit-trace` needs the number of a trace event, 0 to 1023
     --> vm.conf:4:27
      |
    4 | vdev trace loc 0xfa000000 emit-trace
      |                           ^^^^^^^^^^ the file ends here
      |
      = help: for example: `emit-trace 12`
    ");
}

#[test]
fn emit_trace_1024_is_refused() {
    assert_snapshot!(with("vdev trace loc 0xfa000000 emit-trace 1024\n"), @"
    error: there is no trace event 1024
     --> vm.conf:4:38
      |
    4 | vdev trace loc 0xfa000000 emit-trace 1024
      |                                      ^^^^ the largest number is 1023
      |
      = help: several devices may share a number; the records tell them apart
    ");
}

#[test]
fn options_of_a_device_that_do_not_fit_are_refused_at_the_device() {
    assert_snapshot!(with("vdev pl031 loc 0x1c170000\n\ttime 2106-02-07T06:28:16Z\n"), @"
    error: a pl031 counts until 2106-02-07T06:28:15Z
     --> vm.conf:4:1
      |
    4 | vdev pl031 loc 0x1c170000
      | ^^^^^^^^^^
    ");
}

#[test]
fn an_option_of_a_device_that_cannot_be_is_refused_with_one_that_can() {
    assert_snapshot!(with("vdev pl031 loc 0x1c170000 time 2026-02-29T00:00:00Z intr gic:1020\n"), @"
    error: `time` cannot be `2026-02-29T00:00:00Z`
     --> vm.conf:4:32
      |
    4 | vdev pl031 loc 0x1c170000 time 2026-02-29T00:00:00Z intr gic:1020
      |                                ^^^^^^^^^^^^^^^^^^^^ from 1970 on there is no such time
      |
      = help: for example: `time 2026-01-01T00:00:00Z`

    error: `intr` cannot be `gic:1020`
     --> vm.conf:4:58
      |
    4 | vdev pl031 loc 0x1c170000 time 2026-02-29T00:00:00Z intr gic:1020
      |                                                          ^^^^^^^^ it is the number of an interrupt, 0 to 1019
      |
      = help: for example: `intr gic:34`
    ");
}

#[test]
fn two_devices_do_not_share_an_interrupt() {
    let text = "vdev pl031 loc 0x1c170000 intr gic:34\nvdev pl031 loc 0x1c180000 intr 34\n";
    assert_snapshot!(with(text), @"
    error: two devices have the interrupt 34
     --> vm.conf:5:32
      |
    4 | vdev pl031 loc 0x1c170000 intr gic:34
      |                                ------ the other
    5 | vdev pl031 loc 0x1c180000 intr 34
      |                                ^^
      |
      = help: each needs one of its own
    ");
}
