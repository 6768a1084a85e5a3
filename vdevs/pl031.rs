//! Arm's clock: a PL031, which counts seconds in a register of 32 bits and compares them with another.
//!
//! ```text
//!   0x000  RTCDR    RO  the time: seconds, by convention since 1970, until 2106
//!   0x004  RTCMR        match: when the time reaches it, the interrupt becomes pending
//!   0x008  RTCLR        load: what is written becomes the time
//!   0x00c  RTCCR        bit 0: the clock runs. It always does, and cannot be stopped
//!   0x010  RTCIMSC      bit 0: the interrupt is let through
//!   0x014  RTCRIS   RO  bit 0: it is pending
//!   0x018  RTCMIS   RO  bit 0: it is pending and let through: the interrupt's line
//!   0x01c  RTCICR   WO  bit 0: a write of 1 makes it no longer pending
//!   0xfe0  PeriphID0 to 3, PCellID0 to 3   RO
//! ```
//!
//! Where the manual is open: the clock is enabled when the VM begins, as on a machine whose firmware has
//! done it long ago. A match or a load that makes the two equal counts as reaching; what is cleared while
//! they are equal stays cleared, by bit 0 as the register's description has it, not by any value as the
//! overview does. A load does not move the moments at which seconds end. At a reset of the VM the time goes
//! on, as with a battery; the rest is as it was when the VM began, or a predecessor's alarm would interrupt
//! a system that has not yet set its own.
//!
//! Specification: ARM PrimeCell Real Time Clock (PL031) TRM, DDI 0224, chapter 3.

use vdev_model::{
    Field, Interrupt, Isolated, Kind, OptionKind, Options, Otherwise, Register, TreeNode,
};

/// Register offsets, DDI 0224 table 3-1.
mod register {
    pub const RTCDR: u64 = 0x000;
    pub const RTCMR: u64 = 0x004;
    pub const RTCLR: u64 = 0x008;
    pub const RTCCR: u64 = 0x00c;
    pub const RTCIMSC: u64 = 0x010;
    pub const RTCRIS: u64 = 0x014;
    pub const RTCMIS: u64 = 0x018;
    pub const RTCICR: u64 = 0x01c;
    /// First of eight identification registers, PeriphID0–3 and PCellID0–3.
    pub const ID_FIRST: u64 = 0xfe0;
}

/// The one bit of the control and interrupt registers.
const BIT: u32 = 1 << 0;

