//! What things are called: VMs and devices by their configuration, addresses by the guest's
//! ELF file, or its kernel's list of symbols.
//!
//! Used by all outputs. Invariant: without a configuration or such a file everything still
//! has a name, made of its number.

use crate::visible;
use crate::vms::compile::{self, Named};
use crate::vms::functions::Functions;
use crate::vms::symbol_list;
use oversight::{CpuLine, Report};
use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use trace_records::{MAX_VMS, Record};
use vdev_model::Register;
use vm_components::log_lines::DeviceWords;
use vm_config::{Image, Kind, VmConfig, image_crc32};
use vmconf::images;

/// What an ELF file begins with (*System V ABI*, "ELF Identification").
const ELF_MAGIC: &[u8] = b"\x7fELF";

fn cannot(path: &Path, error: impl Display) -> String {
    let name = visible::path(path);
    format!("cannot read the functions of {name}: {error}")
}

/// The functions in the file at `path` that somebody gives for a guest: of an ELF file, if that is the one that ran
/// where a configuration says which one did, or of a kernel's list of symbols, of which nothing says that.
fn given(path: &Path, ran: Option<&VmConfig<'_>>) -> Result<Functions, String> {
    let mut file = File::open(path).map_err(|error| cannot(path, error))?;
    let mut bytes = Vec::new();
    // One byte more tells that there are too many.
    let mut start = (&mut file).take(symbol_list::MAX_BYTES as u64 + 1);
    start
        .read_to_end(&mut bytes)
        .map_err(|error| cannot(path, error))?;
    if !bytes.starts_with(ELF_MAGIC) {
        return Functions::of_list(&bytes).map_err(|refused| cannot(path, refused));
    }
    file.read_to_end(&mut bytes)
        .map_err(|error| cannot(path, error))?;
    of_elf(path, &bytes, ran).map_err(|reason| {
        let which = ran.map_or("the guest's ELF file", |_| "the ELF file that ran");
        format!("{reason}; --guest wants {which}, or its kernel's list of symbols (System.map)")
    })
}

/// The functions of the ELF file at `path`, if that is the one that ran where a configuration
/// says which one did.
fn of_elf(path: &Path, elf: &[u8], ran: Option<&VmConfig<'_>>) -> Result<Functions, String> {
    if let Some(config) = ran {
        let (vm, name) = (config.name(), visible::path(path));
        let crc32 = image_crc32(elf);
        let is_it = |image: &Image<'_>| {
            image.len_bytes as usize == elf.len() && image.crc32.is_none_or(|ran| ran == crc32)
        };
        if !config.images().any(|image| is_it(&image)) {
            let difference = match config.images().collect::<Vec<_>>()[..] {
                [image] if image.len_bytes as usize != elf.len() => {
                    let (len_bytes, wanted) = (elf.len(), image.len_bytes);
                    format!("it has {len_bytes} bytes, and that had {wanted}")
                }
                [_] => "its checksum is another".to_owned(),
                _ => "no image of it has this length and checksum".to_owned(),
            };
            return Err(format!("{name} is not what VM {vm} ran: {difference}"));
        }
    }
    Functions::of_elf(elf).map_err(|error| cannot(path, error))
}

/// The image that the compiled configuration at `path` loads: beside it lies the very file that it
/// was compiled for, if [`compile::Compiled::write_to`] wrote both.
fn image_that_ran(path: &Path, config: &VmConfig<'_>, images: &Path) -> PathBuf {
    let written = path.with_file_name(compile::elf_of_vm(config.vm()));
    match written.is_file() {
        true => written,
        false => images::place(first_image(config), path, images),
    }
}

/// The name of the image in which the guest starts.
fn first_image<'a>(config: &VmConfig<'a>) -> &'a str {
    config.images().next().map_or("", |image| image.name)
}

