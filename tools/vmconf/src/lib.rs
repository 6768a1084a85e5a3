//! The language of `vm.conf`, and its compiler: from text to the blob that a protection
//! domain reads ([`vm_config`]). Called on the host by the build and by `vdev-trace check`.
//!
//! ```text
//! text ──lexer──▶ words ──parser──▶ draft ──checks──▶ Vm ──encode──▶ blob
//!                   └───────────────┴─────────┴──▶ diagnostics
//! ```
//!
//! Invariant: a [`Vm`] that exists compiles, and what is wrong with a text is said all at
//! once, each cause once, with its place in the file. No text makes the compiler panic or ask for
//! more memory than a small multiple of [`MAX_FILE_BYTES`].
//!
//! # The language
//!
//! For who writes it, `docs/vm-conf.md` has it with examples and with what only QNX has.
//!
//! The words, their meaning and the defaults are those of the QNX hypervisor (*QNX Hypervisor
//! User's Guide*: "VM configuration syntax", "VM Configuration Reference", "Common vdev
//! options"; *Virtual Device Developer's Guide*: "vdev trace"). What devices there are and what options of
//! their own they have is what their kinds say ([`vdev_model::Kind`]). What QNX has and we do not is
//! refused by its name, or, where a guest cannot notice that it is missing, named in a warning and
//! passed over ([`Diagnostics::strict`] refuses that as well). `#` starts a comment. A file is a sequence of options, each followed
//! by its arguments; blanks and line ends separate, nothing else depends on them.
//!
//! | option | meaning |
//! |---|---|
//! | `system NAME` | the VM's name, 1 to 31 characters |
//! | `cpu` | a vCPU; there is always one, so it may be left out but not repeated |
//! | `ram BASE,LENGTH` | RAM in whole 4 KiB pages, in one piece |
//! | `rom BASE,LENGTH` | memory that reads as all-ones and cannot be written |
//! | `load IMAGE` | an ELF file or arm64's Linux `Image`, beside the configuration or where the tool is told to look; it says itself what goes where |
//! | `load ADDRESS,FILE` | all bytes of a file, at this guest-physical address |
//! | `initrd load FILE` | the first file system of a Linux guest; as above with an address |
//! | `fdt load FILE` | the device tree that the guest is given, in which RAM, command line and initrd are set; as above with an address |
//! | `fdt make`, `fdt make ADDRESS` | the guest is given a device tree that is made from this configuration, as Linux always is: our own word |
//! | `cmdline TEXT` | the guest's command line, up to 1023 characters |
//! | `logger SEVERITY,… DESTINATION` | what is logged; may be repeated |
//! | `unsupported KIND ACTION` | `instruction`, `reference` or `register`: `ignore`, `fail` or `abort` |
//! | `set VARIABLE VALUE` | from here on `$VARIABLE` stands for the value, inside words and strings |
//! | `vdev DEVICE` | a device of the list (`vdevs`), also by the name of QNX's shared object (`vdev-DEVICE.so`); the options below describe it until the next option above except `set` |
//!
//! | option of a device | meaning |
//! |---|---|
//! | `loc ADDRESS` | guest-physical address, `mem:ADDRESS`, or first I/O port, `io:PORT`; the device's usual space may be left out; required |
//! | `name NAME` | 1 to 15 characters; otherwise the device's with a number |
//! | `log SEVERITY,… DESTINATION` | adds to or takes from the VM's `logger` for this device |
//! | `emit-logger` | a log line for each access |
//! | `emit-trace NUMBER` | a trace event of this number, 0 to 1023, for each access |
//! | what its kind has besides | a flag, a number, a time in UTC (`2026-01-01T00:00:00Z`), a word, or an interrupt (`34` or `gic:34`) |
//!
//! Numbers are decimal, `0x…` or `0d…`, and may end in K, M or G. A word in double quotes may
//! have blanks, and never is an option; in it `\"`, `\\` and `\$` stand for the character. It may
//! go over several lines: a line end, with the blanks around it, is one blank, and after a `\`
//! nothing at all.
//!
//! Variables of one's own are this project's extension: QNX's `set` knows its configuration
//! variables alone, which mean nothing here. A variable that nothing uses is warned of, since it
//! may have been meant for QNX.
//!
//! Severities are `fatal internal error warn info debug verbose`, a set and not a threshold;
//! `warning` is `warn`. Destinations are `stdout` and `stderr`, which are both the system's
//! console, and `none`. Without `logger` everything but `debug` and `verbose` is logged. The
//! first `logger` with a destination other than `none` replaces that default; `none` takes
//! away; where two contradict, the later one counts. `log` starts from the VM's set.
#![forbid(unsafe_code)]

mod checks;
mod device_tree;
mod devices;
mod diagnostics;
#[cfg(test)]
mod document;
pub mod images;
mod lexer;
mod number;
mod options;
mod parser;
mod qnx;
mod source;
mod utf_16;
mod vm;

