//! The device tree among the images: which one a guest is given, and what it will miss.
//!
//! Called by `layout`. A guest is given the one that its author has brought, else one that is made: for Linux always,
//! since it starts with nothing else, and for others where the configuration says so.

use super::contents::{Contents, Goes};
use super::{Machine, Unfit};
use crate::device_tree::{Given, console, made};
use crate::devices;
use crate::diagnostics::Diagnostic;
use crate::vm::{Content, Vm};
use std::ops::Range;
use vdev_model::{AddressSpace, AnyVdev};

/// The tree that the guest is given.
pub(super) struct Tree<'a> {
    pub(super) unfit: Unfit,
    given: Option<&'a Given>,
}

impl<'a> Tree<'a> {
    pub(super) fn of(images: &'a [Contents<'_>], vm: &Vm) -> Option<Self> {
        let given = images.iter().find_map(|image| match &image.goes {
            Goes::Tree(given) => Some(Self {
                unfit: image.unfit.clone(),
                given: Some(&**given),
            }),
            _ => None,
        });
        let (span, address) = match (&vm.made_device_tree, images.first()) {
            (Some(made), _) => (made.span, made.value),
            (None, Some(image)) if is_linux(images) => (image.unfit.span, None),
            (None, _) => return given,
        };
        let what = "the device tree".to_owned();
        let unfit = Unfit {
            what,
            span,
            address,
        };
        given.or(Some(Self { unfit, given: None }))
    }

    /// It, with the initrd there. Its length is the same wherever that is.
    pub(super) fn bytes(
        &self,
        vm: &Vm,
        initrd: Option<&Range<u64>>,
    ) -> Result<Vec<u8>, Vec<Diagnostic>> {
        match self.given {
            None => Ok(made(vm, initrd)),
            Some(given) => given
                .changed(vm, initrd)
                .map_err(|why| vec![self.unfit.error("cannot be changed for this VM", why)]),
        }
    }
}

/// Whether the guest starts in a kernel that says what it is.
pub(super) fn is_linux(images: &[Contents<'_>]) -> bool {
    let first = images.first();
    first.is_some_and(|image| matches!(image.goes, Goes::Kernel(_)))
}

/// What a VM of this machine is not given yet, and what its guest would not find.
pub(super) fn refused(
    images: &[Contents<'_>],
    tree: Option<&Tree<'_>>,
    machine: Option<Machine>,
) -> Vec<Diagnostic> {
    let initrd = images.iter().find(|it| it.content == Content::Initrd);
    if machine == Some(Machine::X86_64) {
        let initrd = initrd.map(|it| &it.unfit);
        let refused = initrd.into_iter().chain(tree.map(|tree| &tree.unfit));
        return refused.map(not_on_x86_64).collect();
    }
    let untold = initrd.filter(|it| tree.is_none() && matches!(it.goes, Goes::Anywhere));
    let untold = untold.map(|initrd| {
        initrd
            .unfit
            .error("is told to nobody", "the guest is given no device tree")
            .help("a device tree says where it is: `fdt make`; or give it an address: `initrd load ADDRESS,FILE`")
    });
    untold.into_iter().collect()
}

fn not_on_x86_64(unfit: &Unfit) -> Diagnostic {
    unfit
        .error("is nothing for an x86_64 VM", "this VM is x86_64")
        .help("an x86_64 guest learns from its `cmdline` where things are; Linux for x86_64 is not booted yet")
}

/// What Linux will miss in this VM.
pub(super) fn warnings(images: &[Contents<'_>], vm: &Vm) -> Vec<Diagnostic> {
    let Some(kernel) = images.first().filter(|_| is_linux(images)) else {
        return Vec::new();
    };
    let warning = match console(vm) {
        None => {
            let kinds = devices::kinds().filter(|kind| {
                kind.tree.alias == Some("serial") && kind.spaces.contains(&AddressSpace::Memory)
            });
            let kinds: Vec<_> = kinds.map(|kind| kind.name).collect();
            let title = "Linux has no console in this VM";
            let warning = Diagnostic::warning(kernel.unfit.span, title);
            warning.help(format!("it prints to {}", devices::listed(&kinds)))
        }
        Some(device) if device.interrupt.is_none() => {
            let name = device.vdev.kind().name;
            let title = format!("Linux cannot use a `vdev {name}` without an interrupt");
            Diagnostic::warning(device.span, title)
                .help("for example: `intr gic:33`, and `console=ttyAMA0` in the `cmdline`")
        }
        Some(_) => return Vec::new(),
    };
    vec![warning]
}
