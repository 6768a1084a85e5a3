//! The console with a trace ring on its serial line: lines and frames share it, nothing is
//! forged, and what does not fit is counted.

mod fixtures;

use fixtures::{compiled, contents, leak};
use guest_access::GuestPhysAddr;
use shared_ring::{BoundedProducer, ConsumerPage, OverwritingProducer, RingKind, RingMemory};
use trace_records::{
    CONSOLE_SLOTS, ConsoleRecord, EndReason, Kind, LOG_SLOTS, Record, Stamp, TRACE_SLOTS, Tag, Text,
};
use trace_stream::{Content, Decoder, Encoder, Received};
use vm_components::{
    Channel, ChannelSet, Clock, Console, ConsolePort, Host, Output, Verdict, channel,
};
use vm_config::{Contents, RamRange};

const HZ: u64 = 1_000_000;
const CLOCK: Clock = Clock {
    hz: HZ,
    start_ticks: 0,
};

struct Now(u64);

impl Host for Now {
    fn now(&mut self) -> u64 {
        self.0
    }

    fn notify(&mut self, _: Channel) {}
}

#[derive(Default)]
struct Line(Vec<u8>);

impl Output for Line {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }
}

struct System {
    console: Console,
    trace: OverwritingProducer<TRACE_SLOTS>,
    log: BoundedProducer<LOG_SLOTS>,
    text: BoundedProducer<CONSOLE_SLOTS>,
    now: Now,
    line: Line,
}

fn system() -> System {
    let config = compiled(&Contents {
        ram: &[RamRange {
            base: 0x4000_0000,
            len_bytes: 0x1000,
        }],
        ..contents()
    });
    let (log, log_reader) = (leak(RingMemory::new()), leak(ConsumerPage::new()));
    let (text, text_reader) = (leak(RingMemory::new()), leak(ConsumerPage::new()));
    let trace = leak(RingMemory::new());
    let port = ConsolePort {
        log,
        log_reader,
        text,
        text_reader,
    };
    let mut console = Console::init([(port, config)], None, CLOCK);
    console.stream(0, trace);
    System {
        console,
        trace: OverwritingProducer::new(trace, CLOCK.identity(RingKind::Trace, 0)),
        log: BoundedProducer::new(log, log_reader, CLOCK.identity(RingKind::Log, 0)),
        text: BoundedProducer::new(text, text_reader, CLOCK.identity(RingKind::Console, 0)),
        now: Now(0),
        line: Line::default(),
    }
}

fn record(kind: Kind, number: u64) -> [u64; 7] {
    Record {
        time: number,
        address: GuestPhysAddr(0xfa00_0000),
        pc: 0x4008_0000,
        value: match kind {
            Kind::End => EndReason::PoweredOff.number(),
            _ => 7,
        },
        old: 0,
        sequence: number,
        tag: Tag::new(kind).stamped(Stamp::new(0, 12)),
        state_seen: 0,
        epoch: 0,
    }
    .to_words()
}

impl System {
    /// The clock wakes the console, as it does ten times a second.
    fn wake(&mut self) {
        self.now.0 += HZ / 10;
        let mut set = ChannelSet::EMPTY;
        set.insert(channel::console::CLOCK);
        self.console.notified(set, &mut self.now, &mut self.line);
    }

    /// The records that arrive at the other end of the line, and the rest of it as text.
    fn received(&self) -> (Vec<u64>, String) {
        let mut decoder = Decoder::new();
        let (mut records, mut text, mut chunk) = (Vec::new(), Vec::new(), Vec::new());
        let mut take = |received, chunk: &mut Vec<u8>| {
            match received {
                Some(Received::Frame(frame)) => {
                    if let Content::Record { sequence, payload } = frame.content {
                        assert_eq!(payload, record(Kind::Access, sequence), "forged");
                        records.push(sequence);
                    }
                }
                Some(Received::Other { .. }) => text.append(chunk),
                None => return,
            }
            chunk.clear();
        };
        for byte in &self.line.0 {
            let received = decoder.push(*byte);
            if *byte != 0 {
                chunk.push(*byte);
            }
            take(received, &mut chunk);
        }
        take(decoder.finish(), &mut chunk);
        (records, String::from_utf8(text).unwrap())
    }
}

#[test]
fn lines_and_frames_share_the_line_and_both_arrive_whole() {
    let mut system = system();
    for number in 1..=20 {
        system.trace.push(&record(Kind::Access, number));
        assert!(system.log.push(&record(Kind::Access, number)).is_ok());
    }
    for _ in 0..20 {
        system.wake();
    }
    let (records, text) = system.received();
    assert_eq!(records, (1..=20).collect::<Vec<_>>());
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 20);
    for (line, number) in lines.iter().zip(1..) {
        assert!(line.ends_with(&format!(" seq {number}")), "{line}");
    }
}

#[test]
fn a_storm_leaves_the_line_half_to_frames_and_every_loss_is_counted() {
    const SECONDS: u64 = 60;
    let mut system = system();
    let mut number = 0;
    for _ in 0..10 * SECONDS {
        for _ in 0..200 {
            number += 1;
            system.trace.push(&record(Kind::Access, number));
            let _ = system.log.push_or_lose(&record(Kind::Access, number));
        }
        system.wake();
    }
    // 115200 baud, and what may be printed at once at the start.
    let most = 11_520 * SECONDS + 4096 + 400;
    assert!(
        system.line.0.len() as u64 <= most,
        "{} bytes",
        system.line.0.len()
    );
    let (records, text) = system.received();
    let frames = system.line.0.len() - text.len();
    assert!(frames as u64 > most / 3, "{frames} bytes of frames");
    assert!(
        text.len() as u64 > most / 3,
        "{} bytes of lines",
        text.len()
    );
    assert!(records.is_sorted());
    let overwritten = *records.last().unwrap() - records.len() as u64;
    assert!(overwritten > 0);
    // What was not sent yet is still in the ring.
    assert!(number - records.last().unwrap() <= TRACE_SLOTS as u64);
}

#[test]
fn the_verdict_waits_until_the_trace_is_sent() {
    let mut system = system();
    for number in 1..=1000 {
        system.trace.push(&record(Kind::Access, number));
    }
    assert!(system.log.push(&record(Kind::End, 1)).is_ok());
    system.wake();
    assert_eq!(system.console.verdict(), None, "the line is full of frames");
    let mut wakes = 0;
    while system.console.verdict().is_none() {
        system.wake();
        wakes += 1;
        assert!(wakes < 100, "it never comes");
    }
    assert_eq!(system.console.verdict(), Some(Verdict::Ok));
    assert_eq!(system.received().0, (1..=1000).collect::<Vec<_>>());
}

#[test]
fn a_guest_that_prints_a_frame_forges_none() {
    let mut system = system();
    let content = Content::Record {
        sequence: 9,
        payload: [666; 7],
    };
    let forged = Encoder::new().encode(3, 0, &content);
    for chunk in forged.as_bytes().chunks(40) {
        let text = ConsoleRecord::Text(Text::new(1, chunk));
        assert!(system.text.push(&text.to_words()).is_ok());
    }
    let newline = ConsoleRecord::Text(Text::new(2, b"\n"));
    assert!(system.text.push(&newline.to_words()).is_ok());
    system.trace.push(&record(Kind::Access, 1));
    system.wake();
    let (records, text) = system.received();
    assert_eq!(records, [1]);
    assert!(text.contains("demo| "), "{text}");
}
