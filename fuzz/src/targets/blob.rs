//! The reader of the compiled configuration, with any bytes and with any that have the right
//! header and checksum.

use crc::{CRC_32_ISO_HDLC, Crc};
use std::sync::LazyLock;
use vm_config::{
    BLOB_LEN_BYTES, Contents, Device, DeviceKind, GUEST_PHYS_LIMIT, MAX_DEVICES, RamRange,
    SeverityMask, Unsupported, VmConfig, encode,
};

/// Magic, version and length, as the encoder writes them.
static HEADER: LazyLock<[u8; 8]> = LazyLock::new(|| {
    let contents = Contents {
        vm: 0,
        name: "a",
        load_name: "a",
        image_len_bytes: 1,
        cmdline: "",
        logger: SeverityMask::default(),
        unsupported: Unsupported::default(),
        ram: &[RamRange {
            base: 0,
            len_bytes: 4096,
        }],
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
    let devices: Vec<Device<'_>> = config.devices().collect();
    assert_eq!(config.cpus(), 1);
    assert!(!ram.is_empty() && devices.len() <= MAX_DEVICES);
    // A place begins with the limit of its address space, memory or I/O ports.
    let mut places: Vec<(u64, u64, u64)> = Vec::new();
    for range in &ram {
        assert!(range.base % 4096 == 0 && range.len_bytes % 4096 == 0);
        places.push((GUEST_PHYS_LIMIT, range.base, range.len_bytes));
    }
    for device in &devices {
        let (limit, len_bytes) = match device.kind {
            DeviceKind::Trace(_) => (GUEST_PHYS_LIMIT, 4),
            DeviceKind::Pl011 => (GUEST_PHYS_LIMIT, 4096),
            DeviceKind::Ser8250 => (1 << 16, 8),
        };
        assert!(device.loc % len_bytes == 0);
        places.push((limit, device.loc, len_bytes));
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
    let texts = [config.name(), config.load_name(), config.cmdline()];
    let names = devices.iter().map(|device| device.name);
    assert!(texts.into_iter().chain(names).all(is_printable));
    let contents = Contents {
        vm: config.vm(),
        name: config.name(),
        load_name: config.load_name(),
        image_len_bytes: config.image_len_bytes(),
        cmdline: config.cmdline(),
        logger: config.logger(),
        unsupported: config.unsupported(),
        ram: &ram,
        devices: &devices,
    };
    let again = encode(&contents).expect("what was read can be written");
    let again = VmConfig::parse(&again).expect("what was written can be read");
    // What is written has no checksum of an image until there is an image.
    assert_eq!(again.image_crc32(), None);
    if config.image_crc32().is_none() {
        assert_eq!(again, config);
    }
    assert_eq!(said(&again), said(&config));
}

/// All that a configuration says, but for the checksum of the image that belongs to it.
fn said(config: &VmConfig<'_>) -> String {
    let texts = [config.name(), config.load_name(), config.cmdline()];
    let numbers = (config.vm(), config.image_len_bytes());
    let ram: Vec<_> = config.ram().collect();
    let devices: Vec<_> = config.devices().collect();
    let rules = (config.logger(), config.unsupported());
    format!("{texts:?} {numbers:?} {ram:?} {devices:?} {rules:?}")
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
