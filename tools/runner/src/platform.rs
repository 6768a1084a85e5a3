//! What hosts the VMs: the one place that asks which platform it is.
//!
//! Used by `run`, the `runner` program and the system tests. What each needs is told in `unikernel`,
//! and in `microkit` and `emulator`.

use crate::Request;
use crate::bench::shares::Part;
use crate::emulator::Emulator;
use crate::machine::Boot;
use crate::microkit::Microkit;
use crate::unikernel::Unikernel;
use std::path::{Path, PathBuf};
use system_description::Architecture;
use vdev_trace::input::places::Places;
use vdev_trace::vms::compile::Compiled;
use vmconf::images::Machine;

/// What hosts the VMs.
pub enum Platform {
    /// All components in one image at EL2.
    Unikernel(Unikernel),
    /// Protection domains on seL4, on a board.
    Microkit(Microkit, Emulator),
}

/// What the images of an architecture's guests are for.
pub const fn of_images(architecture: Architecture) -> Machine {
    match architecture {
        Architecture::Aarch64 => Machine::Aarch64,
        Architecture::X86_64 => Machine::X86_64,
    }
}

impl Platform {
    /// The name that `--platform` has for it, with the configuration where there are several.
    pub fn name(&self) -> String {
        match self {
            Self::Unikernel(unikernel) => match unikernel.architecture {
                Architecture::Aarch64 => "unikernel".into(),
                other => format!("unikernel {}", other.name()),
            },
            Self::Microkit(microkit, _) => {
                format!("microkit {} {}", microkit.board_name, microkit.config)
            }
        }
    }

    /// The physical memory in which the trace rings and the report page lie: the start and
    /// length in bytes of each piece.
    pub(crate) fn memory(&self, vms: &[Compiled], work: &Path) -> Result<Vec<(u64, u64)>, String> {
        match self {
            Self::Unikernel(unikernel) => Ok(vec![unikernel.memory(vms)]),
            Self::Microkit(microkit, _) => {
                let regions = microkit.looked_at(work)?.into_iter();
                Ok(regions
                    .map(|region| (region.start, region.len_bytes))
                    .collect())
            }
        }
    }

    /// Where in a dump of this memory the system has its rings; what lies elsewhere in it may be
    /// a guest's.
    pub fn ring_places(&self) -> Places {
        match self {
            Self::Unikernel(_) => Places::within(Unikernel::rings()),
            // Nothing but its regions is in the dump.
            Self::Microkit(..) => Places::Anywhere,
        }
    }

    /// The physical address of the page that says how the run went.
    pub(crate) fn report_page(&self, work: &Path) -> Result<u64, String> {
        match self {
            Self::Unikernel(unikernel) => Ok(unikernel.report_page()),
            Self::Microkit(microkit, _) => microkit.report_page(work),
        }
    }

    /// The programs of its parts, where each has one and QEMU executes them.
    pub(crate) fn programs(&self) -> Option<[(Part, PathBuf); 4]> {
        let Self::Microkit(microkit, Emulator::Qemu(_)) = self else {
            return None;
        };
        let Microkit {
            board_name, config, ..
        } = microkit;
        let kernel = format!("board/{board_name}/{config}/elf/sel4.elf");
        let domain = |name: &str| microkit.domains.join(name);
        Some([
            (Part::Kernel, microkit.sdk.join(kernel)),
            (Part::Vmm, domain("pd-vmm")),
            (Part::Trace, domain("pd-trace")),
            (Part::Console, domain("pd-console")),
        ])
    }

    /// What its guests are built for.
    pub const fn architecture(&self) -> Architecture {
        match self {
            Self::Unikernel(unikernel) => unikernel.architecture,
            Self::Microkit(microkit, _) => microkit.board.architecture,
        }
    }

    /// Puts the files of a run where the emulator finds them and makes ready what boots them.
    pub(crate) fn boot(&self, request: &Request<'_>, vms: &[Compiled]) -> Result<Boot, String> {
        match self {
            Self::Unikernel(unikernel) => unikernel.boot(request, vms).map(Boot::Qemu),
            Self::Microkit(microkit, emulator) => {
                let image = microkit.build(request.work, vms)?;
                emulator.boot(request, microkit, &image, vms)
            }
        }
    }
}
