//! What the user sees, complete, for each mistake that the language knows. The snapshots
//! stand beside the text that causes them; `cargo insta review` updates them.

use insta::assert_snapshot;
use vmconf::{Diagnostic, Spanned, Vm};

/// A VM to which a test adds its mistake, in line 4.
const VM: &str = "system demo\nram 0x40000000,2M\nload guest-app\n";

fn image_len(load: &Spanned<String>, vm: Option<&Vm>) -> Result<u64, Vec<Diagnostic>> {
    match (load.value.as_str(), vm) {
        ("guest-app", _) => Ok(70_000),
        ("empty", _) => Ok(0),
        ("huge", _) => Ok(1 << 33),
        ("far", Some(vm)) => {
            let error = Diagnostic::error(load.span, "the image `far` is far away");
            Err(vec![error.also(vm.ram[0].span, "from here")])
        }
        _ => Err(vec![Diagnostic::error(load.span, "there is no such file")]),
    }
}

/// The diagnostics of a whole file.
fn of(text: &str) -> String {
    match vmconf::compile("vm.conf", 0, text, image_len) {
        Ok(_) => panic!("this compiles:\n{text}"),
        Err(diagnostics) => diagnostics.to_string(),
    }
}

/// The warnings of [`VM`] and `text`, which compiles.
fn warned(text: &str) -> String {
    let text = format!("{VM}{text}");
    match vmconf::compile("vm.conf", 0, &text, image_len) {
        Ok(compiled) => compiled.warnings.to_string(),
        Err(diagnostics) => panic!("{diagnostics}"),
    }
}

/// The diagnostics of [`VM`] and `text`.
fn with(text: &str) -> String {
    of(&format!("{VM}{text}"))
}

