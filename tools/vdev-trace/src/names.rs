//! What things are called: VMs and devices by their configuration, addresses by the guest's
//! ELF file.
//!
//! Used by all outputs. Invariant: without a configuration or an ELF file everything still
//! has a name, made of its number.

use crate::compile;
use addr2line::{Frame, Loader};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use trace_records::MAX_VMS;
use vm_config::{DeviceKind, VmConfig};

/// Addresses whose functions are remembered.
const MAX_REMEMBERED: usize = 1 << 16;

/// In the path of a source file: a dependency, the compiler's own libraries.
const LIBRARIES: [&str; 4] = ["/registry/src/", "/git/checkouts/", "/rustc/", "/rustlib/"];

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
                vm_names.functions = Functions::open(&image).ok();
            }
            names.vms.push(vm_names);
        }
        for (vm, path) in guests.iter().enumerate() {
            if names.vms.len() <= vm {
                names.vms.push(VmNames::default());
            }
            names.vms[vm].functions = Some(Functions::open(path).map_err(|error| {
                format!(
                    "error: cannot read the functions of {}: {error}; \
                     --guest wants the guest's ELF file\n",
                    path.display()
                )
            })?);
        }
        Ok(names)
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

/// The functions of an ELF file.
struct Functions {
    loader: Loader,
    known: RefCell<HashMap<u64, Option<Rc<str>>>>,
}

impl Functions {
    fn open(path: &Path) -> Result<Self, String> {
        // The loader's own words for a missing file do not name the reason.
        std::fs::File::open(path).map_err(|error| error.to_string())?;
        let loader = Loader::new(path).map_err(|error| error.to_string())?;
        Ok(Self {
            loader,
            known: RefCell::default(),
        })
    }

    fn at(&self, address: u64) -> Option<Rc<str>> {
        if let Some(known) = self.known.borrow().get(&address) {
            return known.clone();
        }
        let found = self.find(address).map(Rc::from);
        let mut known = self.known.borrow_mut();
        if known.len() < MAX_REMEMBERED {
            known.insert(address, found.clone());
        }
        found
    }

    /// Who made the access at an address: of the functions that were inlined there the
    /// innermost that stands in another file than the access itself, which is mostly an
    /// accessor's or a library's and says little; else the function that the address lies in.
    fn find(&self, address: u64) -> Option<String> {
        let mut frames = self.loader.find_frames(address).ok()?;
        let file_of = |frame: &Frame<'_, _>| {
            let file = frame.location.as_ref().and_then(|location| location.file);
            file.map(str::to_owned)
        };
        let is_library = |file: &String| LIBRARIES.iter().any(|part| file.contains(part));
        let (mut accessor, mut found) = (None, None);
        while let Ok(Some(frame)) = frames.next() {
            let file = file_of(&frame).filter(|file| !is_library(file));
            found = Some(frame);
            match (&accessor, file) {
                (Some(accessor), Some(file)) if *accessor != file => break,
                (None, file) => accessor = file,
                _ => {}
            }
        }
        let Some(frame) = found else {
            return self.symbol(address);
        };
        let mut name = match &frame.function {
            Some(function) => function.demangle().ok()?.into_owned(),
            None => self.symbol(address)?,
        };
        without_hash(&mut name);
        if let Some(location) = frame.location
            && let (Some(file), Some(line)) = (location.file, location.line)
        {
            let file = Path::new(file).file_name().unwrap_or_default();
            name += &format!(" ({}:{line})", file.to_string_lossy());
        }
        Some(name)
    }

    fn symbol(&self, address: u64) -> Option<String> {
        let symbol = self.loader.find_symbol(address)?;
        let mut name = addr2line::demangle_auto(symbol.into(), None).into_owned();
        without_hash(&mut name);
        Some(name)
    }
}

/// A legacy Rust symbol ends with a hash that tells a person nothing.
fn without_hash(name: &mut String) {
    if let Some((before, hash)) = name.rsplit_once("::h")
        && hash.len() == 16
        && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        name.truncate(before.len());
    }
}
