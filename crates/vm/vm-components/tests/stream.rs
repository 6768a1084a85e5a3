//! The console with a trace ring on its serial line: lines and frames share it, nothing is
//! forged, and what does not fit is counted.

mod fixtures;

use fixtures::{StillHost, VmMemory, compiled, contents, leak_mut, only};
use shared_ring::{BoundedProducer, OverwritingProducer};
use trace_records::{
    CONSOLE_SLOTS, ConsoleRecord, EndReason, Kind, LOG_SLOTS, Record, Stamp, TRACE_SLOTS, Text,
};
use trace_stream::{Content, Decoder, Encoder, Received};
use vm_components::{Clock, Console, KeptConsole, Output, Verdict, channel};

const HZ: u64 = 1_000_000;
const CLOCK: Clock = Clock {
    hz: HZ,
    start_ticks: 0,
};

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
    host: StillHost,
    line: Line,
}

fn system() -> System {
    let memory = VmMemory::new();
    let port = (memory.console_port(), compiled(&contents()));
    let mut console = Console::init([port], None, leak_mut(KeptConsole::new()), CLOCK);
    console.stream(0, memory.trace);
    System {
        console,
        trace: memory.trace_producer(CLOCK, 0),
        log: memory.log_producer(CLOCK, 0),
        text: memory.text_producer(CLOCK, 0),
        host: StillHost::at(0),
        line: Line::default(),
    }
}

fn record(kind: Kind, number: u64) -> [u64; 7] {
    let record = fixtures::record(kind);
    Record {
        time: number,
        value: match kind {
            Kind::End => EndReason::PoweredOff.number(),
            _ => 7,
        },
        sequence: number,
        tag: record.tag.stamped(Stamp::new(0, 12)),
        ..record
    }
    .to_words()
}

impl System {
    /// The clock wakes the console, as it does ten times a second.
    fn wake(&mut self) {
        self.host.now += HZ / 10;
        self.console.notified(
            only(channel::console::CLOCK),
            &mut self.host,
            &mut self.line,
        );
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
