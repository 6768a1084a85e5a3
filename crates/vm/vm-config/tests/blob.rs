//! The blob against its table in `layout.rs`, its rules, and bytes that wish it harm. The
//! offsets are restated here from the table, not imported.

use proptest::prelude::*;
use vm_config::{
    Action, AddressSpace, AnyVdev, BLOB_LEN_BYTES, ConfigError, Contents, Device, Emit, Image,
    Options, Piece, RamRange, RomRange, SeverityMask, TextField, TraceNumber, Unsupported, Vdev,
    VmConfig, encode, image_crc32,
};

const RAM: [RamRange; 1] = [RamRange {
    base: 0x4000_0000,
    len_bytes: 0x20_0000,
}];

const ROM: [RomRange; 1] = [RomRange {
    base: 0x40_0000,
    len_bytes: 0x1000,
}];

const IMAGES: [Image<'_>; 2] = [
    Image {
        name: "guest-app",
        len_bytes: 70_000,
        crc32: Some(0x1234_5678),
    },
    Image {
        name: "disk",
        len_bytes: 512,
        crc32: None,
    },
];

const PIECES: [Piece; 2] = [
    Piece {
        address: 0x4008_0000,
        len_bytes: 0x300,
        offset: 0,
    },
    Piece {
        address: 0x4010_0000,
        len_bytes: 512,
        offset: 0x300,
    },
];

const AARCH64: u16 = 183;

fn device(vdev: Vdev, name: &str, loc: u64) -> Device<'_> {
    Device {
        name,
        vdev,
        space: vdev.kind().spaces[0],
        loc,
        severities: None,
        emit: Emit::default(),
        options: Options::NONE,
    }
}

fn trace(name: &str, loc: u64) -> Device<'_> {
    device(Vdev::Trace, name, loc)
}

fn pl011(name: &str, loc: u64) -> Device<'_> {
    device(Vdev::Pl011, name, loc)
}

const TOLD: Emit = Emit {
    logger: true,
    trace: TraceNumber::new(12),
};

