//! What only QNX has: refused by its name, or passed over where no guest notices.

use crate::told::{VM, lay_out, warned, with};
use insta::assert_snapshot;

#[test]
fn a_device_of_qnx_is_refused_by_name() {
    assert_snapshot!(with("vdev virtio-console loc 0x1000\nvdev virtio-input\nvdev shmem\n"), @"
    error: `virtio-console` is a device of the QNX hypervisor that this project does not have
     --> vm.conf:4:6
      |
    4 | vdev virtio-console loc 0x1000
      |      ^^^^^^^^^^^^^^
      |
      = help: the guest's console is a serial port; the devices here are {devices}

    error: `virtio-input` is a device of the QNX hypervisor that this project does not have
     --> vm.conf:5:6
      |
    5 | vdev virtio-input
      |      ^^^^^^^^^^^^
      |
      = help: the devices here are {devices}

    error: `shmem` is a device of the QNX hypervisor that this project does not have
     --> vm.conf:6:6
      |
    6 | vdev shmem
      |      ^^^^^
      |
      = help: the devices here are {devices}
    ");
}

#[test]
fn options_of_qnx_are_refused_by_name() {
    let text = "rom 0xc0000,0x40000\n\
                pass loc mem:0x1000,0x1000,rw=0x2000 intr gic:4\n\
                reserve loc 0xa0000,0x20000\n\
                debug\n\
                dump /tmp\n\
                acpi load /vm/tables\n";
    assert_snapshot!(with(text), @"
    error: `pass` is an option of the QNX hypervisor that this project does not have
     --> vm.conf:5:1
      |
    5 | pass loc mem:0x1000,0x1000,rw=0x2000 intr gic:4
      | ^^^^
      |
      = help: a guest gets virtual devices only; that is what keeps it away from others

    error: `reserve` is an option of the QNX hypervisor that this project does not have
     --> vm.conf:6:1
      |
    6 | reserve loc 0xa0000,0x20000
      | ^^^^^^^
      |
      = help: what is neither RAM nor a device is empty already

    error: `acpi` is an option of the QNX hypervisor that this project does not have
     --> vm.conf:9:1
      |
    9 | acpi load /vm/tables
      | ^^^^^^^^^
      |
      = help: `load ADDRESS,FILE` puts any file into the RAM, whatever is in it

    warning: `debug` is an option of the QNX hypervisor that this project does not have
     --> vm.conf:7:1
      |
    7 | debug
      | ^^^^^ passed over
      |
      = help: to see more messages, add `debug` to the severities of `logger`

    warning: `dump` is an option of the QNX hypervisor that this project does not have
     --> vm.conf:8:1
      |
    8 | dump /tmp
      | ^^^^ passed over
      |
      = help: the host tool reads the trace out of a memory dump of the whole machine
    ");
}

#[test]
fn options_of_a_qnx_vcpu_are_passed_over() {
    assert_snapshot!(warned("cpu sched 10 runmask 0,1\n"), @"
    warning: `sched` is an option of the QNX hypervisor that this project does not have
     --> vm.conf:4:5
      |
    4 | cpu sched 10 runmask 0,1
      |     ^^^^^ passed over
      |
      = help: where and when a VM runs is decided in the system description

    warning: `runmask` is an option of the QNX hypervisor that this project does not have
     --> vm.conf:4:14
      |
    4 | cpu sched 10 runmask 0,1
      |              ^^^^^^^ passed over
      |
      = help: where and when a VM runs is decided in the system description
    ");
}

#[test]
fn options_of_a_qnx_serial_port_are_passed_over() {
    assert_snapshot!(warned("vdev pl011 loc 0x1c090000 hostdev >-\n"), @"
    warning: `hostdev` is an option of the QNX hypervisor that this project does not have
     --> vm.conf:4:27
      |
    4 | vdev pl011 loc 0x1c090000 hostdev >-
      |                           ^^^^^^^ passed over
      |
      = help: what the guest writes to its serial port appears on the system's console
    ");
}

#[test]
fn an_option_of_a_serial_port_is_refused_where_there_is_none() {
    for text in ["vdev trace loc 0xfa000000 hostdev >-\n", "hostdev >-\n"] {
        let told = with(text);
        assert!(
            told.starts_with("error: `hostdev` is an option of the QNX hypervisor"),
            "{told}"
        );
    }
}

#[test]
fn what_belongs_to_something_refused_is_passed_over_with_it() {
    let text = "set disk /dev/hd0\n\
                pass loc $gpu,0x1000,rw=$asinfo_start{gpu} intr \"gic:4\"\n\
                vdev virtio-blk loc 0x1c0d0000 hostdev $missing name \"disk\"\n";
    assert_snapshot!(with(text), @r#"
    error: `pass` is an option of the QNX hypervisor that this project does not have
     --> vm.conf:5:1
      |
    5 | pass loc $gpu,0x1000,rw=$asinfo_start{gpu} intr "gic:4"
      | ^^^^
      |
      = help: a guest gets virtual devices only; that is what keeps it away from others

    error: `virtio-blk` is a device of the QNX hypervisor that this project does not have
     --> vm.conf:6:6
      |
    6 | vdev virtio-blk loc 0x1c0d0000 hostdev $missing name "disk"
      |      ^^^^^^^^^^
      |
      = help: the devices here are {devices}
    "#);
}

#[test]
fn four_vcpus_are_one_mistake() {
    let text = "cpu sched 10 runmask 0\ncpu sched 10 runmask 1\n\
                cpu sched 10 runmask 2\ncpu sched 10 runmask 3\n";
    assert_snapshot!(with(text), @"
    error: a VM has one vCPU
     --> vm.conf:5:1
      |
    4 | cpu sched 10 runmask 0
      | --- the first one
    5 | cpu sched 10 runmask 1
      | ^^^ a second `cpu`
    6 | cpu sched 10 runmask 2
      | --- and here
    7 | cpu sched 10 runmask 3
      | --- and here
      |
      = help: remove this `cpu`; a second VM needs a configuration of its own

    warning: `sched` is an option of the QNX hypervisor that this project does not have
     --> vm.conf:4:5
      |
    4 | cpu sched 10 runmask 0
      |     ^^^^^ passed over
      |
      = help: where and when a VM runs is decided in the system description

    warning: `runmask` is an option of the QNX hypervisor that this project does not have
     --> vm.conf:4:14
      |
    4 | cpu sched 10 runmask 0
      |              ^^^^^^^ passed over
      |
      = help: where and when a VM runs is decided in the system description
    ");
}

#[test]
fn what_only_qnx_has_is_told_once_with_its_places() {
    let ports = (0..8).map(|page| {
        let loc = 0x1c09_0000 + (page << 12);
        format!("vdev pl011 loc {loc:#x} hostdev >-\n")
    });
    assert_snapshot!(warned(&ports.collect::<String>()), @"
    warning: `hostdev` is an option of the QNX hypervisor that this project does not have
     --> vm.conf:4:27
      |
    4 | vdev pl011 loc 0x1c090000 hostdev >-
      |                           ^^^^^^^ passed over
    5 | vdev pl011 loc 0x1c091000 hostdev >-
      |                           ------- and here
    6 | vdev pl011 loc 0x1c092000 hostdev >-
      |                           ------- and here
    7 | vdev pl011 loc 0x1c093000 hostdev >-
      |                           ------- and here
    8 | vdev pl011 loc 0x1c094000 hostdev >-
      |                           ------- and here
      |
      = note: and in 3 more places
      = help: what the guest writes to its serial port appears on the system's console
    ");
}

#[test]
fn a_variable_of_qnx_that_no_guest_notices_is_passed_over() {
    assert_snapshot!(warned("set debug off\n"), @"
    warning: `debug` is a configuration variable of the QNX hypervisor that this project does not have
     --> vm.conf:4:5
      |
    4 | set debug off
      |     ^^^^^ passed over
      |
      = help: it is about QNX's own process, of which there is none here
    ");
}

#[test]
fn what_is_strict_takes_no_warning() {
    let text = format!("{VM}debug\n");
    let compiled = vmconf::compile("vm.conf", 0, &text, lay_out).unwrap();
    let strict = compiled.warnings.strict().to_string();
    assert!(
        strict.starts_with("error: `debug` is an option of"),
        "{strict}"
    );
}

#[test]
fn a_variable_of_qnx_is_refused_by_name() {
    assert_snapshot!(with("set exit-on-halt off\n"), @"
    error: `exit-on-halt` is a configuration variable of the QNX hypervisor that this project does not have
     --> vm.conf:4:5
      |
    4 | set exit-on-halt off
      |     ^^^^^^^^^^^^
      |
      = help: `set` here gives a name to a value, for use as `$name`
    ");
}

#[test]
fn a_substitution_of_qnx_is_refused_by_name() {
    assert_snapshot!(with("vdev trace loc $asinfo_start{dev} name ${x}\n"), @"
    error: `$asinfo_start{…}` is a substitution of the QNX hypervisor that this project does not have
     --> vm.conf:4:16
      |
    4 | vdev trace loc $asinfo_start{dev} name ${x}
      |                ^^^^^^^^^^^^^^^^^^
      |
      = help: write the value, or give it a name: `set name value`, then `$name`

    error: a variable's name stands without braces
     --> vm.conf:4:40
      |
    4 | vdev trace loc $asinfo_start{dev} name ${x}
      |                                        ^^^^
      |
      = help: write `$name`
    ");
}

#[test]
fn the_logger_of_qnx_is_refused_by_name() {
    assert_snapshot!(with("logger info slog\n"), @"
    error: `slog` is a destination of the QNX hypervisor that this project does not have
     --> vm.conf:4:13
      |
    4 | logger info slog
      |             ^^^^
      |
      = help: `stdout` and `stderr` are both the system's console
    ");
}
