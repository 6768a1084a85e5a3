//! The blob against its table in `layout.rs`, its rules, and bytes that wish it harm. The
//! offsets are restated here from the table, not imported.

use proptest::prelude::*;
use vm_config::{
    Action, BLOB_LEN_BYTES, ConfigError, Contents, Device, DeviceKind, RamRange, SeverityMask,
    TextField, Trace, TraceNumber, Unsupported, VmConfig, encode, image_crc32, note_image,
};

const RAM: [RamRange; 1] = [RamRange {
    base: 0x4000_0000,
    len_bytes: 0x20_0000,
}];

fn trace(name: &str, loc: u64) -> Device<'_> {
    Device {
        name,
        loc,
        severities: None,
        kind: DeviceKind::Trace(Trace::default()),
    }
}

fn pl011(name: &str, loc: u64) -> Device<'_> {
    Device {
        name,
        loc,
        severities: None,
        kind: DeviceKind::Pl011,
    }
}

fn contents<'a>(devices: &'a [Device<'a>]) -> Contents<'a> {
    Contents {
        vm: 0,
        name: "demo",
        load_name: "guest-app",
        image_len_bytes: 70_000,
        cmdline: "trace=0xfa000000",
        logger: SeverityMask::default(),
        unsupported: Unsupported::default(),
        ram: &RAM,
        devices,
    }
}

/// The bytes with a fresh checksum, so that the rules behind it are reached.
fn resealed(mut bytes: [u8; BLOB_LEN_BYTES]) -> [u8; BLOB_LEN_BYTES] {
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&bytes[12..]);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn demo() -> [u8; BLOB_LEN_BYTES] {
    let kind = DeviceKind::Trace(Trace {
        emit_logger: true,
        emit_trace: TraceNumber::new(12),
    });
    let device = Device {
        name: "t",
        loc: 0xfa00_0000,
        severities: None,
        kind,
    };
    encode(&contents(&[device, pl011("uart", 0x1c09_0000)])).unwrap()
}

fn with(at: usize, bytes: &[u8]) -> [u8; BLOB_LEN_BYTES] {
    let mut blob = demo();
    blob[at..at + bytes.len()].copy_from_slice(bytes);
    resealed(blob)
}

fn refusal(at: usize, bytes: &[u8]) -> ConfigError {
    VmConfig::parse(&with(at, bytes)).unwrap_err()
}

#[test]
fn a_blob_lies_in_memory_as_the_table_says() {
    let blob = demo();
    assert_eq!(blob.len(), 1600);
    assert_eq!(&blob[0..8], b"VMCF\x02\x00\x40\x06");
    assert_eq!(&blob[12..16], &70_000_u32.to_le_bytes());
    assert_eq!(&blob[16..24], &[1, 1, 2, 0b001_1111, 1, 0, 1, 0]);
    assert_eq!(&blob[24..30], b"\x04demo\0");
    assert_eq!(&blob[56..67], b"\x09guest-app\0");
    assert_eq!(&blob[184..192], &0x4000_0000_u64.to_le_bytes());
    assert_eq!(&blob[192..200], &0x20_0000_u64.to_le_bytes());
    assert_eq!(&blob[248..256], &0xfa00_0000_u64.to_le_bytes());
    assert_eq!(&blob[256..264], &4_u64.to_le_bytes());
    assert_eq!(&blob[264..272], &[1, 0b011, 12, 0, 0, 0, 0, 0]);
    assert_eq!(&blob[272..275], b"\x01t\0");
    assert_eq!(&blob[288..296], &0x1c09_0000_u64.to_le_bytes());
    assert_eq!(&blob[304..306], &[2, 0]);
    assert_eq!(&blob[568..586], b"\x10\0trace=0xfa000000");
    assert_eq!(resealed(blob), blob);
}

#[test]
fn what_is_written_is_what_is_read() {
    let devices = [
        Device {
            name: "first",
            loc: 0xfa00_0000,
            severities: Some(SeverityMask::INFO),
            kind: DeviceKind::Trace(Trace {
                emit_logger: true,
                emit_trace: TraceNumber::new(0),
            }),
        },
        trace("second", 0xfa00_0004),
        pl011("uart", 0x1c09_0000),
    ];
    let unsupported = Unsupported {
        instruction: Action::Ignore,
        reference: Action::Abort,
        register: Action::Fail,
    };
    let bytes = encode(&Contents {
        vm: 3,
        unsupported,
        ..contents(&devices)
    })
    .unwrap();
    let config = VmConfig::parse(&bytes).unwrap();

    assert_eq!(config.vm(), 3);
    assert_eq!(config.name(), "demo");
    assert_eq!(config.cpus(), 1);
    assert_eq!(config.load_name(), "guest-app");
    assert_eq!(config.image_len_bytes(), 70_000);
    assert_eq!(config.cmdline(), "trace=0xfa000000");
    assert_eq!(config.logger(), SeverityMask::default());
    assert_eq!(config.unsupported(), unsupported);
    assert!(config.ram().eq(RAM));
    assert!(config.devices().eq(devices));
    assert_eq!(config.logger_of(&devices[0]), SeverityMask::INFO);
    assert_eq!(config.logger_of(&devices[1]), SeverityMask::default());
}

#[test]
fn what_follows_the_blob_in_its_region_is_ignored() {
    let mut region = [0xa5; 4096];
    region[..BLOB_LEN_BYTES].copy_from_slice(&demo());
    assert_eq!(VmConfig::parse(&region).unwrap().name(), "demo");
}

#[test]
fn a_region_where_nothing_was_loaded_is_refused() {
    assert_eq!(VmConfig::parse(&[0; 4096]), Err(ConfigError::Magic([0; 4])));
}

#[test]
fn a_cut_off_blob_is_refused_at_every_length() {
    let blob = demo();
    for len_bytes in 0..blob.len() {
        let error = ConfigError::TooShort {
            len_bytes,
            needed: 1600,
        };
        assert_eq!(VmConfig::parse(&blob[..len_bytes]), Err(error));
    }
}

#[test]
fn every_single_flipped_bit_is_noticed() {
    let blob = demo();
    for bit in 0..blob.len() * 8 {
        let mut damaged = blob;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(VmConfig::parse(&damaged).is_err(), "bit {bit}");
    }
}

#[test]
fn each_rule_is_checked_behind_a_right_checksum_too() {
    let text = |field, len_bytes| ConfigError::TextLength { field, len_bytes };
    assert_eq!(refusal(4, &[1]), ConfigError::Version(1));
    assert_eq!(refusal(6, &[0, 0]), ConfigError::Length(0));
    assert_eq!(refusal(12, &[0; 4]), ConfigError::ImageLength(0));
    assert_eq!(refusal(16, &[2]), ConfigError::Cpus(2));
    assert_eq!(refusal(17, &[0]), ConfigError::RamCount(0));
    assert_eq!(refusal(17, &[5]), ConfigError::RamCount(5));
    assert_eq!(refusal(18, &[9]), ConfigError::DeviceCount(9));
    assert_eq!(refusal(19, &[0x80]), ConfigError::Severities(0x80));
    assert_eq!(refusal(20, &[3]), ConfigError::Action(3));
    assert_eq!(refusal(23, &[8]), ConfigError::VmNumber(8));
    assert_eq!(refusal(24, &[0]), text(TextField::System, 0));
    assert_eq!(refusal(24, &[32]), text(TextField::System, 32));
    let byte = |field, byte| ConfigError::TextByte { field, byte };
    assert_eq!(refusal(25, b" "), byte(TextField::System, b' '));
    assert_eq!(refusal(57, b"\n"), byte(TextField::Load, b'\n'));
    assert_eq!(refusal(568, &[0x00, 0x04]), text(TextField::Cmdline, 1024));
    assert_eq!(refusal(264, &[4]), ConfigError::DeviceKind(4));
    assert_eq!(refusal(265, &[0x08]), ConfigError::DeviceFlags(0x08));
    assert_eq!(refusal(305, &[0x01]), ConfigError::DeviceFlags(0x01));
    assert_eq!(refusal(266, &[0, 4]), ConfigError::TraceNumber(1024));
    assert_eq!(
        refusal(265, &[4, 0, 0, 0xff]),
        ConfigError::Severities(0xff)
    );
    let device = |loc, len_bytes| ConfigError::DeviceLoc { loc, len_bytes };
    assert_eq!(refusal(248, &[2]), device(0xfa00_0002, 4));
    assert_eq!(refusal(256, &[8]), device(0xfa00_0000, 8));
    assert_eq!(refusal(253, &[1]), device(0x100_fa00_0000, 4));
    assert_eq!(refusal(288, &[0xff; 8]), device(u64::MAX, 4096));
    let ram = |base, len_bytes| ConfigError::Ram { base, len_bytes };
    assert_eq!(refusal(184, &[1]), ram(0x4000_0001, 0x20_0000));
    assert_eq!(refusal(192, &[0; 8]), ram(0x4000_0000, 0));
    assert_eq!(refusal(192, &[0xff; 8]), ram(0x4000_0000, u64::MAX));
    let overlap = ConfigError::Overlap {
        first: 0x4000_0000,
        second: 0x401f_fffc,
    };
    assert_eq!(refusal(248, &[0xfc, 0xff, 0x1f, 0x40]), overlap);
    assert_eq!(refusal(312, b"\x01t"), ConfigError::DuplicateName(1));
}

#[test]
fn the_last_words_of_the_address_space_can_be_used() {
    let devices = [
        trace("last", (1 << 40) - 4),
        pl011("page", (1 << 40) - 0x2000),
    ];
    assert!(encode(&contents(&devices)).is_ok());
}

#[test]
fn two_trace_devices_may_share_a_page_but_not_a_word() {
    assert!(encode(&contents(&[trace("a", 0x1000), trace("b", 0x1004)])).is_ok());
    let same = encode(&contents(&[trace("a", 0x1000), trace("b", 0x1000)]));
    assert_eq!(
        same,
        Err(ConfigError::Overlap {
            first: 0x1000,
            second: 0x1000
        })
    );
}

#[test]
fn a_port_is_no_address_in_memory() {
    let serial = |loc| Device {
        kind: DeviceKind::Ser8250,
        ..pl011("serial", loc)
    };
    assert!(encode(&contents(&[serial(0x3f8), trace("a", 0x3f8)])).is_ok());
    assert!(encode(&contents(&[serial(0xfff8)])).is_ok());
    for loc in [0x3f9, 0x1_0000] {
        let len_bytes = 8;
        let refused = Err(ConfigError::DeviceLoc { loc, len_bytes });
        assert_eq!(encode(&contents(&[serial(loc)])), refused);
    }
    let twice = Device {
        name: "other",
        ..serial(0x3f8)
    };
    let (first, second) = (0x3f8, 0x3f8);
    let refused = Err(ConfigError::Overlap { first, second });
    assert_eq!(encode(&contents(&[serial(0x3f8), twice])), refused);
}

#[test]
fn the_encoder_refuses_what_no_blob_can_hold() {
    let long = "x".repeat(1024);
    let too_long = |field| {
        Err(ConfigError::TextLength {
            field,
            len_bytes: 1024,
        })
    };
    let cmdline = encode(&Contents {
        cmdline: &long,
        ..contents(&[])
    });
    assert_eq!(cmdline, too_long(TextField::Cmdline));
    let load_name = encode(&Contents {
        load_name: &long,
        ..contents(&[])
    });
    assert_eq!(load_name, too_long(TextField::Load));
    let nine = [trace("t", 0); 9];
    assert_eq!(encode(&contents(&nine)), Err(ConfigError::DeviceCount(9)));
    let five = [RAM[0]; 5];
    let ram = encode(&Contents {
        ram: &five,
        ..contents(&[])
    });
    assert_eq!(ram, Err(ConfigError::RamCount(5)));
    let ninth = encode(&Contents {
        vm: 8,
        ..contents(&[])
    });
    assert_eq!(ninth, Err(ConfigError::VmNumber(8)));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = VmConfig::parse(&bytes);
    }

    /// Most random changes are caught by the checksum; with a right one the rules must hold.
    #[test]
    fn changed_bytes_with_a_right_checksum_never_panic_nor_break_a_rule(
        changes in proptest::collection::vec((12..BLOB_LEN_BYTES, any::<u8>()), 1..12),
    ) {
        let mut blob = demo();
        for (at, byte) in changes {
            blob[at] = byte;
        }
        if let Ok(config) = VmConfig::parse(&resealed(blob)) {
            prop_assert!((1..=4).contains(&config.ram().count()));
            prop_assert!(config.devices().count() <= 8);
            prop_assert!(config.cmdline().len() <= 1023);
            for device in config.devices() {
                prop_assert_eq!(device.loc % device.kind.align_bytes(), 0);
                prop_assert!(device.loc + device.len_bytes() <= 1 << 40);
            }
        }
    }
}

#[test]
fn a_blob_knows_its_image_again() {
    let mut blob = demo();
    assert_eq!(VmConfig::parse(&blob).unwrap().image_crc32(), None);
    let mut image = vec![0; 70_000];
    image[..9].copy_from_slice(b"123456789");
    note_image(&mut blob, &image).unwrap();
    let crc32 = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&image);
    assert_eq!(VmConfig::parse(&blob).unwrap().image_crc32(), Some(crc32));
    assert_eq!(image_crc32(b"123456789"), 0xcbf4_3926);
    let other = note_image(&mut blob, &image[1..]);
    assert_eq!(other, Err(ConfigError::ImageLength(69_999)));
}