pub use diagnostics::{Colour, Diagnostic, Diagnostics, quoted};
pub use source::{Source, Span, Spanned};
pub use utf_16::is_utf_16;
pub use vm::{Content, LaidOut, Load, Vm, VmDevice};

/// More than that no configuration of one VM needs, in bytes.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// What a text was compiled into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// The configuration, with the place of everything in the text.
    pub vm: Vm,
    /// The blob for [`vm_config::VmConfig::parse`].
    pub blob: Vec<u8>,
    /// What of the text means nothing here, and does no harm.
    pub warnings: Diagnostics,
}

/// Compiles the configuration `text`.
///
/// `file_name` is what the diagnostics call the file, `vm` the VM's number in its system, from
/// 0 to [`vm_config::MAX_VMS`] - 1. `lay_out` is asked once, with what `load` names, to lay the images
/// out; it also gets the VM, if nothing is wrong with the text. Without one it only says what is wrong
/// with the images for any VM.
///
/// # Errors
///
/// Everything that is wrong with the text, and with the images: what `lay_out` says, which is at least
/// one thing.
pub fn compile(
    file_name: &str,
    vm: u8,
    text: &str,
    lay_out: impl FnOnce(&[Spanned<Load>], Option<&Vm>) -> Result<LaidOut, Vec<Diagnostic>>,
) -> Result<Compiled, Diagnostics> {
    let source = Source::new(file_name, text);
    let (checked, loads, mut found) = analyse(&source);
    let laid_out = match loads.is_empty() {
        true => None,
        false => lay_out(&loads, checked.as_ref())
            .map_err(|errors| found.extend(errors))
            .ok(),
    };
    if let (Some(checked), Some(laid_out)) = (checked, laid_out) {
        match checked.encode(vm, &laid_out) {
            Ok(blob) => {
                found.extend(laid_out.warnings);
                return Ok(Compiled {
                    vm: checked,
                    blob,
                    warnings: Diagnostics::new(source, found),
                });
            }
            // The checks and the reader's rules have come apart: our bug, but no panic.
            Err(error) => found.push(Diagnostic::error_without_place(format!(
                "the checks let through what no blob can hold: {error}"
            ))),
        }
    }
    Err(Diagnostics::new(source, found))
}

/// Parses and checks `text` without looking for the image: the typed configuration, with the
/// place of everything in the text. Of warnings nothing is said.
///
/// # Errors
///
/// Everything that is wrong with the text.
pub fn parse(file_name: &str, text: &str) -> Result<Vm, Diagnostics> {
    let source = Source::new(file_name, text);
    match analyse(&source) {
        (Some(vm), _, _) => Ok(vm),
        (None, _, found) => Err(Diagnostics::new(source, found)),
    }
}

/// The text of a file, whose bytes may be anything.
///
/// # Errors
///
/// A diagnostic at the first byte that is not UTF-8, or that the file is UTF-16.
pub fn decode<'a>(file_name: &str, bytes: &'a [u8]) -> Result<&'a str, Diagnostics> {
    if is_utf_16(bytes) {
        return Err(utf_16::diagnostics_of_utf_16(file_name, bytes));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let readable = String::from_utf8_lossy(bytes);
        let source = Source::verbatim(file_name, &readable);
        // Up to here the bytes are UTF-8, so the offset holds in the readable text as well,
        // where a replacement character stands for what is wrong.
        let at = error.valid_up_to();
        let span = Span::new(at, at + char::REPLACEMENT_CHARACTER.len_utf8());
        let byte = bytes.get(at).copied().unwrap_or_default();
        let diagnostic = Diagnostic::error(span, "the file is not UTF-8")
            .label(format!("the byte here is {byte:#04x}"))
            .help("save the file as UTF-8; plain ASCII is UTF-8 as well");
        Diagnostics::new(source, vec![diagnostic])
    })
}

/// The configuration if nothing stands in its way, the images whose names can be some, and
/// what is wrong.
fn analyse(source: &Source) -> (Option<Vm>, Vec<Spanned<Load>>, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let len = source.text().len();
    if len > MAX_FILE_BYTES {
        let error =
            format!("the file has {len} bytes, and more than {MAX_FILE_BYTES} are not read");
        found.push(Diagnostic::error_without_place(error).help("is this a configuration?"));
        return (None, Vec::new(), found);
    }
    let words = lexer::words(source.text(), &mut found);
    let draft = parser::parse(&words, &mut found);
    let mut loads = draft.loads.clone();
    let vm = checks::check(source, draft, &mut found);
    loads.truncate(vm_config::MAX_IMAGES);
    loads.retain(|load| found.iter().all(|error| error.place() != Some(load.span)));
    (vm, loads, found)
}

fn is_compilable(found: &[Diagnostic]) -> bool {
    !found.iter().any(Diagnostic::is_error)
}
