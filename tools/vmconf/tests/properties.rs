//! What holds for every text: a VM that is written down in any order compiles to itself, and what is
//! no configuration is refused in a moment, with a reason.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use vm_config::{
    Action, AddressSpace, AnyVdev, Emit, RamRange, SeverityMask, TraceNumber, Unsupported, Vdev,
    VmConfig,
};
use vmconf::{Colour, LaidOut};

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
    space: AddressSpace,
    loc: u64,
    adds: Option<SeverityMask>,
    vdev: Vdev,
    emit: Emit,
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

fn emits() -> impl Strategy<Value = Emit> {
    let numbers = proptest::option::of(0..=1023_u16);
    (any::<bool>(), numbers).prop_map(|(logger, number)| Emit {
        logger,
        trace: number.and_then(TraceNumber::new),
    })
}

/// Devices in slots of their own, so that they never clash, at any place of it.
fn devices() -> impl Strategy<Value = Vec<WantedDevice>> {
    const SLOT: u64 = 0x1000;
    let device = (
        select(Vdev::ALL),
        any::<(Index, Index)>(),
        proptest::option::of(masks()),
        emits(),
        any::<bool>(),
    );
    proptest::collection::vec(device, 0..=8).prop_map(|devices| {
        let devices = devices.into_iter().enumerate();
        devices
            .map(|(index, (vdev, (place, space), adds, emit, named))| {
                let kind = vdev.kind();
                let space = *space.get(kind.spaces);
                let first = match space {
                    AddressSpace::Memory => 0x1_0000_0000,
                    AddressSpace::Ports => 0,
                };
                let places = (SLOT - kind.len) / kind.align + 1;
                let offset = place.index(places as usize) as u64 * kind.align;
                let name = named.then(|| format!("device#{index}\""));
                WantedDevice {
                    name,
                    space,
                    loc: first + index as u64 * SLOT + offset,
                    adds,
                    vdev,
                    emit,
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
        let space = match device.space {
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
        options.extend(device.emit.logger.then(|| "emit-logger".to_owned()));
        let number = device.emit.trace.map(TraceNumber::get);
        options.extend(number.map(|number| format!("emit-trace {number}")));
        format!(
            "vdev {} {}",
            device.vdev.kind().name,
            shuffled(options, seeds)
        )
    });
    options.push(devices.collect());
    shuffled(options, seeds)
}

/// Texts that are nearly configurations: words of the language and its neighbours at random.
fn nearly() -> impl Strategy<Value = String> {
    let mut words = vec![
        "system",
        "cpu",
        "ram",
        "load",
        "cmdline",
        "logger",
        "set",
        "unsupported",
        "vdev",
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
    for kind in Vdev::ALL.iter().map(|vdev| vdev.kind()) {
        words.push(kind.name);
        for option in kind.options {
            words.extend(option.example.split(' '));
        }
    }
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
    match vmconf::compile("vm.conf", 0, text, |loads, vm| {
        Ok(LaidOut::unseen(loads, vm))
    }) {
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
        let blob = vmconf::compile("vm.conf", vm, &text, |loads, vm| Ok(LaidOut {
            files: vec![(image_len, None)],
            ..LaidOut::unseen(loads, vm)
        }));
        let blob = blob.map_err(|errors| TestCaseError::fail(format!("{errors}\n{text}")))?.blob;
        let config = VmConfig::parse(&blob).map_err(|error| TestCaseError::fail(error.to_string()))?;

        let logger = wanted.logger.unwrap_or_default();
        prop_assert_eq!(config.vm(), vm);
        prop_assert_eq!(config.name(), &wanted.name);
        let image = config.images().next().unwrap();
        prop_assert_eq!((image.name, image.len_bytes), (&*wanted.load, image_len));
        prop_assert_eq!(config.cmdline(), wanted.cmdline.as_deref().unwrap_or(""));
        prop_assert_eq!(config.logger(), logger);
        prop_assert_eq!(config.unsupported(), wanted.unsupported);
        prop_assert!(config.ram().eq(wanted.ram));
        prop_assert_eq!(config.devices().count(), wanted.devices.len());
        for (device, wanted) in config.devices().zip(wanted.devices) {
            prop_assert_eq!((device.space, device.loc), (wanted.space, wanted.loc));
            prop_assert_eq!((device.vdev, device.emit), (wanted.vdev, wanted.emit));
            prop_assert_eq!(device.severities, wanted.adds.map(|adds| logger | adds));
            match wanted.name {
                Some(name) => prop_assert_eq!(device.name, &name),
                None => prop_assert!(device.name.starts_with(device.kind().name)),
            }
        }
    }
}
