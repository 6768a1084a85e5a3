//! The readers of memory dumps and of serial captures, with rings that lie and lines that are
//! noise, and what is made of them.

use crate::script::Script;
use shared_ring::{LAYOUT_VERSION, MAGIC, RingKind, SLOT_BYTES, header_word};
use std::io;
use vdev_trace::chrome::Chrome;
use vdev_trace::dump::{Memory, TRACE, rings};
use vdev_trace::feed::{Sinks, feed_memory, feed_serial};
use vdev_trace::html::Html;
use vdev_trace::names::Names;
use vdev_trace::source::Segment;
use vdev_trace::text::{Layout, Text};

const PAGE_BYTES: usize = 4096;
/// Pages of a dump: two headers and their slots.
const PAGES: usize = 4;

pub(crate) fn run(input: &[u8]) {
    check(input);
    let names = Names::from_configs(|_| None);
    let fed = feed_serial(input, RingKind::Trace, &mut sinks(&names), |_| {});
    assert!(fed.is_ok(), "nothing here fails to read or to write");
    let mut script = Script::new(input);
    let mut dump = vec![0; PAGES * PAGE_BYTES];
    for page in [0, 2 * PAGE_BYTES] {
        let good = [
            (header_word::MAGIC, MAGIC),
            (header_word::LAYOUT_VERSION, LAYOUT_VERSION),
            (header_word::SLOT_BYTES, SLOT_BYTES as u64),
            (header_word::SLOT_COUNT, 8),
        ];
        for (index, value) in good {
            set_word(&mut dump, page + 8 * index, value);
        }
    }
    while !script.is_over() {
        // A word of the header (of either ring), or of one of the first slots.
        let choice = usize::from(script.byte());
        let page = choice >> 7 << 13;
        let at = match choice & 0x7f {
            index if index < header_word::COUNT => 8 * index,
            index => PAGE_BYTES + 8 * (index - header_word::COUNT),
        };
        set_word(&mut dump, page + at, script.number());
    }
    check(&dump);
}

fn set_word(dump: &mut [u8], at: usize, value: u64) {
    dump[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn check(dump: &[u8]) {
    let whole = Segment {
        offset: 0,
        len_bytes: dump.len() as u64,
        claimed_bytes: dump.len() as u64,
        address: None,
    };
    let Ok(memory) = Memory::search(&dump, &[whole], |_| {}) else {
        panic!("nothing here fails to read");
    };
    for (ring, header) in rings(dump).into_iter().flatten().zip(&memory.rings) {
        let slots = (dump.len() - ring.offset - PAGE_BYTES) / SLOT_BYTES;
        assert!(ring.records.len() <= slots);
        // What is not in the dump counts as torn.
        let read = ring.records.len() as u64 + ring.torn;
        assert!(read <= header.slot_count);
        assert!(ring.records.windows(2).all(|pair| pair[0].0 < pair[1].0));
        // A header that does not fit its slots is told to have been mended.
        if header.notes.is_empty() {
            assert!(read <= ring.head);
            let last = ring.records.last().map_or(0, |(number, _)| *number);
            assert!(ring.kind != TRACE || last <= ring.head);
        }
    }
    let names = Names::from_configs(|_| None);
    let fed = feed_memory(&memory, &mut sinks(&names), |_| {});
    assert!(fed.is_ok(), "nothing here fails to write");
}

/// What is written for people and their tools, to nowhere.
fn sinks(names: &Names) -> Sinks<'_> {
    Sinks(vec![
        Box::new(Text::new(io::sink(), names, Layout::Plain)),
        Box::new(Chrome::new(io::sink(), names)),
        Box::new(Html::new(io::sink(), names)),
    ])
}
