//! What the command line names: the VMs' configurations, and what hosts them.
//!
//! Called by each command before it does anything.

use crate::arguments::{Boot, HostArguments, PlatformName};
use runner::{
    Board, Emulator, Failure, Microkit, Platform, SystemDescription, Unikernel, VtX,
    configurations, of_images, on_architecture,
};
use std::path::PathBuf;
use vdev_trace::vms::compile::{Warnings, compile_all};
use vmconf::images::Images;

impl Boot {
    /// The VMs' configurations, with the console that their architecture has.
    pub(crate) fn configurations(&self) -> Result<Vec<PathBuf>, Failure> {
        let configs = configurations(&self.vms, &self.scenarios).map_err(Failure::Host)?;
        if self.strict {
            let images = self.host.images_of_guests();
            compile_all(&configs, images, Warnings::Refused).map_err(Failure::Config)?;
        }
        if !configs
            .iter()
            .all(|config| config.starts_with(&self.scenarios))
        {
            return Ok(configs);
        }
        on_architecture(self.host.arch.into(), configs, &self.work).map_err(Failure::Host)
    }
}

impl HostArguments {
    /// The guests' images.
    pub(crate) fn images_of_guests(&self) -> Images<'_> {
        Images {
            folder: &self.images,
            machine: Some(of_images(self.arch.into())),
        }
    }
}

/// What is to host the VMs; seL4 on what emulates its board.
pub(crate) fn platform(
    host: &HostArguments,
    emulator: impl Fn(&Board) -> Result<Emulator, String>,
) -> Result<Platform, Failure> {
    Ok(match host.platform {
        PlatformName::Unikernel => Platform::Unikernel(Unikernel {
            architecture: host.arch.into(),
            kernel: host.kernel.clone(),
            cpu: None,
        }),
        PlatformName::Microkit => {
            let microkit = microkit(host)?;
            let emulator = emulator(&microkit.board)
                .map_err(|error| Failure::Host(format!("{}: {error}", microkit.board_name)))?;
            Platform::Microkit(microkit, emulator)
        }
    })
}

/// seL4, of the SDK that is named.
pub(crate) fn microkit(host: &HostArguments) -> Result<Microkit, Failure> {
    // Make exports the variable, empty if it is not set.
    let variable = std::env::var_os("MICROKIT_SDK").filter(|sdk| !sdk.is_empty());
    let sdk = host.sdk.clone().or(variable.map(PathBuf::from));
    Ok(Microkit {
        sdk: sdk.ok_or_else(|| {
            Failure::Host("set MICROKIT_SDK to the folder of a Microkit SDK".into())
        })?,
        board: Board::load(&host.boards, &host.board).map_err(Failure::Host)?,
        board_name: host.board.clone(),
        config: host.config_name.clone(),
        domains: host.domains.clone(),
        system: match &host.system {
            Some(file) => SystemDescription::Written(file.clone()),
            None => SystemDescription::Made(Vec::new()),
        },
    })
}

/// The same for a run, whose user may choose the emulator.
pub(crate) fn platform_of(boot: &Boot) -> Result<Platform, Failure> {
    let asked = boot.emulator.map(VtX::from);
    platform(&boot.host, |board| Emulator::asked(board, asked))
}