/// The functions of the image that the configuration at `path` loads.
fn found(
    path: &Path,
    config: &VmConfig<'_>,
    ran: Option<&VmConfig<'_>>,
    images: &Path,
) -> Result<Functions, String> {
    if ran.is_none() {
        let image = images::place(first_image(config), path, images);
        return Err(format!(
            "{} does not tell which build of {} ran; a compiled configuration does, or --guest",
            visible::path(path),
            visible::path(&image)
        ));
    }
    let image = image_that_ran(path, config, images);
    let bytes = std::fs::read(&image).map_err(|error| cannot(&image, error))?;
    if !bytes.starts_with(ELF_MAGIC) {
        return Err(format!(
            "{} is no ELF file; if it is Linux, --guest takes its System.map or /proc/kallsyms",
            visible::path(&image)
        ));
    }
    of_elf(&image, &bytes, ran)
}

/// The names of all VMs.
#[derive(Default)]
pub struct Names {
    vms: Vec<VmNames>,
    /// A compiled configuration among those that the names are from.
    compiled: Option<PathBuf>,
}

/// The names of one VM.
#[derive(Default)]
struct VmNames {
    name: Option<String>,
    devices: Vec<DeviceName>,
    functions: Option<Functions>,
}

/// What a device is called, and what its registers are.
#[derive(Clone)]
pub struct DeviceName {
    /// Its name.
    pub name: String,
    /// What it is and where, if a configuration tells.
    is: Option<(&'static Kind, u64)>,
}

impl DeviceName {
    /// For the words of what was done to it.
    pub fn words(&self) -> DeviceWords<'_> {
        DeviceWords {
            name: &self.name,
            is: self.is,
        }
    }
}

