//! How a guest starts: its images, its entry, its command line.

use crate::fixtures::{PC, contents, piece, trace_device};
use crate::machine::{CODE, EM_AARCH64, MS, System, config_with};
use vm_config::{Contents, Piece, RamRange, Unsupported};

#[test]
fn the_guest_starts_at_its_entry_with_its_command_line() {
    let system = System::new();
    assert_eq!(system.platform.starts, [PC]);
    assert_eq!(
        system.platform.ram[0x8_0000..][..4],
        [0x1f, 0x20, 0x03, 0xd5]
    );
    let line = b"trace=0xfa000000 hz=1000000";
    assert_eq!(system.platform.ram[0xf_f000..][..line.len()], *line);
}

/// Who compiles a configuration lays the images out for the VM, but whoever puts the files into the
/// machine's memory may put others there.
#[test]
fn images_that_are_not_this_vm_s_end_it_and_that_is_said() {
    const EM_X86_64: u16 = 62;
    const RAM: RamRange = RamRange {
        base: 0x4000_0000,
        len_bytes: 0x20_0000,
    };
    let beyond = RAM.base + 0x10_0000;
    for (machine, address, region, number) in [
        (EM_X86_64, PC, &CODE[..], 0),
        (EM_AARCH64, PC, &CODE[1..], PC),
        (EM_AARCH64, PC, &[], PC),
        // The machine has half as much RAM.
        (EM_AARCH64, beyond, &CODE, beyond),
    ] {
        let devices = [trace_device(true, Some(12))];
        let others = Contents {
            machine: Some(machine),
            ram: &[RAM],
            pieces: &[piece(address, &CODE)],
            entry: PC,
            ..contents()
        };
        let config = config_with(&devices, Unsupported::default(), others);
        let mut system = System::of(config, region);
        system.pass(500 * MS);
        assert_eq!(system.platform.starts, []);
        let reason = "the images are for another machine, not all there, or not in the VM's RAM";
        let line = format!("ended: {reason} ({number:#x})");
        assert_eq!(system.lines(&line).len(), 1, "{}", system.screen.0);
        assert_eq!(system.lines("verdict: failed").len(), 1);
    }
}

#[test]
fn every_piece_of_the_images_goes_to_its_place_and_the_guest_starts_at_the_entry() {
    const REGION: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
    let pieces = [(0x4000_1000, 4, 0), (0x4000_2001, 3, 5)];
    let pieces = pieces.map(|(address, len_bytes, offset)| Piece {
        address,
        len_bytes,
        offset,
    });
    let others = Contents {
        pieces: &pieces,
        entry: 0x4000_2002,
        ..contents()
    };
    let system = System::of(config_with(&[], Unsupported::default(), others), &REGION);
    assert_eq!(system.platform.ram[0x1000..0x1006], [1, 2, 3, 4, 0, 0]);
    assert_eq!(system.platform.ram[0x2000..0x2006], [0, 6, 7, 8, 0, 0]);
    assert_eq!(system.platform.starts, [0x4000_2002]);
}
