//! What the bytes of a file ask of a VM: what of them goes where, or what place is to be found for them.
//!
//! Called by [`Images::lay_out`](super::Images::lay_out), for each file. Invariant: what comes out is right for any VM.

use super::kernel::KernelImage;
use super::segment::Segment;
use super::{ELF_MAGIC, Machine, Unfit};
use crate::device_tree::Given;
use crate::diagnostics::Diagnostic;
use crate::source::Spanned;
use crate::vm::{Content, Load};
use object::LittleEndian;
use object::read::elf::FileHeader;
use vm_config::RamRange;

/// An image, as far as it is right for any VM.
pub(super) struct Contents<'a> {
    pub(super) unfit: Unfit,
    pub(super) content: Content,
    pub(super) file: &'a [u8],
    /// What it is for, if it tells.
    pub(super) machine: Option<Machine>,
    pub(super) goes: Goes,
}

/// Where it goes.
pub(super) enum Goes {
    /// Where it says itself, or the configuration.
    There {
        segments: Vec<Segment>,
        /// Where a guest starts that starts in it.
        entry: u64,
    },
    /// Where there is room for a kernel.
    Kernel(KernelImage),
    /// Where there is room, all of it.
    Anywhere,
    /// It is a device tree, which is changed before it goes anywhere.
    Tree(Box<Given>),
}

impl<'a> Contents<'a> {
    /// Those of `file`; `wanted` is what the VM's vCPU is, where that is known.
    pub(super) fn of(
        load: &Spanned<Load>,
        file: &'a [u8],
        is_first: bool,
        wanted: Option<Machine>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let unfit = Unfit::of(load);
        let content = load.value.content;
        let (machine, goes) = match (content, load.value.address) {
            (Content::DeviceTree, _) => (None, unfit.tree(file)?),
            (Content::Image, None) => unfit.program(file, wanted)?,
            (Content::Image, Some(_)) if is_first && file.starts_with(ELF_MAGIC) => {
                return Err(vec![
                    unfit
                        .error("is an ELF file", "the guest would start in its headers")
                        .help(
                            "leave the address out: an ELF file says itself what of it goes where",
                        ),
                ]);
            }
            (Content::Image | Content::Initrd, Some(base)) => {
                let segments = vec![whole(file, base)];
                let entry = base;
                (None, Goes::There { segments, entry })
            }
            (Content::Initrd, None) => (None, Goes::Anywhere),
        };
        Ok(Self {
            unfit,
            content,
            file,
            machine,
            goes,
        })
    }
}

/// All of a file, from there on.
pub(super) fn whole(file: &[u8], base: u64) -> Segment {
    let len_bytes = file.len() as u64;
    Segment {
        number: None,
        place: RamRange { base, len_bytes },
        virtual_start: base,
        bytes: 0..file.len(),
    }
}

impl Unfit {
    /// A file that says itself where it goes.
    fn program(
        &self,
        file: &[u8],
        wanted: Option<Machine>,
    ) -> Result<(Option<Machine>, Goes), Vec<Diagnostic>> {
        if let Some(kernel) = self.kernel_image(file) {
            let kernel = kernel.map_err(|error| vec![error])?;
            if wanted == Some(Machine::X86_64) {
                let label = "it is a Linux kernel for aarch64, and this VM is x86_64";
                let error = self.error("is for another machine", label);
                return Err(vec![
                    error.help("`make run ARCH=aarch64` boots VMs of aarch64"),
                ]);
            }
            return Ok((Some(Machine::Aarch64), Goes::Kernel(kernel)));
        }
        if let Some(error) = self.wrapped(file) {
            return Err(vec![error]);
        }
        let header = self.begins_as(file)?;
        let machine = self.is_for_us(header, wanted)?;
        let segments = self.is_whole(header, file)?;
        let entry = header.e_entry(LittleEndian);
        Ok((Some(machine), Goes::There { segments, entry }))
    }

    fn tree(&self, file: &[u8]) -> Result<Goes, Vec<Diagnostic>> {
        match Given::read(file) {
            Ok(given) => Ok(Goes::Tree(Box::new(given))),
            Err(why) => Err(vec![
                self.error("cannot be read", why)
                    .help("`dtc -I dtb FILE` shows what there is"),
            ]),
        }
    }
}
