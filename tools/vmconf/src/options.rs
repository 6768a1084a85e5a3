//! The words of the language, each once, and the parser's result. Used by the parser and the
//! checks.
//!
//! Invariant: with the list of devices the tables are complete; what is in neither is not in the language.

use vdev_model::{AddressSpace, MAX_OPTIONS};
use vdevs::Vdev;
use vm_config::{Action, RamRange, RomRange, SeverityMask, TraceNumber};

use crate::source::{Span, Spanned};
use crate::vm::Load;

/// A closed set of words.
pub(crate) trait Words: Copy + 'static {
    /// All of them.
    const WORDS: &'static [&'static str];

    /// The meaning of `word`, if it is one of them.
    fn named(word: &str) -> Option<Self>;

    /// The word for it.
    fn word(self) -> &'static str;
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($word:literal => $variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($variant),+ }

        impl Words for $name {
            const WORDS: &'static [&'static str] = &[$($word),+];

            fn named(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }

            fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

words! {
    /// Options of the VM.
    VmOption {
        "system" => System,
        "cpu" => Cpu,
        "ram" => Ram,
        "rom" => Rom,
        "load" => Load,
        "initrd" => Initrd,
        "fdt" => Fdt,
        "cmdline" => Cmdline,
        "logger" => Logger,
        "set" => Set,
        "unsupported" => Unsupported,
        "vdev" => Vdev,
    }
}

words! {
    /// Options that every device has.
    DeviceOption {
        "loc" => Loc,
        "name" => Name,
        "log" => Log,
        "emit-logger" => EmitLogger,
        "emit-trace" => EmitTrace,
    }
}

words! {
    /// What follows `unsupported`.
    UnsupportedKind {
        "instruction" => Instruction,
        "reference" => Reference,
        "register" => Register,
    }
}

words! {
    /// What follows the kind of something unsupported.
    ActionWord {
        "ignore" => Ignore,
        "fail" => Fail,
        "abort" => Abort,
    }
}

words! {
    /// Where messages go.
    Destination {
        "stdout" => Stdout,
        "stderr" => Stderr,
        "none" => None,
    }
}

/// Severities by name, and QNX's second name for one of them: `logger` says `warn`, `log`
/// says `warning`, and both are understood in both.
pub(crate) const SEVERITIES: &[(&str, SeverityMask)] = &[
    ("fatal", SeverityMask::FATAL),
    ("internal", SeverityMask::INTERNAL),
    ("error", SeverityMask::ERROR),
    ("warn", SeverityMask::WARN),
    ("warning", SeverityMask::WARN),
    ("info", SeverityMask::INFO),
    ("debug", SeverityMask::DEBUG),
    ("verbose", SeverityMask::VERBOSE),
];

impl From<ActionWord> for Action {
    fn from(word: ActionWord) -> Self {
        match word {
            ActionWord::Ignore => Self::Ignore,
            ActionWord::Fail => Self::Fail,
            ActionWord::Abort => Self::Abort,
        }
    }
}

/// An option that may be given once: where it was, and its value unless something was wrong
/// with it, which was reported then.
#[derive(Clone, Debug)]
pub(crate) struct Once<T> {
    pub at: Option<Span>,
    pub value: Option<Spanned<T>>,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self {
            at: None,
            value: None,
        }
    }
}

/// What the options say, one by one. Whether they fit together is for the checks.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub system: Once<String>,
    pub cpu: Once<()>,
    /// The first `ram`, whatever became of it.
    pub ram_at: Option<Span>,
    pub ram: Vec<Spanned<RamRange>>,
    pub rom: Vec<Spanned<RomRange>>,
    /// The first `load`, whatever became of it.
    pub load_at: Option<Span>,
    pub loads: Vec<Spanned<Load>>,
    /// `initrd load`.
    pub initrd: Once<()>,
    /// `fdt load` or `fdt make`.
    pub fdt: Once<()>,
    /// What `fdt make` says.
    pub made_device_tree: Option<Spanned<Option<u64>>>,
    pub cmdline: Once<String>,
    pub logger: Vec<LogRule>,
    pub instruction: Once<Action>,
    pub reference: Once<Action>,
    pub register: Once<Action>,
    pub devices: Vec<DraftDevice>,
}

/// One `logger` or `log`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogRule {
    pub severities: SeverityMask,
    pub destination: Destination,
}

/// One `vdev` and what follows it.
#[derive(Debug)]
pub(crate) struct DraftDevice {
    /// `vdev` and its type.
    pub span: Span,
    pub vdev: Vdev,
    pub loc: Once<Loc>,
    pub name: Once<String>,
    pub log: Vec<LogRule>,
    pub emit_logger: Once<()>,
    pub emit_trace: Once<TraceNumber>,
    /// The options that its kind has besides, in the order of the kind's list.
    pub own: [Once<u64>; MAX_OPTIONS],
}

/// What `loc` says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loc {
    pub space: AddressSpace,
    pub address: u64,
}

impl DraftDevice {
    pub fn new(span: Span, vdev: Vdev) -> Self {
        Self {
            span,
            vdev,
            loc: Once::default(),
            name: Once::default(),
            log: Vec::new(),
            emit_logger: Once::default(),
            emit_trace: Once::default(),
            own: Default::default(),
        }
    }
}