fn contents<'a>(devices: &'a [Device<'a>]) -> Contents<'a> {
    Contents {
        vm: 0,
        name: "demo",
        machine: Some(AARCH64),
        images: &IMAGES,
        pieces: &PIECES,
        entry: 0x4008_0010,
        device_tree: Some(0x4010_0000),
        cmdline: "trace=0xfa000000",
        logger: SeverityMask::default(),
        unsupported: Unsupported::default(),
        ram: &RAM,
        rom: &ROM,
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
    let told = Device {
        emit: TOLD,
        ..trace("t", 0xfa00_0000)
    };
    encode(&contents(&[told, pl011("uart", 0x1c09_0000)])).unwrap()
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
fn whoever_reads_a_blob_again_does_not_add_it_up_and_believes_nothing_else() {
    let mut blob = demo();
    assert_eq!(VmConfig::parse_again(&blob), VmConfig::parse(&blob));
    blob[8] ^= 1;
    let refused = VmConfig::parse(&blob);
    assert!(
        matches!(refused, Err(ConfigError::Checksum { .. })),
        "{refused:?}"
    );
    assert!(VmConfig::parse_again(&blob).is_ok());
    for (at, bytes) in [(0, b"x"), (4, b"x"), (6, b"x"), (14, b"x"), (15, b"x")] {
        let blob = with(at, bytes);
        let refused = VmConfig::parse(&blob).unwrap_err();
        assert_eq!(VmConfig::parse_again(&blob), Err(refused), "{at}");
    }
}

#[test]
fn a_blob_lies_in_memory_as_the_table_says() {
    let blob = demo();
    assert_eq!(blob.len(), 6000);
    assert_eq!(&blob[0..8], b"VMCF\x05\x00\x70\x17");
    assert_eq!(&blob[12..14], &[183, 0]);
    assert_eq!(&blob[14..24], &[0, 1, 1, 2, 2, 2, 0b001_1111, 1, 0, 1]);
    assert_eq!(&blob[24..32], &0x4008_0010_u64.to_le_bytes());
    assert_eq!(&blob[32..40], &0x4010_0000_u64.to_le_bytes());
    assert_eq!(&blob[40..46], b"\x04demo\0");
    assert_eq!(&blob[72..80], &0x4000_0000_u64.to_le_bytes());
    assert_eq!(&blob[80..88], &0x20_0000_u64.to_le_bytes());
    assert_eq!(&blob[136..144], &0x40_0000_u64.to_le_bytes());
    assert_eq!(&blob[144..152], &0x1000_u64.to_le_bytes());
    assert_eq!(&blob[152..200], &[0; 48]);
    assert_eq!(&blob[200..204], &70_000_u32.to_le_bytes());
    assert_eq!(&blob[204..208], &0x1234_5678_u32.to_le_bytes());
    assert_eq!(&blob[208..219], b"\x09guest-app\0");
    assert_eq!(&blob[336..340], &512_u32.to_le_bytes());
    assert_eq!(&blob[344..350], b"\x04disk\0");
    assert_eq!(&blob[744..752], &0x4008_0000_u64.to_le_bytes());
    assert_eq!(&blob[752..760], &0x300_u64.to_le_bytes());
    assert_eq!(&blob[760..768], &[0; 8]);
    assert_eq!(&blob[784..792], &0x300_u64.to_le_bytes());
    assert_eq!(&blob[1128..1136], &0xfa00_0000_u64.to_le_bytes());
    assert_eq!(&blob[1136..1144], &4_u64.to_le_bytes());
    assert_eq!(&blob[1144..1151], b"\x05trace\0");
    assert_eq!(&blob[1160..1163], b"\x01t\0");
    assert_eq!(&blob[1176..1184], &[0b0110, 0, 12, 0, 0, 0, 0, 0]);
    assert_eq!(&blob[1184..1248], &[0; 64]);
    assert_eq!(&blob[1248..1256], &0x1c09_0000_u64.to_le_bytes());
    assert_eq!(&blob[1264..1271], b"\x05pl011\0");
    assert_eq!(&blob[4968..4986], b"\x10\0trace=0xfa000000");
    assert_eq!(resealed(blob), blob);
}

#[test]
fn what_is_written_is_what_is_read() {
    let devices = [
        Device {
            severities: Some(SeverityMask::INFO),
            emit: Emit {
                logger: true,
                trace: TraceNumber::new(0),
            },
            ..trace("first", 0xfa00_0000)
        },
        trace("second", 0xfa00_0004),
        Device {
            emit: TOLD,
            ..pl011("uart", 0x1c09_0000)
        },
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
    assert_eq!(config.machine(), Some(AARCH64));
    assert!(config.images().eq(IMAGES));
    assert!(config.pieces().eq(PIECES));
    assert_eq!(config.image_region_len_bytes(), 0x500);
    assert_eq!(config.entry(), 0x4008_0010);
    assert_eq!(config.device_tree(), Some(0x4010_0000));
    assert_eq!(config.cmdline(), "trace=0xfa000000");
    assert_eq!(config.logger(), SeverityMask::default());
    assert_eq!(config.unsupported(), unsupported);
    assert!(config.ram().eq(RAM));
    assert!(config.rom().eq(ROM));
    assert!(config.devices().eq(devices));
    assert_eq!(config.logger_of(&devices[0]), SeverityMask::INFO);
    assert_eq!(config.logger_of(&devices[1]), SeverityMask::default());
}

#[test]
fn rom_is_blocks_of_2_mib_or_one_of_its_own_length() {
    let blocks = |base, len_bytes| RomRange { base, len_bytes }.blocks().collect::<Vec<_>>();
    assert_eq!(blocks(0x1000, 0x3000), [(0x1000, 0x3000)]);
    let (block, half) = (2 << 20, 1 << 20);
    assert_eq!(blocks(half, block), [(half, block)]);
    assert_eq!(
        blocks(block, 2 * block),
        [(block, block), (2 * block, block)]
    );
    assert_eq!(blocks(block, 0), []);
}

#[test]
fn what_follows_the_blob_in_its_region_is_ignored() {
    let mut region = [0xa5; 8192];
    region[..BLOB_LEN_BYTES].copy_from_slice(&demo());
    assert_eq!(VmConfig::parse(&region).unwrap().name(), "demo");
}

#[test]
fn a_region_where_nothing_was_loaded_is_refused() {
    assert_eq!(VmConfig::parse(&[0; 8192]), Err(ConfigError::Magic([0; 4])));
}

#[test]
fn a_cut_off_blob_is_refused_at_every_length() {
    let blob = demo();
    for len_bytes in 0..blob.len() {
        let error = ConfigError::TooShort {
            len_bytes,
            needed: 6000,
        };
        assert_eq!(VmConfig::parse(&blob[..len_bytes]), Err(error));
    }
}

#[test]
fn a_blob_of_another_version_is_called_that_whatever_its_length() {
    let mut older = [0; 1600];
    older[..8].copy_from_slice(b"VMCF\x02\x00\x40\x06");
    let error = VmConfig::parse(&older).unwrap_err();
    assert_eq!(error, ConfigError::Version(2));
    assert_eq!(
        error.to_string(),
        "the compiled VM configuration has layout version 2, and this program reads version 5: \
         compile it again, with the tools of the same build"
    );
}

#[test]
fn every_single_flipped_bit_is_noticed() {
    let blob = demo();
    let mut damaged = blob;
    for bit in 0..blob.len() * 8 {
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(VmConfig::parse(&damaged).is_err(), "bit {bit}");
        damaged[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn each_rule_is_checked_behind_a_right_checksum_too() {
    let text = |field, len_bytes| ConfigError::TextLength { field, len_bytes };
    assert_eq!(refusal(4, &[1]), ConfigError::Version(1));
    assert_eq!(refusal(6, &[0, 0]), ConfigError::Length(0));
    assert_eq!(refusal(14, &[8]), ConfigError::VmNumber(8));
    assert_eq!(refusal(15, &[2]), ConfigError::Cpus(2));
    assert_eq!(refusal(16, &[0]), ConfigError::RamCount(0));
    assert_eq!(refusal(16, &[5]), ConfigError::RamCount(5));
    assert_eq!(refusal(17, &[0]), ConfigError::ImageCount(0));
    assert_eq!(refusal(17, &[5]), ConfigError::ImageCount(5));
    assert_eq!(refusal(18, &[17]), ConfigError::PieceCount(17));
    assert_eq!(refusal(19, &[33]), ConfigError::DeviceCount(33));
    assert_eq!(refusal(20, &[0x80]), ConfigError::Severities(0x80));
    assert_eq!(refusal(21, &[3]), ConfigError::Action(3));
    assert_eq!(refusal(24, &[0; 8]), ConfigError::Entry(0));
    assert_eq!(refusal(24, &[0, 0, 0x20]), ConfigError::Entry(0x4020_0000));
    assert_eq!(refusal(32, &[1]), ConfigError::DeviceTree(0x4010_0001));
    assert_eq!(refusal(40, &[0]), text(TextField::System, 0));
    assert_eq!(refusal(40, &[32]), text(TextField::System, 32));
    let byte = |field, byte| ConfigError::TextByte { field, byte };
    assert_eq!(refusal(41, b" "), byte(TextField::System, b' '));
    assert_eq!(refusal(200, &[0; 4]), ConfigError::ImageLength(0));
    assert_eq!(refusal(208, &[0]), text(TextField::Load, 0));
    assert_eq!(refusal(209, b"\n"), byte(TextField::Load, b'\n'));
    let piece = |address, len_bytes| ConfigError::Piece { address, len_bytes };
    assert_eq!(refusal(752, &[0; 8]), piece(0x4008_0000, 0));
    assert_eq!(refusal(744, &[0; 8]), piece(0, 0x300));
    assert_eq!(refusal(744, &[1, 0xfd, 0x1f]), piece(0x401f_fd01, 0x300));
    assert_eq!(refusal(752, &[0xff; 8]), piece(0x4008_0000, u64::MAX));
    let offset = 0xffff_fd01;
    let beyond = ConfigError::PieceOffset {
        offset,
        len_bytes: 0x300,
    };
    assert_eq!(refusal(760, &[1, 0xfd, 0xff, 0xff]), beyond);
    let overlap = |first, second| ConfigError::Overlap { first, second };
    assert_eq!(
        refusal(744, &[0x01, 0xfd, 0x0f]),
        overlap(0x400f_fd01, 0x4010_0000)
    );
    assert_eq!(refusal(4968, &[0x00, 0x04]), text(TextField::Cmdline, 1024));
    assert_eq!(refusal(1145, b"T"), ConfigError::DeviceKind(0));
    assert_eq!(refusal(1144, &[0]), text(TextField::DeviceKind, 0));
    assert_eq!(refusal(1176, &[0x10]), ConfigError::DeviceFlags(0x10));
    assert_eq!(refusal(1176, &[1, 0xff]), ConfigError::Severities(0xff));
    let option = |loc, index, type_number| ConfigError::DeviceOption {
        loc,
        index,
        type_number,
    };
    assert_eq!(refusal(1184, &[2]), option(0xfa00_0000, 0, 2));
    assert_eq!(refusal(1232, &[1]), option(0xfa00_0000, 3, 1));
    assert_eq!(refusal(1304, &[6]), option(0x1c09_0000, 0, 6));
    assert_eq!(refusal(1178, &[0, 4]), ConfigError::TraceNumber(1024));
    let space = AddressSpace::Ports;
    let nowhere = ConfigError::DeviceSpace {
        space,
        loc: 0xfa00_0000,
    };
    assert_eq!(refusal(1176, &[0b1000]), nowhere);
    let device = |loc, len_bytes| ConfigError::DeviceLoc { loc, len_bytes };
    assert_eq!(refusal(1128, &[2]), device(0xfa00_0002, 4));
    assert_eq!(refusal(1136, &[8]), device(0xfa00_0000, 8));
    assert_eq!(refusal(1133, &[1]), device(0x100_fa00_0000, 4));
    assert_eq!(refusal(1248, &[0xff; 8]), device(u64::MAX, 4096));
    let ram = |base, len_bytes| ConfigError::Ram { base, len_bytes };
    assert_eq!(refusal(72, &[1]), ram(0x4000_0001, 0x20_0000));
    assert_eq!(refusal(80, &[0; 8]), ram(0x4000_0000, 0));
    assert_eq!(refusal(80, &[0xff; 8]), ram(0x4000_0000, u64::MAX));
    let rom = |base, len_bytes| ConfigError::Rom { base, len_bytes };
    assert_eq!(refusal(136, &[1]), rom(0x40_0001, 0x1000));
    assert_eq!(refusal(144, &[1]), rom(0x40_0000, 0x1001));
    assert_eq!(refusal(144, &[0xff; 8]), rom(0x40_0000, u64::MAX));
    assert_eq!(refusal(146, &[0x20]), rom(0x40_0000, 0x20_1000));
    assert_eq!(
        refusal(144, &[0, 0, 0x20, 0x40]),
        rom(0x40_0000, (1 << 30) + 0x20_0000)
    );
    let rom_in_ram = overlap(0x4000_0000, 0x401f_f000);
    assert_eq!(refusal(136, &[0, 0xf0, 0x1f, 0x40]), rom_in_ram);
    let in_ram = overlap(0x4000_0000, 0x401f_fffc);
    assert_eq!(refusal(1128, &[0xfc, 0xff, 0x1f, 0x40]), in_ram);
    assert_eq!(refusal(1280, b"\x01t"), ConfigError::DuplicateName(1));
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
    let serial = |loc| device(Vdev::Ser8250, "serial", loc);
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
    let long_name = Image {
        name: &long,
        ..IMAGES[0]
    };
    let load_name = encode(&Contents {
        images: &[long_name],
        ..contents(&[])
    });
    assert_eq!(load_name, too_long(TextField::Load));
    let images = encode(&Contents {
        images: &[IMAGES[0]; 5],
        ..contents(&[])
    });
    assert_eq!(images, Err(ConfigError::ImageCount(5)));
    let pieces = encode(&Contents {
        pieces: &[PIECES[0]; 17],
        ..contents(&[])
    });
    assert_eq!(pieces, Err(ConfigError::PieceCount(17)));
    let many = [trace("t", 0); 33];
    assert_eq!(encode(&contents(&many)), Err(ConfigError::DeviceCount(33)));
    let five = [RAM[0]; 5];
    let ram = encode(&Contents {
        ram: &five,
        ..contents(&[])
    });
    assert_eq!(ram, Err(ConfigError::RamCount(5)));
    let rom = encode(&Contents {
        rom: &[ROM[0]; 5],
        ..contents(&[])
    });
    assert_eq!(rom, Err(ConfigError::RomCount(5)));
    let ninth = encode(&Contents {
        vm: 8,
        ..contents(&[])
    });
    assert_eq!(ninth, Err(ConfigError::VmNumber(8)));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..8000)) {
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
            prop_assert!(config.devices().count() <= 32);
            prop_assert_eq!(config.images().count(), 2);
            prop_assert!(config.image_region_len_bytes() <= 1 << 32);
            prop_assert!(config.cmdline().len() <= 1023);
            for device in config.devices() {
                let kind = device.kind();
                prop_assert_eq!(device.loc % kind.align, 0);
                prop_assert!(kind.spaces.contains(&device.space));
                let limit = match device.space {
                    AddressSpace::Memory => 1 << 40,
                    AddressSpace::Ports => 0x1_0000,
                };
                prop_assert!(device.loc + device.len_bytes() <= limit);
            }
        }
    }
}

#[test]
fn an_image_s_checksum_is_the_common_crc_32() {
    assert_eq!(image_crc32(b"123456789"), 0xcbf4_3926);
}

#[test]
fn every_device_of_the_list_is_read_as_it_was_written_wherever_it_can_be() {
    for &vdev in Vdev::ALL {
        let loc = vdev.kind().align.max(0x8000);
        for &space in vdev.kind().spaces {
            let written = Device {
                space,
                emit: TOLD,
                ..device(vdev, "one", loc)
            };
            let bytes = encode(&contents(&[written])).unwrap();
            let read = VmConfig::parse(&bytes).unwrap().devices().next();
            assert_eq!(read, Some(written));
        }
        let (index, type_number) = (vdev.kind().options.len(), u8::MAX);
        let mut too_many = device(vdev, "one", loc);
        if let Some(option) = too_many.options.0.get_mut(index) {
            *option = Some(1);
            let refused = Err(ConfigError::DeviceOption {
                loc,
                index,
                type_number,
            });
            assert_eq!(encode(&contents(&[too_many])), refused, "{vdev:?}");
        }
    }
}

#[test]
fn as_many_devices_as_there_is_room_for_are_read_in_their_order() {
    let names: Vec<String> = (0..32).map(|number| format!("d{number}")).collect();
    let devices = names.iter().zip(0..);
    let devices = devices.map(|(name, at)| trace(name, 0xfa00_0000 + 4 * at));
    let devices: Vec<_> = devices.collect();
    let bytes = encode(&contents(&devices)).unwrap();
    assert!(VmConfig::parse(&bytes).unwrap().devices().eq(devices));
}