#[test]
fn a_location_in_io_space_is_refused() {
    assert_snapshot!(with("vdev trace loc io:0x300\n"), @"
    error: a `vdev trace` is in memory, not in I/O space
     --> vm.conf:4:16
      |
    4 | vdev trace loc io:0x300
      |                ^^^^^^^^ `io:` is the I/O space of x86
      |
      = help: give a guest-physical address: `loc 0xfa000000` or `loc mem:0xfa000000`
    ");
}

#[test]
fn a_serial_port_in_memory_is_refused() {
    assert_snapshot!(with("vdev ser8250 loc mem:0x3f8\n"), @"
    error: `loc` of a `vdev ser8250` is an I/O port
     --> vm.conf:4:18
      |
    4 | vdev ser8250 loc mem:0x3f8
      |                  ^^^^^^^^^
      |
      = help: give its first port: `loc io:0x3f8`
    ");
}

#[test]
fn a_port_that_cannot_be_is_refused() {
    assert_snapshot!(with("vdev ser8250 loc io:0x3fc\nvdev ser8250 loc 64K\n"), @"
    error: `loc` of a `vdev ser8250` is not aligned
     --> vm.conf:4:18
      |
    4 | vdev ser8250 loc io:0x3fc
      |                  ^^^^^^^^ 0x3fc is not a multiple of 0x8
      |
      = help: it occupies whole groups of 8 ports; 0x3f8 would do

    error: there is no such I/O port
     --> vm.conf:5:18
      |
    5 | vdev ser8250 loc 64K
      |                  ^^^ the last one is 0xffff
    ");
}

#[test]
fn a_location_on_a_pci_bus_is_refused() {
    assert_snapshot!(with("vdev trace loc pci:0:12.0\n"), @"
    error: the devices here are in memory, not on a PCI bus
     --> vm.conf:4:16
      |
    4 | vdev trace loc pci:0:12.0
      |                ^^^^^^^^^^
      |
      = help: give a guest-physical address: `loc 0xfa000000` or `loc mem:0xfa000000`
    ");
}

#[test]
fn a_location_in_an_unknown_space_is_refused() {
    assert_snapshot!(with("vdev trace loc ram:0xfa000000\n"), @"
    error: there is no address space `ram`
     --> vm.conf:4:16
      |
    4 | vdev trace loc ram:0xfa000000
      |                ^^^^^^^^^^^^^^
      |
      = help: give a guest-physical address: `loc 0xfa000000`
    ");
}

#[test]
fn a_location_with_a_length_is_refused() {
    assert_snapshot!(with("vdev trace loc mem:0xfa000000,4,rw\n"), @"
    error: `loc` of a device is an address and nothing else
     --> vm.conf:4:16
      |
    4 | vdev trace loc mem:0xfa000000,4,rw
      |                ^^^^^^^^^^^^^^^^^^^
      |
      = help: how long it is and who may access it follow from the device
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
fn an_unaligned_trace_device_is_refused() {
    assert_snapshot!(with("vdev trace loc 0xfa000002\n"), @"
    error: `loc` of a `vdev trace` is not aligned
     --> vm.conf:4:16
      |
    4 | vdev trace loc 0xfa000002
      |                ^^^^^^^^^^ 0xfa000002 is not a multiple of 0x4
      |
      = help: it occupies whole words of 4 bytes; 0xfa000000 would do
    ");
}

#[test]
fn an_unaligned_pl011_is_refused() {
    assert_snapshot!(with("vdev pl011 loc 0x1c090800\n"), @"
    error: `loc` of a `vdev pl011` is not aligned
     --> vm.conf:4:16
      |
    4 | vdev pl011 loc 0x1c090800
      |                ^^^^^^^^^^ 0x1c090800 is not a multiple of 0x1000
      |
      = help: it occupies whole pages of 4 KiB; 0x1c090000 would do
    ");
}

#[test]
fn a_location_inside_ram_is_refused() {
    assert_snapshot!(with("vdev trace loc 0x401ffffc\n"), @"
    error: this `vdev trace` overlaps the RAM
     --> vm.conf:4:16
      |
    2 | ram 0x40000000,2M
      |     ------------- the RAM is at 0x40000000 to 0x401fffff
    3 | load guest-app
    4 | vdev trace loc 0x401ffffc
      |                ^^^^^^^^^^ this `vdev trace` is at 0x401ffffc to 0x401fffff
    ");
}

#[test]
fn a_trace_device_in_the_page_of_a_pl011_is_refused() {
    assert_snapshot!(with("vdev pl011 loc 0x1c090000\nvdev trace loc 0x1c090ff0\n"), @"
    error: this `vdev trace` overlaps the other `vdev pl011`
     --> vm.conf:5:16
      |
    4 | vdev pl011 loc 0x1c090000
      |                ---------- the other `vdev pl011` is at 0x1c090000 to 0x1c090fff
    5 | vdev trace loc 0x1c090ff0
      |                ^^^^^^^^^^ this `vdev trace` is at 0x1c090ff0 to 0x1c090ff3
    ");
}

#[test]
fn two_devices_at_one_address_are_refused() {
    assert_snapshot!(with("vdev trace loc 0xfa000000\nvdev trace loc mem:0xfa000000\n"), @"
    error: this `vdev trace` and the other `vdev trace` have one address
     --> vm.conf:5:16
      |
    4 | vdev trace loc 0xfa000000
      |                ---------- the other `vdev trace` is at 0xfa000000 to 0xfa000003
    5 | vdev trace loc mem:0xfa000000
      |                ^^^^^^^^^^^^^^ this `vdev trace` is at 0xfa000000 to 0xfa000003
    ");
}

#[test]
fn a_location_beyond_40_bits_is_refused() {
    assert_snapshot!(with("vdev trace loc 0x10000000000\n"), @"
    error: the device lies beyond the guest's physical address space
     --> vm.conf:4:16
      |
    4 | vdev trace loc 0x10000000000
      |                ^^^^^^^^^^^^^ 0x10000000000 to 0x10000000003
      |
      = help: guest-physical addresses have 40 bits: up to 0xffffffffff
    ");
}

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
fn a_device_without_a_location_is_refused() {
    assert_snapshot!(with("vdev trace emit-logger\nvdev pl011\n"), @"
    error: this `vdev trace` has no `loc`
     --> vm.conf:4:1
      |
    4 | vdev trace emit-logger
      | ^^^^^^^^^^
      |
      = help: for example: `loc 0xfa000000`

    error: this `vdev pl011` has no `loc`
     --> vm.conf:5:1
      |
    5 | vdev pl011
      | ^^^^^^^^^^
      |
      = help: for example: `loc 0x1c090000`, where QNX's examples have it
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
fn a_device_of_qnx_is_refused_by_name() {
    assert_snapshot!(with("vdev virtio-console loc 0x1000\nvdev virtio-input\nvdev shmem\n"), @"
    error: `virtio-console` is a device of the QNX hypervisor that this project does not have
     --> vm.conf:4:6
      |
    4 | vdev virtio-console loc 0x1000
      |      ^^^^^^^^^^^^^^
      |
      = help: the guest's console is `vdev pl011`, on x86 `vdev ser8250`

    error: `virtio-input` is a device of the QNX hypervisor that this project does not have
     --> vm.conf:5:6
      |
    5 | vdev virtio-input
      |      ^^^^^^^^^^^^
      |
      = help: the devices here are `vdev trace`, `vdev pl011` and `vdev ser8250`

    error: `shmem` is a device of the QNX hypervisor that this project does not have
     --> vm.conf:6:6
      |
    6 | vdev shmem
      |      ^^^^^
      |
      = help: the devices here are `vdev trace`, `vdev pl011` and `vdev ser8250`
    ");
}

#[test]
fn options_of_qnx_are_refused_by_name() {
    let text = "rom 0xc0000,0x40000\n\
                pass loc mem:0x1000,0x1000,rw=0x2000 intr gic:4\n\
                reserve loc 0xa0000,0x20000\n\
                debug\n\
                dump /tmp\n\
                initrd load /vm/ramdisk\n";
    assert_snapshot!(with(text), @"
    error: `rom` is an option of the QNX hypervisor that this project does not have
     --> vm.conf:4:1
      |
    4 | rom 0xc0000,0x40000
      | ^^^
      |
      = help: put the data into the guest's image

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

    error: `initrd` is an option of the QNX hypervisor that this project does not have
     --> vm.conf:9:1
      |
    9 | initrd load /vm/ramdisk
      | ^^^^^^^^^^^
      |
      = help: the guest is one ELF image that brings everything: `load IMAGE`

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
    assert_snapshot!(warned("vdev pl011 loc 0x1c090000 hostdev >- intr gic:37\n"), @"
    warning: `hostdev` is an option of the QNX hypervisor that this project does not have
     --> vm.conf:4:27
      |
    4 | vdev pl011 loc 0x1c090000 hostdev >- intr gic:37
      |                           ^^^^^^^ passed over
      |
      = help: what the guest writes to its `vdev pl011` or `vdev ser8250` appears on the system's console

    warning: `intr` is an option of the QNX hypervisor that this project does not have
     --> vm.conf:4:38
      |
    4 | vdev pl011 loc 0x1c090000 hostdev >- intr gic:37
      |                                      ^^^^ passed over
      |
      = help: the devices here raise no interrupts; the guest polls them
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
      = help: the devices here are `vdev trace`, `vdev pl011` and `vdev ser8250`
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
    let ports = "vdev pl011 loc 0x1c090000 intr gic:37\n".to_owned();
    let more = (1..8).map(|page| {
        format!(
            "vdev pl011 loc {:#x} intr gic:38\n",
            0x1c09_0000 + (page << 12)
        )
    });
    assert_snapshot!(warned(&(ports + &more.collect::<String>())), @"
    warning: `intr` is an option of the QNX hypervisor that this project does not have
     --> vm.conf:4:27
      |
    4 | vdev pl011 loc 0x1c090000 intr gic:37
      |                           ^^^^ passed over
    5 | vdev pl011 loc 0x1c091000 intr gic:38
      |                           ---- and here
    6 | vdev pl011 loc 0x1c092000 intr gic:38
      |                           ---- and here
    7 | vdev pl011 loc 0x1c093000 intr gic:38
      |                           ---- and here
    8 | vdev pl011 loc 0x1c094000 intr gic:38
      |                           ---- and here
      |
      = note: and in 3 more places
      = help: the devices here raise no interrupts; the guest polls them
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
fn a_variable_that_nothing_uses_is_warned_of() {
    assert_snapshot!(warned("set speed fast\n"), @"
    warning: nothing uses the variable `speed`
     --> vm.conf:4:5
      |
    4 | set speed fast
      |     ^^^^^ no `$speed` comes after this
      |
      = help: `set` here gives a name to a value; it configures nothing by itself
    ");
}

#[test]
fn a_value_that_grows_without_bound_is_refused() {
    let mut text = "set a0 \"0123456789\"\n".to_owned();
    for number in 1..30 {
        let before = number - 1;
        text += &format!("set a{number} \"$a{before}$a{before}\"\n");
    }
    text += "cmdline $a29\n";
    assert_snapshot!(with(&text), @r#"
    error: this is too long
      --> vm.conf:13:8
       |
    13 | set a9 "$a8$a8"
       |        ^^^^^^^^ more than 4096 characters, when the variables in it are replaced
    "#);
}

#[test]
fn a_value_of_4096_characters_is_taken_whole_and_one_more_is_too_many() {
    let title_of = |line: &str| {
        let text = format!("{VM}set a {}\ncmdline {line}\n", "x".repeat(4096));
        let errors = vmconf::parse("vm.conf", &text).unwrap_err();
        let titles: Vec<String> = errors.iter().map(|it| it.title().to_owned()).collect();
        titles.join("; ")
    };
    assert_eq!(title_of("$a"), "the command line is too long");
    assert_eq!(title_of("\"$a \""), "this is too long");
    assert_eq!(title_of("\"$a$a$a\""), "this is too long");
}

#[test]
fn a_file_that_is_no_configuration_s_size_is_refused() {
    assert_snapshot!(of(&"#".repeat((1 << 20) + 1)), @"
    error: the file has 1048577 bytes, and more than 1048576 are not read
    --> vm.conf
     = help: is this a configuration?
    ");
}

#[test]
fn what_is_strict_takes_no_warning() {
    let text = format!("{VM}debug\n");
    let compiled = vmconf::compile("vm.conf", 0, &text, image_len).unwrap();
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

#[test]
fn an_option_of_another_device_is_refused() {
    assert_snapshot!(with("vdev pl011 loc 0x1c090000 emit-trace 12\n"), @"
    error: `emit-trace` is an option of `vdev trace` only
     --> vm.conf:4:27
      |
    4 | vdev pl011 loc 0x1c090000 emit-trace 12
      | ----------                ^^^^^^^^^^
      | |
      | this is a `vdev pl011`
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
fn a_malformed_number_is_refused() {
    assert_snapshot!(with("vdev trace loc 0xfag00000\nvdev trace loc 2MB\nram 0x4000000O,2M\n"), @"
    error: `0xfag00000` is not a number
     --> vm.conf:4:16
      |
    4 | vdev trace loc 0xfag00000
      |                ^^^^^^^^^^ `g` is not a hexadecimal digit
      |
      = help: numbers are decimal, or hexadecimal with `0x`, and may end in K, M or G

    error: `2MB` is not a number
     --> vm.conf:5:16
      |
    5 | vdev trace loc 2MB
      |                ^^^ `M` is not a decimal digit
      |
      = help: numbers are decimal, or hexadecimal with `0x`, and may end in K, M or G

    error: `0x4000000O` is not a number
     --> vm.conf:6:5
      |
    6 | ram 0x4000000O,2M
      |     ^^^^^^^^^^ `O` is not a hexadecimal digit
      |
      = help: numbers are decimal, or hexadecimal with `0x`, and may end in K, M or G
    ");
}

#[test]
fn a_number_of_more_than_64_bits_is_refused() {
    assert_snapshot!(with("vdev trace loc 0x10000000000000000\n"), @"
    error: `0x10000000000000000` is too large
     --> vm.conf:4:16
      |
    4 | vdev trace loc 0x10000000000000000
      |                ^^^^^^^^^^^^^^^^^^^ numbers have at most 64 bits
    ");
}

#[test]
fn a_string_without_an_end_is_refused() {
    assert_snapshot!(with("cmdline \"console=none\ncpu\n"), @r#"
    error: a string without an end
     --> vm.conf:4:9
      |
    4 | cmdline "console=none
      |         ^^^^^^^^^^^^^ no second `"` up to the end of the file
    "#);
}

#[test]
fn a_string_whose_end_is_missing_is_found_behind_the_next_one() {
    assert_snapshot!(with("cmdline \"console=none\nvdev trace loc 0xfa000000 name \"first\"\n"), @r#"
    error: a string without an end
     --> vm.conf:5:38
      |
    4 | cmdline "console=none
      |         ------------- is the end of this one missing?
    5 | vdev trace loc 0xfa000000 name "first"
      |                                      ^ no second `"` up to the end of the file
    "#);
}

#[test]
fn an_unknown_escape_in_a_string_is_refused() {
    assert_snapshot!(with("cmdline \"a\\nb\"\n"), @r#"
    error: `\n` has no meaning in a string
     --> vm.conf:4:11
      |
    4 | cmdline "a\nb"
      |           ^^
      |
      = help: `\"`, `\\` and `\$` stand for the character after the `\`
    "#);
}

#[test]
fn a_variable_without_a_value_is_refused() {
    assert_snapshot!(with("set trace-loc 0xfa000000\nvdev trace loc $trace_loc name $other\n"), @"
    error: the variable `trace_loc` has no value
     --> vm.conf:5:16
      |
    5 | vdev trace loc $trace_loc name $other
      |                ^^^^^^^^^^
      |
      = help: did you mean `$trace-loc`?

    error: the variable `other` has no value
     --> vm.conf:5:32
      |
    5 | vdev trace loc $trace_loc name $other
      |                                ^^^^^^
      |
      = help: give it one in front of this: `set other VALUE`
    ");
}

#[test]
fn a_variable_that_is_set_twice_is_refused() {
    assert_snapshot!(with("set a 1\nset a 2\n"), @"
    error: the variable `a` is set twice
     --> vm.conf:5:5
      |
    4 | set a 1
      |     - first here
    5 | set a 2
      |     ^ again here
    ");
}

#[test]
fn a_name_that_no_variable_can_have_is_refused() {
    assert_snapshot!(with("set 1st 2\nset $ 3\n"), @r#"
    error: `1st` cannot be the name of a variable
     --> vm.conf:4:5
      |
    4 | set 1st 2
      |     ^^^
      |
      = help: a name has letters, digits, `_` and `-`, and begins with a letter

    error: a `$` without the name of a variable
     --> vm.conf:5:5
      |
    5 | set $ 3
      |     ^
      |
      = help: a dollar sign itself is written `"\$"`
    "#);
}

#[test]
fn a_mistake_that_a_variable_brought_shows_where_it_was_set() {
    assert_snapshot!(with("set where 0xfa0z\nvdev trace loc mem:$where\n"), @"
    error: `0xfa0z` is not a number
     --> vm.conf:5:16
      |
    4 | set where 0xfa0z
      |     ----- the variable is set here
    5 | vdev trace loc mem:$where
      |                ^^^^^^^^^^ `z` is not a hexadecimal digit
      |
      = help: numbers are decimal, or hexadecimal with `0x`, and may end in K, M or G
    ");
}

#[test]
fn the_ninth_device_is_refused() {
    let devices: String = (0..10)
        .map(|number| format!("vdev trace loc {:#x}\n", 0xfa00_0000_u32 + 4 * number))
        .collect();
    assert_snapshot!(with(&devices), @"
    error: a VM has at most 8 devices
      --> vm.conf:12:1
       |
    12 | vdev trace loc 0xfa000020
       | ^^^^^^^^^^ the first of 2 too many
    ");
}

#[test]
fn the_fifth_range_of_ram_is_refused() {
    assert_snapshot!(with("ram 0,4K ram 4K,4K\nram 8K,4K ram 12K,4K ram 16K,4K\n"), @"
    error: a VM has at most 4 ranges of RAM
     --> vm.conf:5:15
      |
    5 | ram 8K,4K ram 12K,4K ram 16K,4K
      |               ^^^^^^ the first of 2 too many
    ");
}

#[test]
fn ram_that_overlaps_other_ram_is_refused() {
    assert_snapshot!(with("ram 0x401ff000,8K\nram 0x40200000,4K\n"), @"
    error: this RAM overlaps the other RAM
     --> vm.conf:4:5
      |
    2 | ram 0x40000000,2M
      |     ------------- the other RAM is at 0x40000000 to 0x401fffff
    3 | load guest-app
    4 | ram 0x401ff000,8K
      |     ^^^^^^^^^^^^^ this RAM is at 0x401ff000 to 0x40200fff

    error: this RAM overlaps the other RAM
     --> vm.conf:5:5
      |
    4 | ram 0x401ff000,8K
      |     ------------- the other RAM is at 0x401ff000 to 0x40200fff
    5 | ram 0x40200000,4K
      |     ^^^^^^^^^^^^^ this RAM is at 0x40200000 to 0x40200fff
    ");
}

#[test]
fn a_command_line_that_is_too_long_is_refused() {
    assert_snapshot!(with(&format!("cmdline \"{}\"\n", "x".repeat(1024))), @r#"
    error: the command line is too long
     --> vm.conf:4:9
      |
    4 | ...ne "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^...^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ 1024 characters, the most is 1023
    "#);
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
fn names_that_are_too_long_are_refused() {
    let text = format!(
        "system {}\nram 0x40000000,2M\nload guest-app\nvdev trace loc 0xfa000000 name {}\n",
        "s".repeat(32),
        "d".repeat(16)
    );
    assert_snapshot!(of(&text), @"
    error: the VM's name is too long
     --> vm.conf:1:8
      |
    1 | system ssssssssssssssssssssssssssssssss
      |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ 32 characters, the most is 31

    error: the device's name is too long
     --> vm.conf:4:32
      |
    4 | vdev trace loc 0xfa000000 name dddddddddddddddd
      |                                ^^^^^^^^^^^^^^^^ 16 characters, the most is 15
    ");
}

#[test]
fn a_name_with_a_letter_beyond_ascii_is_refused() {
    assert_snapshot!(of("ram 0x40000000,2M load guest-app system démo\n"), @"
    error: the VM's name has a character that is not printable ASCII
     --> vm.conf:1:41
      |
    1 | ram 0x40000000,2M load guest-app system démo
      |                                         ^^^^ `é`, U+00E9
      |
      = help: letters, digits and signs of ASCII come through on every console
    ");
}

#[test]
fn a_name_with_a_blank_and_an_empty_name_are_refused() {
    let text = "ram 0x40000000,2M load guest-app system \"\"\n\
                vdev trace loc 0xfa000000 name \"my trace\"\n";
    assert_snapshot!(of(text), @r#"
    error: the VM's name is empty
     --> vm.conf:1:41
      |
    1 | ram 0x40000000,2M load guest-app system ""
      |                                         ^^

    error: the device's name has a blank in it
     --> vm.conf:2:32
      |
    2 | vdev trace loc 0xfa000000 name "my trace"
      |                                ^^^^^^^^^^
      |
      = help: log lines are split at blanks; use `-` or `_`
    "#);
}

#[test]
fn ram_that_is_not_whole_pages_is_refused() {
    assert_snapshot!(of("system a load guest-app ram 0x40000800,2M\n"), @"
    error: RAM has to be whole pages of 4 KiB
     --> vm.conf:1:29
      |
    1 | system a load guest-app ram 0x40000800,2M
      |                             ^^^^^^^^^^^^^ the base, 0x40000800, is not a multiple of 0x1000
      |
      = help: memory is given to a guest page by page
    ");
    assert_snapshot!(of("system a load guest-app\nram 0x50000000,2049\n"), @"
    error: RAM has to be whole pages of 4 KiB
     --> vm.conf:2:5
      |
    2 | ram 0x50000000,2049
      |     ^^^^^^^^^^^^^^^ the length, 0x801, is not a multiple of 0x1000
      |
      = help: memory is given to a guest page by page
    ");
}

#[test]
fn ram_without_a_base_is_refused() {
    assert_snapshot!(of("system a load guest-app\nram 2M\n"), @"
    error: `ram` needs the base as well as the length
     --> vm.conf:2:5
      |
    2 | ram 2M
      |     ^^ one number
      |
      = help: QNX would choose the base; here it is given: `ram 0x40000000,2M`
    ");
}

#[test]
fn ram_with_a_blank_after_the_comma_is_refused_once() {
    assert_snapshot!(of("system a load guest-app\nram 0x40000000, 2M\n"), @"
    error: `ram` needs a base and a length
     --> vm.conf:2:5
      |
    2 | ram 0x40000000, 2M
      |     ^^^^^^^^^^^ two numbers, a comma between them, no blank
      |
      = help: for example: `ram 0x40000000,2M`
    ");
}

#[test]
fn ram_of_no_bytes_and_ram_beyond_40_bits_are_refused() {
    assert_snapshot!(of("system a load guest-app\nram 0,0\n"), @"
    error: RAM of no bytes
     --> vm.conf:2:5
      |
    2 | ram 0,0
      |     ^^^
    ");
    assert_snapshot!(of("system a load guest-app\nram 0xfffffff000,8K\n"), @"
    error: RAM lies beyond the guest's physical address space
     --> vm.conf:2:5
      |
    2 | ram 0xfffffff000,8K
      |     ^^^^^^^^^^^^^^^ 0xfffffff000 to 0x10000000fff
      |
      = help: guest-physical addresses have 40 bits: up to 0xffffffffff
    ");
}

#[test]
fn two_devices_with_one_name_are_refused() {
    let text = "vdev trace loc 0xfa000000 name first\nvdev trace loc 0xfa000004 name first\n";
    assert_snapshot!(with(text), @"
    error: two devices have the name `first`
     --> vm.conf:5:32
      |
    4 | vdev trace loc 0xfa000000 name first
      |                                ----- first given here
    5 | vdev trace loc 0xfa000004 name first
      |                                ^^^^^ again here
    ");
}

#[test]
fn an_unknown_severity_is_refused() {
    let text = "logger info,waring stdout\nvdev trace loc 0xfa000000 log chatty none\n";
    assert_snapshot!(with(text), @"
    error: `waring` is not a severity
     --> vm.conf:4:13
      |
    4 | logger info,waring stdout
      |             ^^^^^^
      |
      = help: did you mean `warning`?

    error: `chatty` is not a severity
     --> vm.conf:5:31
      |
    5 | vdev trace loc 0xfa000000 log chatty none
      |                               ^^^^^^
      |
      = help: there is `fatal`, `internal`, `error`, `warn`, `warning`, `info`, `debug`, `verbose`
    ");
}

#[test]
fn a_blank_in_a_list_of_severities_is_refused_once() {
    assert_snapshot!(with("logger info, warn stdout\n"), @"
    error: a severity is missing
     --> vm.conf:4:8
      |
    4 | logger info, warn stdout
      |        ^^^^^ commas stand between severities, without blanks
      |
      = help: for example: `logger info,warn,error stdout`
    ");
}

#[test]
fn a_logger_without_a_destination_is_refused() {
    assert_snapshot!(with("logger info,error\ncpu\n"), @"
    error: `logger` needs a destination
     --> vm.conf:4:1
      |
    4 | logger info,error
      | ^^^^^^^^^^^^^^^^^ the next word, `cpu`, is an option
      |
      = help: for example: `logger info,warn,error stdout`
    ");
}

#[test]
fn an_unknown_destination_is_refused() {
    assert_snapshot!(with("logger info stdou\nlogger error printer\n"), @"
    error: `stdou` is not a destination
     --> vm.conf:4:13
      |
    4 | logger info stdou
      |             ^^^^^
      |
      = help: did you mean `stdout`?

    error: `printer` is not a destination
     --> vm.conf:5:14
      |
    5 | logger error printer
      |              ^^^^^^^
      |
      = help: there is `stdout`, `stderr`, `none`
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
fn an_image_that_cannot_be_had_is_refused() {
    assert_snapshot!(of("system a ram 0x40000000,2M\nload no-such-app\n"), @"
    error: there is no such file
     --> vm.conf:2:6
      |
    2 | load no-such-app
      |      ^^^^^^^^^^^
    ");
}

#[test]
fn what_is_wrong_with_an_image_is_told_with_what_is_wrong_with_the_text() {
    let text = "system a ram 0x40000000,2M\nload far\n";
    assert_snapshot!(of(text), @"
    error: the image `far` is far away
     --> vm.conf:2:6
      |
    1 | system a ram 0x40000000,2M
      |              ------------- from here
    2 | load far
      |      ^^^
    ");
    // Where the text is wrong, the RAM may be, too.
    assert_snapshot!(of(&format!("{text}bogus\n")), @"
    error: there is no such file
     --> vm.conf:2:6
      |
    2 | load far
      |      ^^^

    error: there is no option `bogus`
     --> vm.conf:3:1
      |
    3 | bogus
      | ^^^^^
    ");
}

#[test]
fn an_image_that_is_empty_or_too_large_is_refused() {
    assert_snapshot!(of("system a ram 0x40000000,2M\nload empty\n"), @"
    error: the image `empty` is empty
     --> vm.conf:2:6
      |
    2 | load empty
      |      ^^^^^
    ");
    assert_snapshot!(of("system a ram 0x40000000,2M\nload huge\n"), @"
    error: the image `huge` is too large
     --> vm.conf:2:6
      |
    2 | load huge
      |      ^^^^ 8589934592 bytes, the most is 4 GiB
    ");
}

#[test]
fn an_image_with_an_address_is_refused() {
    assert_snapshot!(of("system a ram 0x40000000,2M\nload 0x40000000,app\n"), @"
    error: `load` takes the name of an image and nothing else
     --> vm.conf:2:6
      |
    2 | load 0x40000000,app
      |      ^^^^^^^^^^^^^^
      |
      = help: an ELF image says itself to which addresses it is loaded
    ");
}

#[test]
fn line_ends_of_windows_and_a_byte_order_mark_change_no_place() {
    let unix = with("vdev trace\n\tloc io:0x300\n");
    let windows = format!("\u{feff}{VM}vdev trace\n\tloc io:0x300\n").replace('\n', "\r\n");
    assert_eq!(of(&windows), unix);
}

#[test]
fn a_tab_is_one_column_and_the_caret_stands_below_its_word() {
    assert_snapshot!(with("vdev\ttrace\n\t\tloc\t0xfa000001\n"), @"
    error: `loc` of a `vdev trace` is not aligned
     --> vm.conf:5:7
      |
    5 |         loc    0xfa000001
      |                ^^^^^^^^^^ 0xfa000001 is not a multiple of 0x4
      |
      = help: it occupies whole words of 4 bytes; 0xfa000000 would do
    ");
}

#[test]
fn a_file_that_is_not_utf_8_is_refused_with_the_place() {
    let error = vmconf::decode("vm.conf", b"system d\xe9mo\ncpu\n").unwrap_err();
    assert_snapshot!(error.to_string(), @"
    error: the file is not UTF-8
     --> vm.conf:1:9
      |
    1 | system d�mo
      |         ^ the byte here is 0xe9
      |
      = help: save the file as UTF-8; plain ASCII is UTF-8 as well
    ");
}

fn little_endian(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn big_endian(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

#[test]
fn a_file_in_utf_16_is_shown_as_it_reads_in_either_byte_order() {
    let text = "\u{feff}system d\u{e9}mo\nload g\n";
    let error = vmconf::decode("vm.conf", &little_endian(text)).unwrap_err();
    assert_snapshot!(error.to_string(), @"
    error: the file is UTF-16, not UTF-8
     --> vm.conf:1:1
      |
    1 | system démo
      | ^ each character of it is two bytes
      |
      = help: save the file as UTF-8; plain ASCII is UTF-8 as well
    ");
    assert_eq!(
        vmconf::decode("vm.conf", &big_endian(text)).unwrap_err(),
        error
    );
}

#[test]
fn utf_16_is_known_by_its_mark_or_by_some_letters_with_a_zero_each() {
    for text in [
        "\u{feff}",
        "\u{feff}\u{3b1}\u{3b2}",
        "system demo",
        "\u{feff}s",
    ] {
        assert!(vmconf::is_utf_16(&little_endian(text)), "{text:?}");
        assert!(vmconf::is_utf_16(&big_endian(text)), "{text:?}");
    }
}

#[test]
fn other_files_with_zeroes_in_them_are_no_utf_16() {
    let others: [&[u8]; 7] = [
        b"system demo",
        b"",
        b"a\0",
        // UTF-32, whose mark begins like the other one.
        b"\xff\xfe\0\0s\0\0\0y\0\0\0",
        // Letters in front of something else, and behind it.
        b"d\0a\0t\0a\0\xff\xff\xff\xff",
        b"\x01\0d\0a\0t\0a\0",
        b"\x7fELF\x02\x01\x01\0\0\0\0\0",
    ];
    for bytes in others {
        assert!(!vmconf::is_utf_16(bytes), "{bytes:x?}");
    }
}

#[test]
fn the_largest_file_that_is_read_is_read() {
    let comment = "#".repeat((1 << 20) - VM.len());
    assert!(vmconf::parse("vm.conf", &format!("{VM}{comment}")).is_ok());
}

#[test]
fn the_last_page_of_40_bits_and_the_last_ports_can_be_had() {
    let text = "ram 0xfffffff000,4K vdev ser8250 loc io:0xfff8\n";
    assert!(vmconf::parse("vm.conf", &format!("{VM}{text}")).is_ok());
}

#[test]
fn a_mistake_in_a_word_with_quotes_is_shown_at_the_whole_word() {
    assert_snapshot!(of("system a load guest-app\nram \"0x4000000O,2M\"\n"), @r#"
    error: `0x4000000O` is not a number
     --> vm.conf:2:5
      |
    2 | ram "0x4000000O,2M"
      |     ^^^^^^^^^^^^^^^ `O` is not a hexadecimal digit
      |
      = help: numbers are decimal, or hexadecimal with `0x`, and may end in K, M or G
    "#);
}

#[test]
fn control_characters_reach_no_terminal() {
    let rendered = with("\x1b[31mred vdev trace loc \x1b[2J0x1 name \"a\x07\"\n");
    assert!(!rendered.contains(['\x1b', '\x07']), "{rendered:?}");
}

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
