//! The reader of the compiled configuration, with any bytes and with any that have the right
//! header and checksum; and the VMM that gets what can be read.

use crate::targets::a64_cpu::A64Cpu;
use crate::targets::vm::{GUEST, MachineState, Vm};
use crc::{CRC_32_ISO_HDLC, Crc};
use std::sync::LazyLock;
use vm_config::{
    AddressSpace, BLOB_LEN_BYTES, Contents, Device, Image, MAX_DEVICES, MAX_PIECES, Piece,
    RamRange, SeverityMask, Unsupported, VmConfig, encode,
};

/// Magic, version and length, as the encoder writes them.
static HEADER: LazyLock<[u8; 8]> = LazyLock::new(|| {
    let contents = Contents {
        vm: 0,
        name: "a",
        machine: None,
        images: &[GUEST],
        pieces: &[],
        entry: 0,
        device_tree: None,
        cmdline: "",
        logger: SeverityMask::default(),
        unsupported: Unsupported::default(),
        ram: &[RamRange {
            base: 0,
            len_bytes: 4096,
        }],
        rom: &[],
        devices: &[],
    };
    let blob = encode(&contents).expect("a configuration that the rules allow");
    let mut header = [0; 8];
    header.copy_from_slice(&blob[..8]);
    header
});
/// Where the checksum lies; it covers what follows, by the layout's table.
const CHECKSUM: core::ops::Range<usize> = 8..12;

pub(crate) fn run(input: &[u8]) {
    check(input);
    let mut blob = [0; BLOB_LEN_BYTES];
    let taken = input.len().min(BLOB_LEN_BYTES);
    blob[..taken].copy_from_slice(&input[..taken]);
    blob[..HEADER.len()].copy_from_slice(&*HEADER);
    let checksum = Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(&blob[CHECKSUM.end..]);
    blob[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    check(&blob);
}

fn check(bytes: &[u8]) {
    let Ok(config) = VmConfig::parse(bytes) else {
        return;
    };
    let ram: Vec<RamRange> = config.ram().collect();
    let rom: Vec<_> = config.rom().collect();
    let devices: Vec<Device<'_>> = config.devices().collect();
    assert_eq!(config.cpus(), 1);
    assert!(!ram.is_empty() && devices.len() <= MAX_DEVICES);
    /// Of memory and I/O ports, by their architectures.
    const LIMITS: [u64; 2] = [1 << 40, 1 << 16];
    // A place begins with the limit of its address space.
    let mut places: Vec<(u64, u64, u64)> = Vec::new();
    for range in &ram {
        assert!(range.base % 4096 == 0 && range.len_bytes % 4096 == 0);
        places.push((LIMITS[0], range.base, range.len_bytes));
    }
    for device in &devices {
        let kind = device.kind();
        let limit = match device.space {
            AddressSpace::Memory => LIMITS[0],
            AddressSpace::Ports => LIMITS[1],
        };
        assert!(device.loc % kind.align == 0 && kind.spaces.contains(&device.space));
        for (place, option) in device.options.0.iter().enumerate() {
            let is = kind.options.get(place).map(|option| option.is);
            assert!(option.is_none_or(|value| is.is_some_and(|is| is.can_be(value))));
        }
        places.push((limit, device.loc, device.len_bytes()));
    }
    places.sort_unstable();
    assert!(
        places
            .windows(2)
            .all(|pair| pair[0].0 != pair[1].0 || pair[0].1 + pair[0].2 <= pair[1].1)
    );
    assert!(
        places
            .iter()
            .all(|(limit, base, len)| *len != 0 && base + len <= *limit)
    );
    let images: Vec<Image<'_>> = config.images().collect();
    let pieces: Vec<Piece> = config.pieces().collect();
    assert!(!images.is_empty() && pieces.len() <= MAX_PIECES);
    let in_ram = |first: u64, len_bytes: u64| {
        let mut ram = ram.iter();
        ram.any(|ram| ram.base <= first && first + len_bytes <= ram.base + ram.len_bytes)
    };
    assert!(in_ram(config.entry(), 1));
    for piece in &pieces {
        assert!(piece.len_bytes != 0 && in_ram(piece.address, piece.len_bytes));
        assert!(piece.end() <= config.image_region_len_bytes());
    }
    let texts = [config.name(), config.cmdline()];
    let names = devices.iter().map(|device| device.name);
    let names = names.chain(images.iter().map(|image| image.name));
    assert!(texts.into_iter().chain(names).all(is_printable));
    let contents = Contents {
        vm: config.vm(),
        name: config.name(),
        machine: config.machine(),
        images: &images,
        pieces: &pieces,
        entry: config.entry(),
        device_tree: config.device_tree(),
        cmdline: config.cmdline(),
        logger: config.logger(),
        unsupported: config.unsupported(),
        ram: &ram,
        rom: &rom,
        devices: &devices,
    };
    let again = encode(&contents).expect("what was read can be written");
    let again = VmConfig::parse(&again).expect("what was written can be read");
    assert_eq!(said(&again), said(&config));
    starts(bytes);
}

/// A VM of it, on a machine that may have another RAM and images of another length, starts or ends.
fn starts(blob: &[u8]) {
    let images = [0xa5; 256];
    let mut vm = Vm::<A64Cpu>::of_blob(blob, &images).expect("it was read above");
    match vm.machine.state {
        MachineState::Running => assert_eq!((vm.machine.starts, vm.ends()), (1, 0)),
        // Everybody who is told has room, so nothing is waited for.
        MachineState::Held => assert_eq!((vm.machine.starts, vm.ends()), (0, 1)),
    }
}

/// All that a configuration says.
fn said(config: &VmConfig<'_>) -> String {
    let texts = [config.name(), config.cmdline()];
    let numbers = (config.vm(), config.machine(), config.entry());
    let ram: Vec<_> = config.ram().collect();
    let loads: (Vec<_>, Vec<_>) = (config.images().collect(), config.pieces().collect());
    let devices: Vec<_> = config.devices().collect();
    let rules = (config.logger(), config.unsupported());
    format!("{texts:?} {numbers:?} {ram:?} {loads:?} {devices:?} {rules:?}")
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
