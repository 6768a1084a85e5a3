//! Linux for arm64 as it is booted: the header of an `Image`, and by what one sees that a file is a kernel in
//! another wrapping.
//!
//! Called by `layout`. Invariant: what comes out needs no more memory than an address can count, and the place that
//! is looked for it is what the kernel's documentation asks for.
//!
//! ```text
//!   2 MiB-aligned base        the guest starts here
//!   │◀──── text_offset ────▶│◀─────────── image_size ───────────▶│
//!   ▼                       ▼ the file              │ zero (BSS) │
//! ──┴───────────────────────┴───────────────────────┴────────────┴──
//! ```
//!
//! Specification: Linux, `Documentation/arch/arm64/booting.rst`, "Call the kernel image";
//! `Documentation/arch/x86/boot.rst`; `drivers/firmware/efi/libstub/zboot-header.S`.

use super::Unfit;
use crate::device_tree::DEVICE_TREE_MAGIC;
use crate::diagnostics::Diagnostic;

const HEADER_BYTES: usize = 64;
const TEXT_OFFSET_AT: usize = 8;
const IMAGE_SIZE_AT: usize = 16;
const FLAGS_AT: usize = 24;
const MAGIC_AT: usize = 56;
const MAGIC: &[u8] = b"ARM\x64";
/// Bit 0 of the flags.
const BIG_ENDIAN: u64 = 1 << 0;
/// "the text_offset can be assumed to be 0x80000 and image_size to be unbounded": Linux before 3.17.
const OLD_TEXT_OFFSET: u64 = 0x8_0000;
/// The base from which `text_offset` counts is a multiple of this.
pub(super) const BASE_ALIGN: u64 = 2 << 20;

/// What the header of an `Image` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KernelImage {
    /// How far above the 2 MiB-aligned base the image lies, in bytes.
    pub(super) text_offset: u64,
    /// The memory that it needs from there on, in bytes. An old kernel does not say, and gets as much as is free
    /// because all else goes to the end of RAM.
    pub(super) len_bytes: u64,
}

impl Unfit {
    /// What the file is if it is an `Image`.
    pub(super) fn kernel_image(&self, file: &[u8]) -> Option<Result<KernelImage, Diagnostic>> {
        if !is_at(file, MAGIC_AT, MAGIC) || file.len() < HEADER_BYTES {
            return None;
        }
        let [text_offset, image_size, flags] =
            [TEXT_OFFSET_AT, IMAGE_SIZE_AT, FLAGS_AT].map(|at| number(file, at));
        if flags & BIG_ENDIAN != 0 {
            return Some(Err(self
                .error("is a big-endian kernel", "bit 0 of its flags is set")
                .help("build it with CONFIG_CPU_LITTLE_ENDIAN")));
        }
        let file_bytes = file.len() as u64;
        let (text_offset, image_size) = match image_size {
            0 => (OLD_TEXT_OFFSET, file_bytes),
            size => (text_offset, size),
        };
        if !text_offset.is_multiple_of(4096) {
            let label = format!("its text_offset is {text_offset:#x}");
            return Some(Err(self.error("has a damaged header", label).help(
                "a kernel lies a whole number of pages above its base; build or fetch it again",
            )));
        }
        Some(Ok(KernelImage {
            text_offset,
            len_bytes: image_size.max(file_bytes),
        }))
    }

    /// Why a file that is neither an `Image` nor an ELF file cannot be loaded, if it is one that people take for one.
    pub(super) fn wrapped(&self, file: &[u8]) -> Option<Diagnostic> {
        const UNPACK: &str = "what is in it can be loaded, once it is unpacked";
        if is_at(file, 0, b"MZ") && is_at(file, 4, b"zimg") {
            return Some(self.zboot(file));
        }
        if is_at(file, 0x202, b"HdrS") {
            let error = self.error("is a Linux kernel for x86", "it is a bzImage");
            return Some(
                error.help("nothing here boots that; an aarch64 VM takes arm64's `Image`"),
            );
        }
        if is_at(file, 0x24, &0x016f_2818_u32.to_le_bytes()) {
            let error = self.error("is a Linux kernel for 32-bit Arm", "it is a zImage");
            return Some(error.help("an aarch64 VM takes arm64's `Image`"));
        }
        if is_at(file, 0, &DEVICE_TREE_MAGIC) {
            let error = self.error(
                "is no program",
                "it is a device tree, or U-Boot's FIT image",
            );
            return Some(error.help("a device tree is given to the guest by `fdt load FILE`"));
        }
        let (_, format, command) = COMPRESSED
            .iter()
            .find(|(magic, _, _)| file.starts_with(magic))?;
        let error = self.error("is compressed", format!("it begins as {format} does"));
        Some(match command {
            Some(command) => error.help(format!("unpack it: `{command} FILE > Image`")),
            None => error.help(UNPACK),
        })
    }

    fn zboot(&self, file: &[u8]) -> Diagnostic {
        let format = file.get(0x18..0x38).unwrap_or_default();
        let format = format.split(|byte| *byte == 0).next().unwrap_or_default();
        let format: String = format
            .iter()
            .filter(|byte| byte.is_ascii_alphanumeric())
            .map(|byte| char::from(*byte))
            .collect();
        let [at, len] = [8, 12].map(|at| number(file, at) as u32);
        let error = self.error(
            "is a compressed kernel",
            format!("it unpacks itself with a UEFI firmware, which there is not here ({format})"),
        );
        let command = COMPRESSED.iter().find(|it| it.1 == format);
        let command = command.and_then(|it| it.2).unwrap_or(match &*format {
            "zstd22" => "zstd -dc",
            _ => "gunzip -c",
        });
        let first = u64::from(at) + 1;
        error.help(format!(
            "unpack it: `tail -c +{first} FILE | head -c {len} | {command} > Image`"
        ))
    }
}

/// How compressed files begin, what that is called, and what unpacks it.
const COMPRESSED: [(&[u8], &str, Option<&str>); 7] = [
    (b"\x1f\x8b", "gzip", Some("gunzip -c")),
    (b"\xfd7zXZ\0", "xz", Some("xz -dc")),
    (b"\x28\xb5\x2f\xfd", "zstd", Some("zstd -dc")),
    (b"\x02\x21\x4c\x18", "lz4", Some("lz4 -dc")),
    (b"BZh", "bzip2", Some("bzip2 -dc")),
    (b"\x5d\0\0", "lzma", Some("xz -dc")),
    (b"\x27\x05\x19\x56", "U-Boot's uImage", None),
];

fn is_at(file: &[u8], at: usize, bytes: &[u8]) -> bool {
    file.get(at..).is_some_and(|rest| rest.starts_with(bytes))
}

/// The little-endian number of 64 bits at an offset; 0 where the file ends before.
fn number(file: &[u8], at: usize) -> u64 {
    let bytes = file.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