impl VmNames {
    fn of(config: &VmConfig<'_>) -> Self {
        let devices = config.devices().map(|device| DeviceName {
            name: device.name.to_owned(),
            is: Some((device.kind(), device.loc)),
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
        Self {
            vms: vms.collect(),
            compiled: None,
        }
    }

    /// The names in the configurations at `configs`, one for each VM, and the functions of the ELF
    /// files or lists of symbols at `guests`, in the order of the VMs' numbers; what was compiled tells its VM's. Where
    /// there is no such file, the one that the configuration loads is taken, beside it or in
    /// `images`, if it is the one that ran: `warn` is told where addresses have no names.
    ///
    /// # Errors
    ///
    /// A text to print, if a file cannot be read, or if one of `guests` did not run.
    pub fn load(
        configs: &[PathBuf],
        guests: &[PathBuf],
        images: &Path,
        mut warn: impl FnMut(&dyn Display),
    ) -> Result<Self, String> {
        let error = |reason: String| format!("error: {reason}\n");
        let mut names = Self::default();
        names.vms.resize_with(MAX_VMS, VmNames::default);
        if guests.len() > MAX_VMS {
            return Err(format!("error: a system has at most {MAX_VMS} guests\n"));
        }
        for (number, path) in configs.iter().enumerate() {
            let named = compile::names(path)?;
            let config =
                VmConfig::parse(named.blob()).map_err(|error| format!("error: {error}\n"))?;
            let number = match named {
                Named::Compiled(_) => config.vm().into(),
                Named::Text(_) => number,
            };
            if let Named::Compiled(_) = named {
                names.compiled.get_or_insert_with(|| path.clone());
            }
            let taken = names.vms.get_mut(number).filter(|vm| vm.name.is_none());
            let Some(vm_names) = taken else {
                let path = visible::path(path);
                return Err(format!(
                    "error: {path} is one configuration of a VM too many\n"
                ));
            };
            *vm_names = VmNames::of(&config);
            let guest = guests.get(number);
            let ran = match named {
                Named::Compiled(_) => Some(&config),
                Named::Text(_) => None,
            };
            vm_names.functions = match guest {
                Some(guest) => Some(given(guest, ran).map_err(error)?),
                None => found(path, &config, ran, images)
                    .inspect_err(|reason| {
                        let vm = config.name();
                        warn(&format_args!("no names of functions for VM {vm}: {reason}"));
                    })
                    .ok(),
            };
        }
        for (number, path) in guests.iter().enumerate() {
            if names.vms[number].functions.is_none() {
                names.vms[number].functions = Some(given(path, None).map_err(error)?);
            }
        }
        for (vm, functions) in (0..).zip(names.vms.iter().map(|vm| &vm.functions)) {
            if functions
                .as_ref()
                .is_some_and(|functions| !functions.has_names())
            {
                let vm = names.vm(vm);
                warn(&format_args!(
                    "no names of functions for VM {vm}: its ELF file has no symbols"
                ));
            }
        }
        Ok(names)
    }

    /// A compiled configuration among those that the names are from: it belongs to a system of this
    /// build's layout version.
    pub fn compiled(&self) -> Option<&Path> {
        self.compiled.as_deref()
    }

    /// The files that [`Self::load`] may take for the guests'.
    pub fn images(configs: &[PathBuf], images: &Path) -> Vec<PathBuf> {
        let load = |path: &PathBuf| {
            let named = compile::names(path).ok()?;
            let config = VmConfig::parse(named.blob()).ok()?;
            Some(match named {
                Named::Compiled(_) => image_that_ran(path, &config, images),
                Named::Text(_) => images::place(first_image(&config), path, images),
            })
        };
        configs.iter().filter_map(load).collect()
    }

    /// A VM's name.
    pub fn vm(&self, vm: u8) -> String {
        let name = self.vms.get(usize::from(vm)).and_then(|vm| vm.name.clone());
        name.unwrap_or_else(|| format!("vm{vm}"))
    }

    /// What the system says of its run, as a line without its end.
    pub(crate) fn run(&self, report: &Report) -> String {
        let names: Vec<_> = (0..MAX_VMS as u8).map(|vm| self.vm(vm)).collect();
        let name = |vm: usize| names.get(vm).map_or("", String::as_str);
        let cpu = &report.cpu;
        let line = CpuLine { cpu, name };
        match report.verdict {
            Some(verdict) => format!("{line}; {}", verdict.line().trim_end()),
            None => line.to_string(),
        }
    }

    /// A device's name.
    pub fn device(&self, vm: u8, instance: u8) -> DeviceName {
        let devices = self.vms.get(usize::from(vm)).map(|vm| &vm.devices);
        let device = devices.and_then(|devices| devices.get(usize::from(instance)));
        device.cloned().unwrap_or_else(|| DeviceName {
            name: format!("dev{instance}"),
            is: None,
        })
    }

    /// The register in which an access begins, if that has a name.
    pub fn register(&self, vm: u8, record: &Record) -> Option<&'static Register> {
        let devices = &self.vms.get(usize::from(vm))?.devices;
        let device = devices.get(usize::from(record.tag.instance()))?;
        device.words().register(record)
    }

    /// The names of all devices of a VM whose configuration is known.
    pub fn devices(&self, vm: u8) -> impl Iterator<Item = &str> {
        let devices = self.vms.get(usize::from(vm)).map(|vm| &vm.devices);
        let devices = devices.into_iter().flatten();
        devices.map(|device| device.name.as_str())
    }

    /// Whether any registers of a VM's devices have names.
    pub fn has_registers(&self, vm: u8) -> bool {
        let devices = self.vms.get(usize::from(vm)).map(|vm| &vm.devices);
        let kinds = devices.into_iter().flatten().filter_map(|device| device.is);
        let mut registers = kinds.flat_map(|(kind, _)| kind.registers);
        registers.any(|register| !register.name.is_empty())
    }

    /// Whether any addresses have names.
    pub fn has_functions(&self) -> bool {
        self.vms.iter().any(|vm| vm.functions.is_some())
    }

    /// Tells of which VMs addresses that were looked up are not in the list of symbols that was given for them,
    /// and what may be the reason.
    pub fn tell_missing(&self, mut warn: impl FnMut(&dyn Display)) {
        for (number, vm) in (0..).zip(&self.vms) {
            let functions = vm.functions.as_ref();
            if let Some(missing) = functions.and_then(Functions::missing) {
                let vm = self.vm(number);
                warn(&format_args!(
                    "names of functions are missing for VM {vm}: {missing}"
                ));
            }
        }
    }

    /// The function at an address of a VM's guest, with its source line where that is known.
    pub fn function(&self, vm: u8, address: u64) -> Option<Rc<str>> {
        let vm = self.vms.get(usize::from(vm))?;
        vm.functions.as_ref()?.at(address)
    }
}
