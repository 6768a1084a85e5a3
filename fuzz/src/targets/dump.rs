//! The readers of memory dumps and of serial captures, with rings that lie and lines that are
//! noise, and what is made of them.

use crate::script::Script;
use shared_ring::{LAYOUT_VERSION, MAGIC, RingKind, SLOT_BYTES, header_word};
use vdev_trace::feed::{feed_memory, feed_serial};
use vdev_trace::input::dump::Memory;
use vdev_trace::input::places::Places;
use vdev_trace::input::source::Segment;
use vdev_trace::output::chrome::Chrome;
use vdev_trace::output::html::Html;
use vdev_trace::output::stats::Stats;
use vdev_trace::output::text::{Layout, Text};
use vdev_trace::records::sink::Sinks;
use vdev_trace::vms::names::Names;
use vdev_trace::whole_dump::{TRACE, rings};

const PAGE_BYTES: usize = 4096;
/// Pages of a dump: two headers and their slots.
const PAGES: usize = 4;

pub(crate) fn run(input: &[u8]) {
    check(input);
    let names = Names::default();
    let text = Text::new(std::io::sink(), &names, Layout::Plain);
    feed_serial(
        input,
        RingKind::Trace,
        &mut Sinks::new(vec![Box::new(text)]),
        |_| {},
    )
    .unwrap();
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
    for ring in rings(dump).into_iter().flatten() {
        let slots = dump.len().saturating_sub(ring.offset + PAGE_BYTES) / SLOT_BYTES;
        assert!(ring.records.len() <= slots);
        // What a dump that is cut off does not hold any more is torn too.
        assert!(ring.records.len() as u64 + ring.torn <= ring.head);
        assert!(ring.records.windows(2).all(|pair| pair[0].0 < pair[1].0));
        if ring.kind == TRACE {
            assert!(ring.records.iter().all(|(number, _)| *number <= ring.head));
        }
    }
    write_everything(dump);
}

/// Every output that needs no folder, in one pass over all rings.
fn write_everything(dump: &[u8]) {
    let len_bytes = dump.len() as u64;
    let whole = Segment {
        offset: 0,
        len_bytes,
        claimed_bytes: len_bytes,
        address: None,
    };
    let memory = Memory::search(&dump, &[whole], &Places::Anywhere, |_| {}).unwrap();
    let names = Names::default();
    let (mut text, mut json) = (Vec::new(), Vec::new());
    feed_memory(
        &memory,
        &mut Sinks::new(vec![
            Box::new(Text::new(&mut text, &names, Layout::Plain)),
            Box::new(Chrome::new(&mut json, &names)),
            Box::new(Html::new(std::io::sink(), &names)),
            Box::new(Stats::new(std::io::sink(), &names)),
        ]),
        |_| {},
    )
    .unwrap();
    let rings = rings(dump).into_iter().flatten();
    // A record's line and one for what is lost before it; at the end what is lost, and sums.
    let most: usize = rings.map(|ring| 2 * ring.records.len() + 2).sum();
    let lines = text.split(|byte| *byte == b'\n').count();
    assert!(lines <= most + 2, "{lines} lines, at most {most}");
    assert!(json.ends_with(b"}\n"));
}
