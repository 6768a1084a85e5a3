//! What a text means: the demo of the documentation, and the defaults.

use vm_config::{
    Action, AddressSpace, ConfigError, Device, Emit, Image, Options, RamRange, SeverityMask,
    TraceNumber, Unsupported, Vdev, VmConfig,
};
use vmconf::{LaidOut, Vm};

fn vm(text: &str) -> Vm {
    vmconf::parse("vm.conf", text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// [`vm`] of a VM that says `text` besides what every VM must.
fn vm_with(text: &str) -> Vm {
    vm(&format!(
        "system demo ram 0x40000000,2M load guest-app\n{text}"
    ))
}

fn logger(text: &str) -> SeverityMask {
    vm_with(text).logger
}

/// The configuration that DESIGN.md shows, with a console and a command line.
const DEMO: &str = r#"
# demo VM
set where 0xfa000000
system demo
cpu
ram 0x40000000,2M
load guest-app
cmdline "trace=$where uart=0x1c090000"
logger info,warn,error stdout
unsupported instruction abort
vdev trace
    loc mem:$where
    emit-logger
    emit-trace 12
vdev pl011 loc 0x1c090000
"#;

/// The blob with images that nobody has looked at.
fn encoded(vm: &Vm, number: u8) -> Result<Vec<u8>, ConfigError> {
    vm.encode(number, &LaidOut::unseen(&vm.loads, Some(vm)))
}

#[test]
fn a_load_has_an_address_or_says_itself_where_it_goes() {
    let text = "system a ram 0,1M load a.elf load 0x1000,b load 4K,\"two words\" load 0d16,d";
    let loads = vm(text).loads;
    let loads: Vec<_> = loads
        .iter()
        .map(|load| (load.value.address, &*load.value.name))
        .collect();
    let wanted = [
        (None, "a.elf"),
        (Some(0x1000), "b"),
        (Some(0x1000), "two words"),
        (Some(16), "d"),
    ];
    assert_eq!(loads, wanted);
}

#[test]
fn the_demo_means_what_it_says() {
    let compiled = vmconf::compile("vm.conf", 0, DEMO, |loads, vm| {
        assert_eq!(loads.len(), 1);
        assert_eq!(
            (loads[0].value.address, &*loads[0].value.name),
            (None, "guest-app")
        );
        assert_eq!(vm.map(|vm| vm.system.value.as_str()), Some("demo"));
        Ok(LaidOut {
            files: vec![(70_000, Some(7))],
            ..LaidOut::unseen(loads, vm)
        })
    });
    let compiled = compiled.unwrap_or_else(|errors| panic!("{errors}"));
    assert!(compiled.warnings.is_empty(), "{}", compiled.warnings);
    let config = VmConfig::parse(&compiled.blob).unwrap();
    assert_eq!(config.name(), "demo");
    assert!(config.images().eq([Image {
        name: "guest-app",
        len_bytes: 70_000,
        crc32: Some(7),
    }]));
    assert_eq!(config.entry(), 0x4000_0000);
    assert_eq!(config.cmdline(), "trace=0xfa000000 uart=0x1c090000");
    assert_eq!(
        config.logger(),
        SeverityMask::INFO | SeverityMask::WARN | SeverityMask::ERROR
    );
    let unsupported = Unsupported {
        instruction: Action::Abort,
        ..Unsupported::default()
    };
    assert_eq!(config.unsupported(), unsupported);
    assert!(config.ram().eq([RamRange {
        base: 0x4000_0000,
        len_bytes: 2 << 20
    }]));
    let console = Device {
        name: "pl011-0",
        vdev: Vdev::Pl011,
        space: AddressSpace::Memory,
        loc: 0x1c09_0000,
        severities: None,
        emit: Emit::default(),
        options: Options::NONE,
    };
    let counter = Device {
        name: "trace0",
        vdev: Vdev::Trace,
        loc: 0xfa00_0000,
        emit: Emit {
            logger: true,
            trace: TraceNumber::new(12),
        },
        ..console
    };
    assert!(config.devices().eq([counter, console]));
}

#[test]
fn a_place_is_named_as_an_editor_counts() {
    let vm = vm("# \u{e4}\nsystem demo # \u{e4}\n  ram 0x40000000,2M load guest-app\n");
    let place = |span| vm.source.place(span);
    assert_eq!(place(vm.system.span), "vm.conf:2:8");
    assert_eq!(place(vm.ram[0].span), "vm.conf:3:7");
    assert_eq!(place(vm.loads[0].span), "vm.conf:3:26");
}

#[test]
fn every_place_in_the_vm_is_where_the_text_says_it() {
    let vm = vm(DEMO);
    let said = |span: vmconf::Span| vm.source.text().get(span.start..span.end).unwrap();
    assert_eq!(said(vm.system.span), "demo");
    assert_eq!(said(vm.ram[0].span), "0x40000000,2M");
    assert_eq!(said(vm.devices[0].span), "vdev trace");
    assert_eq!(said(vm.devices[0].loc.span), "mem:$where");
    assert_eq!(said(vm.devices[1].name.span), "vdev pl011");
}

#[test]
fn a_whole_vm_may_stand_on_one_line_and_a_word_on_each() {
    let one_line = "load g vdev trace name t emit-trace 7 loc 4K cpu ram 2M,2M system s";
    let a_word_each = one_line.replace(' ', "\r\n\t");
    let (a, b) = (vm(one_line), vm(&a_word_each));
    assert_eq!(encoded(&a, 0), encoded(&b, 0));
    assert_eq!(a.devices[0].loc.value, 4096);
}

#[test]
fn without_a_logger_everything_but_debug_and_verbose_is_logged() {
    let all_but = SeverityMask::all() - SeverityMask::DEBUG - SeverityMask::VERBOSE;
    assert_eq!(logger(""), all_but);
}

#[test]
fn a_logger_replaces_the_default_and_several_add_up() {
    assert_eq!(logger("logger error stderr"), SeverityMask::ERROR);
    let both = SeverityMask::ERROR | SeverityMask::DEBUG;
    assert_eq!(logger("logger error stderr logger debug stdout"), both);
}

#[test]
fn a_logger_to_nowhere_takes_away_from_the_default() {
    assert_eq!(
        logger("logger info,warn none"),
        SeverityMask::default() - SeverityMask::INFO - SeverityMask::WARN
    );
    assert_eq!(
        logger("logger info,error stdout logger info none"),
        SeverityMask::ERROR
    );
}

#[test]
fn a_device_adds_to_and_takes_from_the_loggers_severities() {
    let text = "vdev trace loc 4 log debug stdout log warning none\nlogger warn,error stdout";
    let own = SeverityMask::ERROR | SeverityMask::DEBUG;
    assert_eq!(vm_with(text).devices[0].severities, Some(own));
    assert_eq!(vm_with("vdev trace loc 4").devices[0].severities, None);
}

#[test]
fn unnamed_devices_are_numbered_by_kind_and_avoid_given_names() {
    let text = "vdev trace loc 0 vdev pl011 loc 4K vdev trace loc 4 vdev trace loc 8 name trace1";
    let names: Vec<String> = vm_with(text)
        .devices
        .into_iter()
        .map(|device| device.name.value)
        .collect();
    assert_eq!(names, ["trace0", "pl011-0", "trace2", "trace1"]);
}

#[test]
fn a_name_in_quotes_may_be_the_name_of_an_option() {
    assert_eq!(
        vm("system \"cpu\" ram 0,4K load \"load\"").system.value,
        "cpu"
    );
}

#[test]
fn a_device_may_be_named_by_qnx_s_shared_object() {
    for object in [
        "trace",
        "vdev-trace",
        "vdev-trace.so",
        "trace.so",
        "vdev-trace-safety.so",
        "/proc/boot/vdev-trace.so",
    ] {
        let vm = vm_with(&format!("vdev {object} loc 0xfa000000 emit-logger"));
        assert_eq!(vm.devices[0].vdev, Vdev::Trace, "{object}");
    }
}

#[test]
fn a_string_may_go_over_several_lines() {
    for text in [
        "cmdline \"a=1   \n   b=2\"",
        "cmdline \"a=1\r\n\n\tb=2\"",
        "cmdline \"a=1 \\\nb=2\"",
        "cmdline \"a=1 \\ \t\nb=2\"",
        "cmdline \"a=1 \\ \r\nb=2\"",
    ] {
        assert_eq!(vm_with(text).cmdline.unwrap().value, "a=1 b=2", "{text:?}");
    }
    let vm = vm_with("set x 1 cmdline \"a=$x\n $x\"");
    assert_eq!(vm.cmdline.unwrap().value, "a=1 1");
}

#[test]
fn a_set_does_not_end_the_description_of_a_device() {
    let vm = vm_with("vdev trace loc 4 set number 12 emit-trace $number");
    let emit = Emit {
        logger: false,
        trace: TraceNumber::new(12),
    };
    assert_eq!(vm.devices[0].emit, emit);
}

#[test]
fn two_trace_devices_may_share_a_page() {
    assert_eq!(
        vm_with("vdev trace loc 0xfa000000 vdev trace loc 0xfa000ffc")
            .devices
            .len(),
        2
    );
}

#[test]
fn eight_devices_fit() {
    let text: String = (0..8)
        .map(|number| format!("vdev trace loc {}\n", number * 4))
        .collect();
    assert_eq!(vm_with(&text).devices.len(), 8);
}

#[test]
fn the_longest_texts_fit() {
    let (name, line, device) = ("n".repeat(31), "c".repeat(1023), "d".repeat(15));
    let text = format!(
        "system {name} ram 0,4K load {} cmdline {line} vdev trace loc 4K name {device}",
        "l".repeat(127)
    );
    assert!(encoded(&vm(&text), 3).is_ok());
}
