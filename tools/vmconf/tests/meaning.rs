//! What a text means: the demo of the documentation, defaults, and the properties that hold
//! for every text.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use vm_config::{
    Action, AddressSpace, Device, DeviceKind, RamRange, SeverityMask, Trace, TraceNumber,
    Unsupported, VmConfig,
};
use vmconf::{Colour, Vm};

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

#[test]
fn the_demo_means_what_it_says() {
    let compiled = vmconf::compile("vm.conf", 0, DEMO, |load, vm| {
        assert_eq!(load.value, "guest-app");
        assert_eq!(vm.map(|vm| vm.system.value.as_str()), Some("demo"));
        Ok(70_000)
    });
    let compiled = compiled.unwrap_or_else(|errors| panic!("{errors}"));
    assert!(compiled.warnings.is_empty(), "{}", compiled.warnings);
    let config = VmConfig::parse(&compiled.blob).unwrap();
    assert_eq!(config.name(), "demo");
    assert_eq!(config.load_name(), "guest-app");
    assert_eq!(config.image_len_bytes(), 70_000);
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
    let trace = Trace {
        emit_logger: true,
        emit_trace: TraceNumber::new(12),
    };
    let kind = DeviceKind::Trace(trace);
    let severities = None;
    assert!(config.devices().eq([
        Device {
            name: "trace0",
            loc: 0xfa00_0000,
            severities,
            kind
        },
        Device {
            name: "pl011-0",
            loc: 0x1c09_0000,
            severities,
            kind: DeviceKind::Pl011
        },
    ]));
}

#[test]
fn a_place_is_named_as_an_editor_counts() {
    let vm = vm("# \u{e4}\nsystem demo # \u{e4}\n  ram 0x40000000,2M load guest-app\n");
    let place = |span| vm.source.place(span);
    assert_eq!(place(vm.system.span), "vm.conf:2:8");
    assert_eq!(place(vm.ram[0].span), "vm.conf:3:7");
    assert_eq!(place(vm.load.span), "vm.conf:3:26");
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
    assert_eq!(a.encode(0, 1), b.encode(0, 1));
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
        assert!(
            matches!(vm.devices[0].kind, DeviceKind::Trace(_)),
            "{object}"
        );
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
    let trace = Trace {
        emit_logger: false,
        emit_trace: TraceNumber::new(12),
    };
    assert_eq!(vm.devices[0].kind, DeviceKind::Trace(trace));
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
    assert!(vm(&text).encode(3, u32::MAX).is_ok());
}

#[test]
fn a_very_long_file_of_mistakes_is_refused_in_a_moment() {
    let lines = [
        "vdev trace loc 4 name a\n",
        "set a 1\n",
        "ram 0,4K\n",
        "systme \"\n",
        "$b\n",
    ];
    for line in lines {
        let text = line.repeat((1 << 18) / line.len());
        let start = std::time::Instant::now();
        let errors = vmconf::parse("vm.conf", &text).unwrap_err().to_string();
        assert!(errors.lines().count() < 400);
        assert!(
            start.elapsed().as_secs() < 20,
            "{line}: {:?}",
            start.elapsed()
        );
    }
}

/// A VM as a property test makes it, to be written down in some order.
#[derive(Clone, Debug)]
struct Wanted {
    name: String,
    load: String,
    cmdline: Option<String>,
    logger: Option<SeverityMask>,
    unsupported: Unsupported,
    ram: Vec<RamRange>,
    devices: Vec<WantedDevice>,
    cpu: bool,
}

#[derive(Clone, Debug)]
struct WantedDevice {
    name: Option<String>,
    loc: u64,
    adds: Option<SeverityMask>,
    kind: DeviceKind,
}

fn masks() -> impl Strategy<Value = SeverityMask> {
    (1_u8..0x80).prop_map(SeverityMask::from_bits_truncate)
}

fn list(mask: SeverityMask) -> String {
    let names: Vec<String> = mask
        .iter_names()
        .map(|(name, _)| name.to_lowercase())
        .collect();
    names.join(",")
}

fn actions() -> impl Strategy<Value = Action> {
    select(vec![Action::Ignore, Action::Fail, Action::Abort])
}

fn kinds() -> impl Strategy<Value = DeviceKind> {
    let trace = (any::<bool>(), proptest::option::of(0..=1023_u16)).prop_map(|(log, number)| {
        let emit_trace = number.and_then(TraceNumber::new);
        DeviceKind::Trace(Trace {
            emit_logger: log,
            emit_trace,
        })
    });
    let others = [DeviceKind::Pl011, DeviceKind::Ser8250];
    prop_oneof![3 => trace, 1 => select(others.to_vec())]
}

