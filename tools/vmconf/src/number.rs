//! Numbers of the language: decimal, `0x…`, `0d…`, each with K, M or G (*QNX Hypervisor User's
//! Guide*, "About notation"). Called by the parser for every number.
//!
//! Invariant: a number is taken whole or refused; nothing is cut off or wrapped.

/// Why a word is no number, in the words of a diagnostic's label.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NumberError {
    /// Not a number at all, or one with something wrong in it.
    Malformed(String),
    /// More than 64 bits.
    TooLarge,
}

/// The number that `word` says.
pub(crate) fn parse(word: &str) -> Result<u64, NumberError> {
    let (digits, shift) = match word.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&word[..at], 10),
        Some((at, 'm' | 'M')) => (&word[..at], 20),
        Some((at, 'g' | 'G')) => (&word[..at], 30),
        _ => (word, 0),
    };
    let lower = digits.get(..2).map(str::to_ascii_lowercase);
    let (digits, radix, kind) = match lower.as_deref() {
        Some("0x") => (&digits[2..], 16, "hexadecimal"),
        Some("0d") => (&digits[2..], 10, "decimal"),
        _ => (digits, 10, "decimal"),
    };
    if digits.is_empty() {
        return Err(NumberError::Malformed("there are no digits".into()));
    }
    let mut number = 0_u64;
    for character in digits.chars() {
        let digit = character.to_digit(radix).ok_or_else(|| {
            let shown = character.escape_debug();
            NumberError::Malformed(format!("`{shown}` is not a {kind} digit"))
        })?;
        number = number
            .checked_mul(radix.into())
            .and_then(|number| number.checked_add(digit.into()))
            .ok_or(NumberError::TooLarge)?;
    }
    number.checked_mul(1 << shift).ok_or(NumberError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_notation_of_qnx_is_understood() {
        assert_eq!(parse("16384"), Ok(16384));
        assert_eq!(parse("0d16384"), Ok(16384));
        assert_eq!(parse("0x4000"), Ok(0x4000));
        assert_eq!(parse("0XFA000000"), Ok(0xfa00_0000));
        assert_eq!(parse("4K"), Ok(4096));
        assert_eq!(parse("0x10k"), Ok(16384));
        assert_eq!(parse("2M"), Ok(2 << 20));
        assert_eq!(parse("1g"), Ok(1 << 30));
        assert_eq!(parse("0"), Ok(0));
    }

    #[test]
    fn the_largest_number_fits_and_the_next_does_not() {
        assert_eq!(parse("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(parse("18446744073709551616"), Err(NumberError::TooLarge));
        assert_eq!(parse("0xffffffffffffffff"), Ok(u64::MAX));
        assert_eq!(parse("0x10000000000000000"), Err(NumberError::TooLarge));
        assert_eq!(parse("17179869183G"), Ok(17_179_869_183 << 30));
        assert_eq!(parse("17179869184G"), Err(NumberError::TooLarge));
    }

    #[test]
    fn what_is_not_a_number_is_said() {
        let malformed = |text: &str| Err(NumberError::Malformed(text.into()));
        assert_eq!(parse("-1"), malformed("`-` is not a decimal digit"));
        assert_eq!(parse("0x"), malformed("there are no digits"));
        assert_eq!(parse("M"), malformed("there are no digits"));
        assert_eq!(parse(""), malformed("there are no digits"));
        assert_eq!(parse("12e"), malformed("`e` is not a decimal digit"));
        assert_eq!(parse("0xfg0"), malformed("`g` is not a hexadecimal digit"));
        assert_eq!(parse("2MB"), malformed("`M` is not a decimal digit"));
        assert_eq!(parse("é"), malformed("`é` is not a decimal digit"));
    }
}
