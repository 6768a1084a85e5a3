//! Names that only QNX has: refused, or passed over where a guest cannot notice.
//!
//! Invariant: each is told once, at its first place, with the others.

use vdev_model::AnyVdev;

use super::{Context, Parser};
use crate::devices;
use crate::diagnostics::{Diagnostic, quoted};
use crate::qnx::{self, Harm};
use crate::source::Span;

impl Parser<'_> {
    /// Refuses an option of the VM that only QNX has. In [`Context::Refused`] other words may
    /// come here, and are passed over.
    pub(super) fn refused_vm_option(&mut self, name: &str, at: Span) -> bool {
        let blob_type = qnx::find(qnx::BLOB_TYPES, name);
        let Some(absent) = qnx::find(qnx::VM_OPTIONS, name).or(blob_type) else {
            return false;
        };
        let mut place = at;
        if blob_type.is_some()
            && let Some(word) = self.words.first()
            && let Some("load" | "pass") = word.bare()
        {
            place = at.to(word.span);
            self.next();
        }
        self.absent(absent, place, "an option", None);
        self.context = Context::Refused;
        true
    }

    /// Refuses an option of a vCPU or a device that only QNX has, or passes over it where it makes
    /// no difference.
    pub(super) fn refused_detail(&mut self, name: &str, at: Span) -> bool {
        // What stays inside its VMM are serial ports.
        let is_serial_port = |index: usize| {
            let device = self.draft.devices.get(index);
            device.is_some_and(|device| device.vdev.local().is_some())
        };
        let lists = match self.context {
            Context::Device(index) if is_serial_port(index) => [
                qnx::SERIAL_PORT_OPTIONS,
                qnx::VDEV_OPTIONS,
                qnx::CPU_OPTIONS,
            ],
            Context::Device(_) => [
                qnx::VDEV_OPTIONS,
                qnx::SERIAL_PORT_OPTIONS_ELSEWHERE,
                qnx::CPU_OPTIONS,
            ],
            Context::Vm | Context::Refused => [
                qnx::CPU_OPTIONS,
                qnx::VDEV_OPTIONS,
                qnx::SERIAL_PORT_OPTIONS_ELSEWHERE,
            ],
        };
        let absent = lists.into_iter().find_map(|list| qnx::find(list, name));
        let Some(absent) = absent else {
            return false;
        };
        // Where it does harm, who has it is told with what no list says.
        if absent.harm == Harm::Some && !devices::with_option(name).is_empty() {
            return false;
        }
        self.absent(absent, at, "an option", None);
        self.skip_arguments();
        true
    }

    /// Tells of a name that only QNX has: an error, or a warning where a guest cannot notice that
    /// it is missing. Once for each name.
    pub(super) fn absent(
        &mut self,
        absent: &'static qnx::Absent,
        at: Span,
        what: &str,
        help: Option<&'static str>,
    ) {
        let title = absent_title(absent.name, what);
        let diagnostic = match absent.harm {
            Harm::Some => Diagnostic::error(at, title),
            Harm::None => Diagnostic::warning(at, title).label("passed over"),
        };
        let devices = devices::listed(&devices::names());
        let help = absent.help(&devices).or(help.map(str::to_owned));
        let diagnostic = help.into_iter().fold(diagnostic, Diagnostic::help);
        self.tell_once(absent.name, at, diagnostic);
    }

    /// Tells something at its first place, and then of its other places.
    pub(super) fn tell_once(&mut self, what: &'static str, at: Span, diagnostic: Diagnostic) {
        let told = self.told.get(what);
        if let Some(told) = told.and_then(|index| self.found.get_mut(*index)) {
            return told.repeat(at);
        }
        self.told.insert(what, self.found.len());
        self.found.push(diagnostic);
    }
}

pub(super) fn is_foreign(name: &str) -> bool {
    let lists = [
        qnx::VM_OPTIONS,
        qnx::BLOB_TYPES,
        qnx::CPU_OPTIONS,
        qnx::VDEV_OPTIONS,
        qnx::SERIAL_PORT_OPTIONS,
    ];
    lists
        .into_iter()
        .any(|list| qnx::find(list, name).is_some())
}

pub(super) fn absent_title(name: &str, what: &str) -> String {
    let who = match devices::with_option(name).is_empty() {
        true => "project",
        false => "device",
    };
    format!(
        "{} is {what} of the QNX hypervisor that this {who} does not have",
        quoted(name)
    )
}