/// Devices in slots of a page each, so that they never clash, at any word of it.
fn devices() -> impl Strategy<Value = Vec<WantedDevice>> {
    let device = (
        kinds(),
        0..1024_u64,
        proptest::option::of(masks()),
        any::<bool>(),
    );
    proptest::collection::vec(device, 0..=8).prop_map(|devices| {
        let devices = devices.into_iter().enumerate();
        devices
            .map(|(index, (kind, word, adds, named))| {
                let page = 0x1_0000_0000 + (index as u64) * 4096;
                let loc = match kind {
                    DeviceKind::Trace(_) => page + word * 4,
                    DeviceKind::Pl011 => page,
                    DeviceKind::Ser8250 => index as u64 * 0x2000 + word * 8,
                };
                let name = named.then(|| format!("device#{index}\""));
                WantedDevice {
                    name,
                    loc,
                    adds,
                    kind,
                }
            })
            .collect()
    })
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let texts = (
        "[!-~]{1,31}",
        "[ -+--~]{1,127}",
        proptest::option::of("[ -~]{0,1023}"),
    );
    let unsupported = (actions(), actions(), actions());
    let ram = proptest::collection::vec((0..256_u64, 1..=256_u64), 1..=1);
    let rest = (
        proptest::option::of(masks()),
        unsupported,
        ram,
        devices(),
        any::<bool>(),
    );
    (texts, rest).prop_map(
        |((name, load, cmdline), (logger, unsupported, ram, devices, cpu))| {
            let (instruction, reference, register) = unsupported;
            let ram = ram
                .into_iter()
                .enumerate()
                .map(|(index, (base, len))| RamRange {
                    base: ((index as u64) * 512 + base) * 4096,
                    len_bytes: len * 4096,
                });
            let unsupported = Unsupported {
                instruction,
                reference,
                register,
            };
            Wanted {
                name,
                load,
                cmdline,
                logger,
                unsupported,
                ram: ram.collect(),
                devices,
                cpu,
            }
        },
    )
}

/// `text` as a string of the language.
fn string(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('$', "\\$");
    format!("\"{escaped}\"")
}

fn action_word(action: Action) -> &'static str {
    match action {
        Action::Ignore => "ignore",
        Action::Fail => "fail",
        Action::Abort => "abort",
    }
}

/// Puts `parts` into the order that `seeds` say, with a separator for each.
fn shuffled(mut parts: Vec<String>, seeds: &[Index]) -> String {
    let separators = [" ", "\n", "\t", "\r\n", " # cpu cpu\n\n"];
    let mut text = String::new();
    for seed in seeds.iter().cycle() {
        if parts.is_empty() {
            break;
        }
        text += &parts.remove(seed.index(parts.len()));
        text += separators[seed.index(separators.len())];
    }
    text
}

fn written(wanted: &Wanted, seeds: &[Index]) -> String {
    let unsupported = wanted.unsupported;
    let mut options = vec![
        format!("system {}", string(&wanted.name)),
        format!("load {}", string(&wanted.load)),
        format!(
            "unsupported instruction {}",
            action_word(unsupported.instruction)
        ),
        format!(
            "unsupported reference {}",
            action_word(unsupported.reference)
        ),
        format!("unsupported register {}", action_word(unsupported.register)),
    ];
    options.extend(
        wanted
            .cmdline
            .iter()
            .map(|line| format!("cmdline {}", string(line))),
    );
    options.extend(
        wanted
            .logger
            .iter()
            .map(|mask| format!("logger {} stdout", list(*mask))),
    );
    options.extend(wanted.cpu.then(|| "cpu".to_owned()));
    // What has an order in the blob keeps it: all of it is one part here.
    let ram = wanted
        .ram
        .iter()
        .map(|ram| format!("ram {:#x},{}\n", ram.base, ram.len_bytes));
    options.push(ram.collect());
    let devices = wanted.devices.iter().map(|device| {
        let space = match device.kind.space() {
            AddressSpace::Memory => "mem",
            AddressSpace::Ports => "io",
        };
        let mut options = vec![format!("loc {space}:{:#X}", device.loc).replace("0X", "0x")];
        options.extend(
            device
                .name
                .iter()
                .map(|name| format!("name {}", string(name))),
        );
        options.extend(
            device
                .adds
                .iter()
                .map(|mask| format!("log {} stderr", list(*mask))),
        );
        if let DeviceKind::Trace(trace) = device.kind {
            options.extend(trace.emit_logger.then(|| "emit-logger".to_owned()));
            let number = trace.emit_trace.map(TraceNumber::get);
            options.extend(number.map(|number| format!("emit-trace {number}")));
        }
        format!("vdev {} {}", device.kind.name(), shuffled(options, seeds))
    });
    options.push(devices.collect());
    shuffled(options, seeds)
}

