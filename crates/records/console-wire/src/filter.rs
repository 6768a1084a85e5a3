//! What of a guest's bytes a person's terminal may see.
//!
//! Used by the runner, for a terminal only. A terminal obeys what it is sent: it can be told to type something
//! by itself (answers to DA and DSR), to fill the clipboard or change the title (OSC), to print on paper, to
//! load fonts or keys (DCS). So this is a list of what is permitted, and all else is left out, sequences as a whole:
//!
//! ```text
//!   characters    printable ASCII, and other characters as UTF-8, but no control characters (C1 among them)
//!   controls      BEL BS HT LF CR
//!   ESC 7, ESC 8  save the cursor, and go back to it
//!   CSI … final   A to H, a, d, e, f, `, s, u: the cursor moves       m: colours
//!                 J (not 3, the person's own scrollback), K, X: erase  @ L M P: insert and delete
//! ```
//!
//! Invariant: what goes on is a whole character or sequence of that list; whatever a guest begins and does not
//! end hides its own output at most, and that up to the end of the line.
//!
//! Specification: ECMA-48, sections 5.4 (control sequences), 5.6 (control strings), 8.3.

/// Bytes of a control sequence; a longer one is left out.
const SEQUENCE_BYTES: usize = 32;

/// What has begun and not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum In {
    /// Nothing.
    #[default]
    Ground,
    /// A character of several bytes.
    Character,
    /// ESC was last.
    Escape,
    /// ESC and something between 0x20 and 0x2f: whatever ends it is left out.
    Intermediate,
    Sequence,
    /// A control string, which is left out.
    String,
    /// ESC was last in a control string.
    StringEscape,
}

/// See the file's header.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    begun: In,
    /// What has begun.
    bytes: [u8; SEQUENCE_BYTES],
    len: usize,
    /// It is too long to go on.
    is_too_long: bool,
}

impl Filter {
    /// The next byte of a guest; what may be seen goes to `show`, in whole characters and sequences.
    pub fn push(&mut self, byte: u8, mut show: impl FnMut(&[u8])) {
        match (self.begun, byte) {
            (In::Character, 0x80..=0xbf) => self.go_on_with_character(byte, show),
            // A line feed ends whatever there is, and ESC begins anew.
            (_, b'\n') => {
                self.begun = In::Ground;
                show(b"\n");
            }
            (In::String, 0x07 | 0x18 | 0x1a) => self.begun = In::Ground,
            (In::String, 0x1b) => self.begun = In::StringEscape,
            (In::String, _) => {}
            (In::StringEscape, b'\\') => self.begun = In::Ground,
            (_, 0x1b) => self.begin(In::Escape, byte),
            (In::Escape | In::StringEscape, b'[') => self.begin(In::Sequence, b'['),
            (In::Escape | In::StringEscape, b']' | b'P' | b'X' | b'^' | b'_') => {
                self.begun = In::String;
            }
            (In::Escape | In::StringEscape, b'7' | b'8') => {
                self.begun = In::Ground;
                show(&[0x1b, byte]);
            }
            (In::Escape | In::StringEscape | In::Intermediate, 0x20..=0x2f) => {
                self.begun = In::Intermediate;
            }
            (In::Escape | In::StringEscape | In::Intermediate, 0x30..=0x7e) => {
                self.begun = In::Ground;
            }
            (In::Sequence, 0x20..=0x3f) => self.keep(byte),
            (In::Sequence, 0x40..=0x7e) => {
                self.begun = In::Ground;
                self.end_sequence(byte, show);
            }
            _ => self.begin_character(byte, show),
        }
    }

    fn begin(&mut self, what: In, byte: u8) {
        self.begun = what;
        self.len = 0;
        self.is_too_long = false;
        self.keep(byte);
    }

    fn keep(&mut self, byte: u8) {
        match self.bytes.get_mut(self.len) {
            Some(place) => {
                *place = byte;
                self.len += 1;
            }
            None => self.is_too_long = true,
        }
    }

    fn begin_character(&mut self, byte: u8, mut show: impl FnMut(&[u8])) {
        self.begun = In::Ground;
        match byte {
            b' '..=b'~' | 0x07 | 0x08 | b'\t' | b'\r' => show(&[byte]),
            0xc2..=0xf4 => self.begin(In::Character, byte),
            _ => {}
        }
    }

    fn go_on_with_character(&mut self, byte: u8, mut show: impl FnMut(&[u8])) {
        self.keep(byte);
        let bytes = &self.bytes[..self.len];
        match core::str::from_utf8(bytes) {
            Ok(text) => {
                self.begun = In::Ground;
                if !text.contains(char::is_control) {
                    show(bytes);
                }
            }
            // Not there yet.
            Err(error) if error.error_len().is_none() => {}
            Err(_) => self.begun = In::Ground,
        }
    }

    fn end_sequence(&mut self, last: u8, mut show: impl FnMut(&[u8])) {
        // The first is the bracket.
        let parameters = &self.bytes[1..self.len.max(1)];
        let are_plain = parameters
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':'));
        let is_permitted = match last {
            b'A'..=b'H' | b'a' | b'd' | b'e' | b'f' | b'`' | b's' | b'u' | b'm' => true,
            b'K' | b'X' | b'@' | b'L' | b'M' | b'P' => true,
            b'J' => matches!(parameters, b"" | b"0" | b"1" | b"2"),
            _ => false,
        };
        if are_plain && is_permitted && !self.is_too_long && self.len < SEQUENCE_BYTES {
            let mut whole = [0x1b; SEQUENCE_BYTES + 1];
            whole[1..=self.len].copy_from_slice(&self.bytes[..self.len]);
            whole[self.len + 1] = last;
            show(&whole[..self.len + 2]);
        }
    }
}
