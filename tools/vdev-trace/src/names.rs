//! What things are called: VMs and devices by their configuration, addresses by the guest's
//! ELF file.
//!
//! Used by all outputs. Invariant: without a configuration or an ELF file everything still
//! has a name, made of its number.

use crate::compile;
use crate::functions::Functions;
use crate::visible;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use trace_records::MAX_VMS;
use vm_config::{DeviceKind, VmConfig};

fn functions(path: &Path) -> Result<Functions, String> {
    let elf = std::fs::read(path).map_err(|error| error.to_string())?;
    Functions::read(&elf)
}

/// The names of all VMs.
#[derive(Default)]
pub struct Names {
    vms: Vec<VmNames>,
}

/// The names of one VM.
#[derive(Default)]
struct VmNames {
    name: Option<String>,
    /// Each device's name, and its trace number.
    devices: Vec<(String, Option<u16>)>,
    functions: Option<Functions>,
}

impl VmNames {
    fn of(config: &VmConfig<'_>) -> Self {
        let devices = config.devices().map(|device| {
            let number = match device.kind {
                DeviceKind::Trace(options) => options.emit_trace.map(|number| number.get()),
                DeviceKind::Pl011 | DeviceKind::Ser8250 => None,
            };
            (device.name.to_owned(), number)
        });
        Self {
            name: Some(config.name().to_owned()),
            devices: devices.collect(),
            functions: None,
        }
    }
}

impl Names {
    /// The names that the configurations give, for the VMs that have one.
    pub fn from_configs<'a>(config: impl Fn(u8) -> Option<&'a VmConfig<'a>>) -> Self {
        let vms = (0..MAX_VMS as u8).map(|vm| config(vm).map(VmNames::of).unwrap_or_default());
        Self { vms: vms.collect() }
    }

    /// The names in the configurations at `configs`, one for each VM in the order of their
    /// numbers, and the functions of the ELF files at `guests` likewise. Where there is no
    /// such file, the one in `images` that the configuration loads is taken, if it is there.
    ///
    /// # Errors
    ///
    /// A text to print, if a file cannot be read.
    pub fn load(configs: &[PathBuf], guests: &[PathBuf], images: &Path) -> Result<Self, String> {
        let mut names = Self::default();
        for (vm, path) in configs.iter().enumerate() {
            let blob = compile::names(path)?;
            let config = VmConfig::parse(&blob).map_err(|error| format!("error: {error}\n"))?;
            let mut vm_names = VmNames::of(&config);
            let image = images.join(config.load_name());
            if guests.len() <= vm && image.is_file() {
                // It is only likely to be the one that ran.
                vm_names.functions = functions(&image).ok();
            }
            names.vms.push(vm_names);
        }
        for (vm, path) in guests.iter().enumerate() {
            if names.vms.len() <= vm {
                names.vms.push(VmNames::default());
            }
            names.vms[vm].functions = Some(functions(path).map_err(|error| {
                format!(
                    "error: cannot read the functions of {}: {error}; \
                     --guest wants the guest's ELF file\n",
                    visible::path(path)
                )
            })?);
        }
        Ok(names)
    }

    /// The files that [`Self::load`] may take for the guests'.
    pub fn images(configs: &[PathBuf], images: &Path) -> Vec<PathBuf> {
        let blobs = configs.iter().filter_map(|path| compile::names(path).ok());
        let load = |blob: Vec<u8>| Some(images.join(VmConfig::parse(&blob).ok()?.load_name()));
        blobs.filter_map(load).collect()
    }

    /// A VM's name.
    pub fn vm(&self, vm: u8) -> String {
        let name = self.vms.get(usize::from(vm)).and_then(|vm| vm.name.clone());
        name.unwrap_or_else(|| format!("vm{vm}"))
    }

    /// A device's name.
    pub fn device(&self, vm: u8, instance: u8) -> String {
        let devices = self.vms.get(usize::from(vm)).map(|vm| &vm.devices);
        let device = devices.and_then(|devices| devices.get(usize::from(instance)));
        device.map_or_else(|| format!("dev{instance}"), |(name, _)| name.clone())
    }

    /// The names of all devices of a VM whose configuration is known.
    pub fn devices(&self, vm: u8) -> impl Iterator<Item = &str> {
        let devices = self.vms.get(usize::from(vm)).map(|vm| &vm.devices);
        let devices = devices.into_iter().flatten();
        devices.map(|(name, _)| name.as_str())
    }

    /// Whether any addresses have names.
    pub fn has_functions(&self) -> bool {
        self.vms.iter().any(|vm| vm.functions.is_some())
    }

    /// The function at an address of a VM's guest, with its source line where that is known.
    pub fn function(&self, vm: u8, address: u64) -> Option<Rc<str>> {
        let vm = self.vms.get(usize::from(vm))?;
        vm.functions.as_ref()?.at(address)
    }
}