/// Texts that are nearly configurations: words of the language and its neighbours at random.
fn nearly() -> impl Strategy<Value = String> {
    let words = vec![
        "system",
        "cpu",
        "ram",
        "load",
        "cmdline",
        "logger",
        "set",
        "unsupported",
        "vdev",
        "trace",
        "pl011",
        "ser8250",
        "loc",
        "name",
        "log",
        "emit-logger",
        "emit-trace",
        "0x1000",
        "0,4K",
        "4K,4K",
        "12",
        "info,warn",
        "stdout",
        "none",
        "$a",
        "$a{b}",
        "$",
        "\"",
        "\\",
        "#",
        "a",
        "mem:",
        "io:4",
        "pass",
        "initrd",
        "intr",
        "18446744073709551615",
        "0xffffffffff,1G",
        ",",
        "é",
        "\u{301}",
        "\u{202e}",
        "\0",
        "\x1b[1m",
        "instruction",
        "fail",
        "\"x y\"",
    ];
    let separators = select(vec!["", " ", " ", "\n", "\t", "\r\n", "\r"]);
    let parts = proptest::collection::vec((select(words), separators), 0..60);
    parts.prop_map(|parts| {
        parts
            .into_iter()
            .flat_map(|(word, blank)| [word, blank])
            .collect()
    })
}

/// The text is compiled or refused, with at least one error and all of them rendered.
fn survives(text: &str) -> Result<(), TestCaseError> {
    match vmconf::compile("vm.conf", 0, text, |_, _| Ok(1)) {
        Ok(compiled) => {
            prop_assert!(VmConfig::parse(&compiled.blob).is_ok());
            let told = compiled.warnings.render(Colour::Never);
            prop_assert!(told.is_empty() || told.starts_with("warning: "));
        }
        Err(errors) => {
            prop_assert!(errors.iter().count() > 0);
            prop_assert!(errors.render(Colour::Never).starts_with("error: "));
            prop_assert!(!errors.render(Colour::Always).is_empty());
            let ours = errors
                .iter()
                .any(|error| error.title().contains("no blob can hold"));
            prop_assert!(!ours, "{errors}");
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_compiled_or_refused_without_a_panic(text in any::<String>()) {
        survives(&text)?;
    }

    #[test]
    fn any_nearly_right_text_is_compiled_or_refused_without_a_panic(text in nearly()) {
        survives(&text)?;
    }

    #[test]
    fn any_bytes_are_decoded_or_refused_without_a_panic(bytes: Vec<u8>) {
        if let Err(errors) = vmconf::decode("vm.conf", &bytes) {
            prop_assert!(errors.to_string().starts_with("error: the file is not UTF-8"));
        }
    }

    #[test]
    fn a_configuration_in_any_order_comes_out_of_the_blob_as_it_went_in(
        wanted in wanted(),
        seeds in proptest::collection::vec(any::<Index>(), 1..20),
        image_len in 1..=u32::MAX,
        vm in 0..4_u8,
    ) {
        let text = written(&wanted, &seeds);
        let blob = vmconf::compile("vm.conf", vm, &text, |_, _| Ok(image_len.into()));
        let blob = blob.map_err(|errors| TestCaseError::fail(format!("{errors}\n{text}")))?.blob;
        let config = VmConfig::parse(&blob).map_err(|error| TestCaseError::fail(error.to_string()))?;

        let logger = wanted.logger.unwrap_or_default();
        prop_assert_eq!(config.vm(), vm);
        prop_assert_eq!(config.name(), &wanted.name);
        prop_assert_eq!(config.load_name(), &wanted.load);
        prop_assert_eq!(config.image_len_bytes(), image_len);
        prop_assert_eq!(config.cmdline(), wanted.cmdline.as_deref().unwrap_or(""));
        prop_assert_eq!(config.logger(), logger);
        prop_assert_eq!(config.unsupported(), wanted.unsupported);
        prop_assert!(config.ram().eq(wanted.ram));
        prop_assert_eq!(config.devices().count(), wanted.devices.len());
        for (device, wanted) in config.devices().zip(wanted.devices) {
            prop_assert_eq!(device.loc, wanted.loc);
            prop_assert_eq!(device.kind, wanted.kind);
            prop_assert_eq!(device.severities, wanted.adds.map(|adds| logger | adds));
            match wanted.name {
                Some(name) => prop_assert_eq!(device.name, &name),
                None => prop_assert!(device.name.starts_with(device.kind.name())),
            }
        }
    }
}
