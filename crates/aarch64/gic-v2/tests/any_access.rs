//! Any accesses, levels and ends in any order: the invariants hold.

use gic_v2::{Gic, Width};
use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
enum Step {
    Level(u8, bool),
    ReadDistributor(u64, bool),
    WriteDistributor(u64, bool, u32),
    ReadCpu(u64, bool),
    WriteCpu(u64, bool, u32),
    HandOut(usize),
    Ended(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let distributor = prop_oneof![
        0_u64..0x1000,
        0_u64..0x500,
        Just(0),
        Just(0xf00),
        any::<u64>()
    ];
    let cpu = prop_oneof![
        0_u64..0x30,
        0_u64..0x2000,
        Just(0xd0),
        Just(0xe0),
        Just(0x1000),
        any::<u64>()
    ];
    let value = prop_oneof![
        any::<u32>(),
        0_u32..130,
        (0_u32..32).prop_map(|bit| 1 << bit),
        Just(u32::MAX)
    ];
    prop_oneof![
        (any::<u8>(), any::<bool>()).prop_map(|(intid, high)| Step::Level(intid, high)),
        (distributor.clone(), any::<bool>()).prop_map(|(at, byte)| Step::ReadDistributor(at, byte)),
        (distributor, any::<bool>(), value.clone())
            .prop_map(|(at, byte, value)| Step::WriteDistributor(at, byte, value)),
        (cpu.clone(), any::<bool>()).prop_map(|(at, byte)| Step::ReadCpu(at, byte)),
        (cpu, any::<bool>(), value).prop_map(|(at, byte, value)| Step::WriteCpu(at, byte, value)),
        (0_usize..20).prop_map(Step::HandOut),
        (0_usize..20).prop_map(Step::Ended),
    ]
}

const fn width(is_byte: bool) -> Width {
    if is_byte { Width::Byte } else { Width::Word }
}

/// Words are aligned, as they are for whoever made a [`Width`] of one.
const fn aligned(offset: u64, is_byte: bool) -> u64 {
    if is_byte { offset } else { offset & !3 }
}

fn bit(gic: &Gic, register: u64, intid: u32) -> bool {
    let word = gic.read_distributor(register + u64::from(intid) / 32 * 4, Width::Word);
    word >> (intid % 32) & 1 != 0
}

/// It is given: it was pending and enabled, its group was, and it was not active.
fn assert_could_come(before: &Gic, intid: u32) {
    assert!(intid < 128);
    assert!(bit(before, 0x100, intid), "{intid} is not enabled");
    assert!(bit(before, 0x200, intid), "{intid} is not pending");
    assert!(!bit(before, 0x300, intid), "{intid} is active");
    let group = u32::from(bit(before, 0x080, intid));
    assert!(before.read_distributor(0, Width::Word) >> group & 1 != 0);
}

fn active_priorities(gic: &Gic) -> [u32; 2] {
    let mut gic = *gic;
    [0xd0, 0xe0].map(|offset| gic.read_cpu_interface(offset, Width::Word))
}

fn assert_acknowledged(before: &Gic, after: &Gic, intid: u32) {
    assert_could_come(before, intid);
    assert!(before.output().is_asserted());
    assert!(bit(after, 0x300, intid));
    let (old, new) = (active_priorities(before), active_priorities(after));
    let both = |words: [u32; 2]| words[0] | words[1];
    // One more, above all others.
    let added = both(new) & !both(old);
    assert!(added.is_power_of_two() && both(new) == both(old) | added);
    assert!(added.trailing_zeros() < both(old).trailing_zeros());
}

fn run(steps: Vec<Step>) {
    let mut gic = Gic::new();
    for step in steps {
        let before = gic;
        match step {
            Step::Level(intid, high) => gic.set_level(intid, high),
            Step::ReadDistributor(at, byte) => {
                let value = gic.read_distributor(aligned(at, byte), width(byte));
                assert!(!byte || value < 0x100);
            }
            Step::WriteDistributor(at, byte, value) => {
                gic.write_distributor(aligned(at, byte), width(byte), value);
            }
            Step::ReadCpu(at, byte) => {
                let at = aligned(at, byte);
                let value = gic.read_cpu_interface(at, width(byte));
                if !byte && (at == 0xc || at == 0x20) && value < 1020 {
                    assert_acknowledged(&before, &gic, value);
                } else {
                    assert_eq!(gic, before);
                }
            }
            Step::WriteCpu(at, byte, value) => {
                let ended = gic.ended_by(aligned(at, byte), value);
                gic.write_cpu_interface(aligned(at, byte), width(byte), value);
                if let (Some(intid), false) = (ended, before == gic) {
                    assert!(!byte && intid < 128);
                }
            }
            Step::HandOut(count) => {
                if let Some(handed) = gic.hand_out(count) {
                    assert!(handed.slot < count && handed.priority < 32);
                    assert_could_come(&before, handed.intid.into());
                    assert!(bit(&gic, 0x300, handed.intid.into()));
                }
            }
            Step::Ended(slot) => {
                let was_taken = gic.ended(slot);
                assert!(!was_taken || slot < 16);
                assert!(!gic.ended(slot));
            }
        }
        assert_eq!(gic.read_distributor(0x100, Width::Word) & 0xffff, 0xffff);
        // What is signalled can be had, by one register or the other.
        if gic.output().is_asserted() {
            let given = [0xc, 0x20].map(|at| gic.clone().read_cpu_interface(at, Width::Word));
            assert!(given.iter().any(|intid| *intid < 1020), "{given:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_access_breaks_what_a_gic_promises(steps in proptest::collection::vec(step(), 1..120)) {
        run(steps);
    }
}
