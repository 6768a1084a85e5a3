//! Texts that are copied into the blob, and the devices' names: what they may be made of, how long
//! they may be, and that no two are one.

use vdev_model::AnyVdev;
use vm_config::{MAX_CMDLINE_BYTES, MAX_DEVICE_NAME_BYTES, MAX_LOAD_NAME_BYTES, MAX_NAME_BYTES};

use crate::devices;
use crate::diagnostics::{Diagnostic, quoted};
use crate::options::{Draft, DraftDevice, Once};
use crate::source::Spanned;

/// The texts that are copied into the blob.
pub(super) fn texts(draft: &Draft, found: &mut Vec<Diagnostic>) {
    name("the VM's name", &draft.system, MAX_NAME_BYTES, found);
    for load in &draft.loads {
        let name = Spanned {
            value: &load.value.name,
            span: load.span,
        };
        if name.value.is_empty() {
            let error = Diagnostic::error(load.span, "the image's name is empty");
            found.push(match load.value.address {
                Some(_) => error.help("no blank stands after the comma: `load 0x40100000,my.bin`"),
                None => error,
            });
        }
        printable("the image's name", &name, MAX_LOAD_NAME_BYTES, found);
    }
    text("the command line", &draft.cmdline, MAX_CMDLINE_BYTES, found);
    for device in &draft.devices {
        name(
            "the device's name",
            &device.name,
            MAX_DEVICE_NAME_BYTES,
            found,
        );
    }
}

/// A text that stands in log lines, where it is one column.
fn name(what: &str, once: &Once<String>, most: usize, found: &mut Vec<Diagnostic>) {
    let Some(name) = &once.value else { return };
    if name.value.is_empty() {
        return found.push(Diagnostic::error(name.span, format!("{what} is empty")));
    }
    if name.value.contains(' ') {
        let error = Diagnostic::error(name.span, format!("{what} has a blank in it"));
        return found.push(error.help("log lines are split at blanks; use `-` or `_`"));
    }
    text(what, once, most, found);
}

fn text(what: &str, once: &Once<String>, most: usize, found: &mut Vec<Diagnostic>) {
    if let Some(text) = &once.value {
        printable(what, text, most, found);
    }
}

fn printable<T: AsRef<str>>(
    what: &str,
    text: &Spanned<T>,
    most: usize,
    found: &mut Vec<Diagnostic>,
) {
    let value = text.value.as_ref();
    if let Some(character) = value
        .chars()
        .find(|character| !matches!(character, ' '..='~'))
    {
        let shown = quoted(&character.to_string());
        found.push(
            Diagnostic::error(
                text.span,
                format!("{what} has a character that is not printable ASCII"),
            )
            .label(format!("{shown}, U+{:04X}", u32::from(character)))
            .help("letters, digits and signs of ASCII come through on every console"),
        );
    } else if value.len() > most {
        found.push(
            Diagnostic::error(text.span, format!("{what} is too long"))
                .label(format!("{} characters, the most is {most}", value.len())),
        );
    }
}

/// The name of each device: the one it is given, or one that is not given to another.
pub(super) fn device_names(
    devices: &[DraftDevice],
    found: &mut Vec<Diagnostic>,
) -> Vec<Spanned<String>> {
    let mut taken: Vec<&Spanned<String>> = Vec::new();
    for name in devices
        .iter()
        .filter_map(|device| device.name.value.as_ref())
    {
        if let Some(first) = taken.iter().find(|other| other.value == name.value) {
            let title = format!("two devices have the name {}", quoted(&name.value));
            found.push(
                Diagnostic::error(name.span, title)
                    .label("again here")
                    .also(first.span, "first given here"),
            );
        }
        taken.push(name);
    }
    let mut names: Vec<Spanned<String>> = Vec::new();
    for (index, device) in devices.iter().enumerate() {
        let rank = devices
            .iter()
            .take(index)
            .filter(|other| other.vdev == device.vdev)
            .count();
        let free = |name: &String| {
            !taken.iter().any(|other| other.value == *name)
                && !names.iter().any(|other| other.value == *name)
        };
        let kind = device.vdev.kind().name;
        let mut numbered = (rank..).map(|number| devices::numbered(kind, number));
        let name = device.name.value.clone().unwrap_or_else(|| Spanned {
            value: numbered.find(free).unwrap_or_default(),
            span: device.span,
        });
        names.push(name);
    }
    names
}
