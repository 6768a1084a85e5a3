//! The records of a console ring: what the guest prints, and what its VMM has to say; and, in the
//! ring of whoever watches over the components, what becomes of the run.
//!
//! ```text
//! word  text                               notice
//! 0–4   40 characters, first byte lowest   0: time in ticks, 1: number, 2: address,
//!                                          3: guest PC
//!  5    tag                                tag, with the address's space
//!  6    time in ticks « 8 │ length         which notice
//! ```
//!
//! A verdict has its number in word 1. The death of a VMM has its VM's number in word 1.

use crate::{Address, EndReason, Kind, TAG_WORD, Tag, Verdict};
use shared_ring::Payload;

/// Characters that one record holds.
pub const TEXT_BYTES: usize = 40;

/// Characters of the guest's console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// When, in ticks (56 bits of them).
    pub time: u64,
    bytes: [u8; TEXT_BYTES],
    len: u8,
}

impl Text {
    /// The first [`TEXT_BYTES`] characters of `text`.
    pub fn new(time: u64, text: &[u8]) -> Self {
        let len = text.len().min(TEXT_BYTES);
        let mut bytes = [0; TEXT_BYTES];
        bytes[..len].copy_from_slice(&text[..len]);
        Self {
            time,
            bytes,
            len: len as u8,
        }
    }

    /// The characters.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// What a VMM reports on its own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The trace component does not answer any more (severity error).
    TraceGone,
    /// It answers again; `number` accesses went unrecorded meanwhile (severity info).
    TraceBack,
    /// The guest printed faster than the console takes it: `number` characters are lost
    /// (severity warn).
    TextLost,
    /// The guest was given `number` exceptions for what is not supported (severity warn).
    Refused,
    /// The guest has done nothing for `number` seconds but wait for interrupts (severity warn).
    Idle,
    /// The other ends of its rings said `number` times that they have read or written what cannot be
    /// (severity error).
    ReadersLie,
    /// The VM has ended, told here because the trace component cannot.
    Ended(EndReason),
}

/// A record of a console ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleRecord {
    /// The guest's characters.
    Text(Text),
    /// A message of the VMM.
    Notice {
        /// When, in ticks.
        time: u64,
        /// Which message.
        notice: Notice,
        /// How many, where the message counts something.
        number: u64,
        /// The address it is about, or the exception class.
        address: Address,
        /// The guest's program counter.
        pc: u64,
    },
    /// How the run went. Never said by a VMM.
    Verdict(Verdict),
    /// The VMM of a VM has died. Never said by a VMM.
    VmDied {
        /// When, in ticks.
        time: u64,
        /// The VM's number.
        vm: u8,
    },
}

const ENDED: u64 = 0x100;

impl ConsoleRecord {
    /// The record as it stands in a slot.
    pub fn to_words(self) -> Payload {
        match self {
            Self::Text(text) => {
                let mut words = [0; 7];
                for (word, chunk) in words.iter_mut().zip(text.bytes.as_chunks::<8>().0) {
                    *word = u64::from_le_bytes(*chunk);
                }
                words[TAG_WORD] = Tag::new(Kind::Text).0;
                words[6] = text.time << 8 | u64::from(text.len);
                words
            }
            Self::Notice {
                time,
                notice,
                number,
                address,
                pc,
            } => {
                let which = match notice {
                    Notice::TraceGone => 1,
                    Notice::TraceBack => 2,
                    Notice::TextLost => 3,
                    Notice::Refused => 4,
                    Notice::Idle => 5,
                    Notice::ReadersLie => 6,
                    Notice::Ended(reason) => ENDED | u64::from(reason.number()),
                };
                let tag = Tag::new(Kind::Notice).with_space(address.space).0;
                [time, number, address.number, pc, 0, tag, which]
            }
            Self::Verdict(verdict) => [0, verdict.number(), 0, 0, 0, Tag::new(Kind::Verdict).0, 0],
            Self::VmDied { time, vm } => {
                [time, u64::from(vm), 0, 0, 0, Tag::new(Kind::VmDied).0, 0]
            }
        }
    }

    /// Reads a slot; `None` if it holds nothing that can be.
    pub fn from_words(words: &Payload) -> Option<Self> {
        match Tag(words[TAG_WORD]).kind()? {
            Kind::Text => {
                let mut bytes = [0; TEXT_BYTES];
                for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
                    *chunk = word.to_le_bytes();
                }
                let len = words[6] as u8;
                let time = words[6] >> 8;
                (usize::from(len) <= TEXT_BYTES).then_some(Self::Text(Text { time, bytes, len }))
            }
            Kind::Notice => {
                let notice = match words[6] {
                    1 => Notice::TraceGone,
                    2 => Notice::TraceBack,
                    3 => Notice::TextLost,
                    4 => Notice::Refused,
                    5 => Notice::Idle,
                    6 => Notice::ReadersLie,
                    which if which & !0xff == ENDED => {
                        Notice::Ended(EndReason::from_number((which & 0xff) as u32)?)
                    }
                    _ => return None,
                };
                let [time, number, address, pc, _, tag, _] = *words;
                let address = Address {
                    space: Tag(tag).space(),
                    number: address,
                };
                address.can_be().then_some(Self::Notice {
                    time,
                    notice,
                    number,
                    address,
                    pc,
                })
            }
            Kind::Verdict => Some(Self::Verdict(Verdict::from_number(words[1])?)),
            Kind::VmDied => Some(Self::VmDied {
                time: words[0],
                vm: u8::try_from(words[1]).ok()?,
            }),
            _ => None,
        }
    }
}
