//! What a console has printed of a storm in which domains died: the guest's word, the device's sums, the
//! lines themselves.
//!
//! A console that dies while it prints a line counts it as missing, though all of it may be there, or a
//! part, with another behind it. So a line is counted here if it is whole, wherever it begins, and a line
//! for each of its deaths may be both.

/// See the file's header.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Accesses that the guest made.
    pub made: u64,
    /// Reads that gave what they must not, as the guest says.
    pub wrong: Option<u64>,
    /// Accesses, as the trace component has counted them.
    pub accesses: Option<u64>,
    /// Accesses of which there is no record.
    pub unrecorded: Option<u64>,
    /// Records of accesses for the log, and accesses that it could not be told of.
    pub logged: Option<u64>,
    /// See [`Self::logged`].
    pub not_logged: Option<u64>,
    /// Lines of accesses that were printed.
    pub printed: u64,
    /// Records that were not printed, as the console says at the end.
    pub not_printed: Option<u64>,
    /// Lines of accesses that came after one with the same number, or a later one.
    pub doubled: u64,
    /// How often domains were restarted, as the monitor says.
    pub restarts: u64,
    /// Lines of the monitor over which the console died.
    pub restarts_lost: u64,
}

impl Sums {
    /// Reads the lines of a guest named `storm` that has made so many accesses.
    pub(super) fn read(lines: &[String], made: u64) -> Self {
        let mut sums = Self {
            made,
            ..Self::default()
        };
        let mut last = 0;
        for line in lines {
            sums.wrong = sums.wrong.or(number_behind(line, " wrong reads: "));
            if line.contains(" restarted (") {
                sums.restarts += 1;
            }
            if line.contains("the monitor: ") {
                sums.restarts_lost += number_before(line, " lines lost").unwrap_or(0);
            }
            if line.contains("storm trace0: ") {
                sums.accesses = number_before(line, " accesses = ");
                sums.logged = number_before(line, " logged, ");
            }
            if line.contains("storm: lost: ") {
                sums.not_logged = number_before(line, " not logged");
                sums.not_printed = number_before(line, " not printed");
                sums.unrecorded = number_before(line, " unrecorded");
            }
            if line.contains("storm trace0 cpu0 ")
                && let Some(number) = number_behind(line, " seq ")
            {
                sums.printed += 1;
                sums.doubled += u64::from(number <= last);
                last = number;
            }
        }
        sums
    }
}

/// The number that is the last of a line, behind `text`.
fn number_behind(line: &str, text: &str) -> Option<u64> {
    line.rsplit_once(text)?.1.parse().ok()
}

/// The number that stands in a line before `text`.
fn number_before(line: &str, text: &str) -> Option<u64> {
    let (before, _) = line.split_once(text)?;
    let (_, digits) = before.rsplit_once(|c: char| !c.is_ascii_digit())?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_of_a_storm_is_counted() {
        let lines = [
            "[   0.1] info  storm trace0 cpu0 W4 0xfa000000 = 0 -> 7 pc 0x40081430 seq 1",
            "[   0.2] info  storm trace0 cpu0 R4 0xfa000[   0.3] warn  storm: 21 log lines lost",
            "[   0.4] info  storm trace0 cpu0 R4 0xfa000000 = 7 pc 0x40081430 seq 23",
            "warn pd-trace restarted (1): data abort at 0x0 at pc 0x0, fsr 0x82000006",
            "warn the monitor: 1 lines lost",
            "[   0.4] info  storm trace0 cpu0 R4 0xfa000000 = 7 pc 0x40081430 seq 23",
            "[   0.5] storm| guest: wrong reads: 4",
            "[   0.6] info  storm trace0: 30 accesses = 18 reads + 12 writes + 0 refused; 24 logged, \
             30 traced; counter 7",
            "[   0.6] info  storm: lost: 6 not logged, 15 not printed, 0 overwritten in the trace, \
             2 unrecorded; 0 outside a device, 0 misbehaviour",
        ];
        let wanted = Sums {
            made: 30,
            wrong: Some(4),
            accesses: Some(30),
            unrecorded: Some(2),
            logged: Some(24),
            not_logged: Some(6),
            printed: 3,
            not_printed: Some(15),
            doubled: 1,
            restarts: 1,
            restarts_lost: 1,
        };
        assert_eq!(Sums::read(&lines.map(str::to_owned), 30), wanted);
    }

    #[test]
    fn what_is_not_printed_is_not_there() {
        assert_eq!(Sums::read(&[], 0), Sums::default());
    }
}