/// PeriphID0–3, PCellID0–3: part 0x031 of designer 0x41, revision 1.
const IDENTIFICATION: [u32; 8] = [0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

/// Words of the state.
const TIME: usize = 0;
const MATCH: usize = 1;
const LOADED: usize = 2;
const MASK: usize = 3;
const RAW: usize = 4;
const MASKED: usize = 5;

/// The place of `time` among the options.
const TIME_OPTION: usize = 0;

const INTERRUPT_BIT: &[Field] = &[Field::bit("RTCINTR", 0)];

/// `vdev pl031`.
pub enum Pl031 {}

impl Isolated for Pl031 {
    const KIND: Kind = Kind {
        len: 0x1000,
        align: 0x1000,
        example: "loc 0x1c170000",
        registers: &[
            Register::word("RTCDR", register::RTCDR).read_only(),
            Register::word("RTCMR", register::RTCMR).reads_back(),
            Register::word("RTCLR", register::RTCLR).reads_back(),
            Register::word("RTCCR", register::RTCCR).fields(&[Field::bit("start", 0)]),
            Register::word("RTCIMSC", register::RTCIMSC).fields(INTERRUPT_BIT),
            Register::word("RTCRIS", register::RTCRIS)
                .read_only()
                .fields(INTERRUPT_BIT),
            Register::word("RTCMIS", register::RTCMIS)
                .read_only()
                .fields(INTERRUPT_BIT),
            Register::word("RTCICR", register::RTCICR)
                .write_only()
                .fields(INTERRUPT_BIT),
            Register::word("PeriphID0", register::ID_FIRST).read_only(),
            Register::word("PeriphID1", register::ID_FIRST + 0x04).read_only(),
            Register::word("PeriphID2", register::ID_FIRST + 0x08).read_only(),
            Register::word("PeriphID3", register::ID_FIRST + 0x0c).read_only(),
            Register::word("PCellID0", register::ID_FIRST + 0x10).read_only(),
            Register::word("PCellID1", register::ID_FIRST + 0x14).read_only(),
            Register::word("PCellID2", register::ID_FIRST + 0x18).read_only(),
            Register::word("PCellID3", register::ID_FIRST + 0x1c).read_only(),
        ],
        otherwise: Otherwise::Ignored,
        options: &[OptionKind::TIME, OptionKind::INTR],
        interrupt: Some(Interrupt {
            word: MASKED,
            mask: BIT,
        }),
        // Linux, bindings/rtc/arm,pl031.yaml.
        tree: TreeNode {
            name: "rtc",
            compatible: &["arm,pl031", "arm,primecell"],
            clocks: &["apb_pclk"],
            alias: Some("rtc"),
        },
        ..Kind::new("pl031", "Arm's real time clock")
    };

    type Words = [u32; 6];

    /// Without the option `time` it begins at 0.
    fn new(options: &Options) -> Self::Words {
        let mut words = [0; 6];
        words[TIME] = options.get(TIME_OPTION).unwrap_or(0) as u32;
        words
    }

    fn write(words: &mut Self::Words, register: u64, value: u32) {
        match register {
            register::RTCMR => words[MATCH] = value,
            register::RTCLR => {
                words[LOADED] = value;
                words[TIME] = value;
            }
            register::RTCIMSC => words[MASK] = value & BIT,
            register::RTCICR => words[RAW] &= !value,
            _ => {}
        }
        let compares_anew = matches!(register, register::RTCMR | register::RTCLR);
        if compares_anew && words[TIME] == words[MATCH] {
            words[RAW] = BIT;
        }
        drive_the_line(words);
    }

    fn told(words: &Self::Words, register: u64) -> u32 {
        match register {
            register::RTCDR => words[TIME],
            register::RTCMR => words[MATCH],
            register::RTCLR => words[LOADED],
            register::RTCCR => BIT,
            register::RTCIMSC => words[MASK],
            register::RTCRIS => words[RAW],
            register::RTCMIS => words[MASKED],
            register::ID_FIRST.. => {
                let index = (register - register::ID_FIRST) / 4;
                IDENTIFICATION.get(index as usize).copied().unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// The time wraps silently. A match on the way counts, however many seconds pass at once.
    fn seconds(words: &mut Self::Words, seconds: u64) {
        // From one behind the time, so that a match that is equal now is a whole turn away.
        let until_match = words[MATCH].wrapping_sub(words[TIME].wrapping_add(1));
        if u64::from(until_match) < seconds {
            words[RAW] = BIT;
        }
        words[TIME] = words[TIME].wrapping_add(seconds as u32);
        drive_the_line(words);
    }

    fn reset(words: &mut Self::Words, options: &Options) {
        let time = words[TIME];
        *words = Self::new(options);
        words[TIME] = time;
    }

    fn check(options: &Options) -> Result<(), &'static str> {
        match options.get(TIME_OPTION) {
            Some(time) if time > u32::MAX.into() => {
                Err("a pl031 counts until 2106-02-07T06:28:15Z")
            }
            _ => Ok(()),
        }
    }
}

fn drive_the_line(words: &mut [u32; 6]) {
    words[MASKED] = words[RAW] & words[MASK] & BIT;
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u32 = 1_767_225_600;

    fn clock() -> [u32; 6] {
        Pl031::new(&Options([Some(NOW.into()), None, None, None]))
    }

    fn told<const N: usize>(words: &[u32; 6], registers: [u64; N]) -> [u32; N] {
        registers.map(|register| Pl031::told(words, register))
    }

    fn is_interrupting(words: &[u32; 6]) -> bool {
        let line = Pl031::KIND.interrupt.unwrap();
        words[line.word] & line.mask != 0
    }

    #[test]
    fn the_time_begins_where_the_option_says_and_grows_each_second() {
        let mut words = clock();
        assert_eq!(Pl031::told(&words, 0x000), NOW);
        Pl031::seconds(&mut words, 61);
        assert_eq!(Pl031::told(&words, 0x000), NOW + 61);
        assert_eq!(Pl031::told(&Pl031::new(&Options::NONE), 0x000), 0);
    }

    #[test]
    fn a_clock_that_begins_is_enabled_and_the_rest_is_0() {
        let registers = [0x004, 0x008, 0x00c, 0x010, 0x014, 0x018, 0x01c];
        assert_eq!(told(&clock(), registers), [0, 0, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn a_load_sets_the_time_and_is_read_back() {
        let mut words = clock();
        Pl031::write(&mut words, 0x008, 1000);
        Pl031::seconds(&mut words, 5);
        assert_eq!(told(&words, [0x000, 0x008]), [1005, 1000]);
    }

    #[test]
    fn the_clock_cannot_be_stopped() {
        let mut words = clock();
        Pl031::write(&mut words, 0x00c, 0);
        Pl031::seconds(&mut words, 1);
        assert_eq!(told(&words, [0x000, 0x00c]), [NOW + 1, 1]);
    }

    #[test]
    fn an_alarm_comes_at_its_second_and_interrupts_if_it_is_let_through() {
        let mut words = clock();
        Pl031::write(&mut words, 0x004, NOW + 3);
        Pl031::seconds(&mut words, 2);
        assert_eq!(told(&words, [0x014, 0x018]), [0, 0]);
        Pl031::seconds(&mut words, 1);
        assert_eq!(told(&words, [0x014, 0x018]), [1, 0]);
        assert!(!is_interrupting(&words));
        // Only bit 0 exists.
        Pl031::write(&mut words, 0x010, !0);
        assert_eq!(told(&words, [0x010, 0x014, 0x018]), [1, 1, 1]);
        assert!(is_interrupting(&words));
        Pl031::write(&mut words, 0x010, 0);
        assert_eq!(told(&words, [0x010, 0x014, 0x018]), [0, 1, 0]);
        assert!(!is_interrupting(&words));
    }

    #[test]
    fn only_bit_0_clears_an_interrupt_and_it_stays_cleared() {
        let mut words = clock();
        Pl031::write(&mut words, 0x010, 1);
        Pl031::write(&mut words, 0x004, NOW);
        assert!(is_interrupting(&words), "equal at once");
        Pl031::write(&mut words, 0x01c, !1);
        assert_eq!(told(&words, [0x014, 0x018]), [1, 1]);
        Pl031::write(&mut words, 0x01c, 1);
        assert_eq!(told(&words, [0x014, 0x018, 0x01c]), [0, 0, 0]);
        Pl031::seconds(&mut words, 100);
        assert!(!is_interrupting(&words));
    }

    #[test]
    fn a_load_of_the_match_is_a_match() {
        let mut words = clock();
        Pl031::write(&mut words, 0x004, 7);
        assert_eq!(Pl031::told(&words, 0x014), 0);
        Pl031::write(&mut words, 0x008, 7);
        assert_eq!(Pl031::told(&words, 0x014), 1);
    }

    #[test]
    fn a_match_is_seen_although_many_seconds_pass_at_once() {
        for (time, alarm, seconds, is_reached) in [
            (10, 12, 1, 0),
            (10, 12, 2, 1),
            (10, 12, u64::MAX, 1),
            (u32::MAX, 0, 0, 0),
            (u32::MAX, 0, 1, 1),
            (10, 9, (1 << 32) - 2, 0),
            (10, 9, (1 << 32) - 1, 1),
        ] {
            let mut words = clock();
            Pl031::write(&mut words, 0x008, time);
            Pl031::write(&mut words, 0x004, alarm);
            Pl031::seconds(&mut words, seconds);
            let place = (time, alarm, seconds);
            assert_eq!(Pl031::told(&words, 0x014), is_reached, "{place:?}");
        }
    }

    #[test]
    fn a_reset_leaves_the_time_alone() {
        let mut words = clock();
        Pl031::write(&mut words, 0x008, 1000);
        Pl031::write(&mut words, 0x004, 1000);
        Pl031::write(&mut words, 0x010, 1);
        Pl031::reset(&mut words, &Options([Some(NOW.into()), None, None, None]));
        let registers = [0x000, 0x004, 0x008, 0x010, 0x014, 0x018];
        assert_eq!(told(&words, registers), [1000, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn it_identifies_as_a_pl031() {
        let words = clock();
        let id = |first: u64| {
            (0..4).fold(0, |id, index| {
                id | Pl031::told(&words, first + 4 * index) << (8 * index)
            })
        };
        assert_eq!(id(0xfe0) & 0x000f_ffff, 0x0004_1031);
        assert_eq!(id(0xff0), 0xb105_f00d);
    }

    #[test]
    fn a_time_that_it_cannot_count_is_refused() {
        let check = |time| Pl031::check(&Options([Some(time), None, None, None]));
        assert!(check(0xffff_ffff).is_ok());
        assert!(check(0x1_0000_0000).is_err());
        assert!(Pl031::check(&Options::NONE).is_ok());
    }
}
