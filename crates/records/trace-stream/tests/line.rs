//! What comes out of a line that loses, garbles and adds bytes.

use proptest::prelude::*;
use shared_ring::{Identity, OverwritingProducer, RingKind, RingMemory};
use trace_stream::{
    Content, Decoder, Encoder, FRAME_BYTES, Frame, IDENTITY_EVERY, Received, RingIdentity,
    RingSender, SendPosition,
};

fn record(sequence: u64) -> Content {
    let payload = [sequence * 1000, 0xfa00_0000, 0x4008_0000, 7, sequence, 1, 0];
    Content::Record { sequence, payload }
}

/// The frames with these contents, in one piece.
fn line(contents: &[Content]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    let frames = contents
        .iter()
        .map(|content| encoder.encode(3, 1, content).as_bytes().to_vec());
    frames.collect::<Vec<_>>().concat()
}

/// The frames, and how many bytes were none.
fn received(bytes: &[u8]) -> (Vec<Frame>, u64) {
    let mut decoder = Decoder::new();
    let (mut frames, mut other) = (Vec::new(), 0);
    let mut take = |received| match received {
        Some(Received::Frame(frame)) => frames.push(frame),
        Some(Received::Other { len_bytes }) => other += len_bytes,
        None => {}
    };
    for byte in bytes {
        take(decoder.push(*byte));
    }
    take(decoder.finish());
    (frames, other)
}

/// Restated from the layout's description, byte by byte. The checksum is zlib's of the body.
#[test]
fn a_frame_on_the_line_is_as_its_description_says() {
    let payload = [0x0102, 0, 0, 0, 0, 0xff << 56, 0];
    let content = Content::Record {
        sequence: 5,
        payload,
    };
    let frame = Encoder::new().encode(3, 1, &content);
    let bytes = frame.as_bytes();
    assert_eq!((bytes[0], bytes[bytes.len() - 1]), (0, 0));
    assert!(bytes[1..bytes.len() - 1].iter().all(|byte| *byte != 0));
    // The first four bytes of the body are not zero, the number behind them is.
    assert_eq!(bytes[1..6], [5, 3, 2, 3, 1]);
    let mut body = [0; FRAME_BYTES];
    let report = cobs::decode(&bytes[1..bytes.len() - 1], &mut body).unwrap();
    let body = &body[..report.frame_size()];
    let words = [1, 5, 3, 2, 1, 0, 0, 0, 0, 0x80, 0xff, 0];
    assert_eq!(body[..8], [3, 2, 3, 1, 0, 0, 0, 0]);
    assert_eq!(body[8..20], words);
    assert_eq!(body[20..], 0x2860_5353_u32.to_le_bytes());
}

#[test]
fn text_between_frames_is_skipped_and_counted() {
    let mut bytes = line(&[record(1)]);
    bytes.extend(b"[   0.004885] demo| hello\r\n");
    bytes.extend(line(&[record(2)]));
    let (frames, other) = received(&bytes);
    assert_eq!(frames.len(), 2);
    assert_eq!(other, 27);
}

#[test]
fn frames_are_numbered_over_all_rings_and_vms() {
    let mut encoder = Encoder::new();
    let mut bytes = Vec::new();
    for vm in [0, 1, 0] {
        bytes.extend(encoder.encode(3, vm, &record(9)).as_bytes());
    }
    let (frames, _) = received(&bytes);
    let numbers: Vec<_> = frames
        .iter()
        .map(|frame| (frame.number, frame.vm))
        .collect();
    assert_eq!(numbers, [(0, 0), (1, 1), (2, 0)]);
}

/// The trace ring of VM 1, as its producer and its sender name it.
fn identities() -> (Identity, RingIdentity) {
    let identity = Identity {
        kind: RingKind::Trace,
        vm: 1,
        clock_hz: 1000,
        start_ticks: 5,
    };
    let sent = RingIdentity {
        ring: 3,
        vm: 1,
        clock_hz: 1000,
        start_ticks: 5,
    };
    (identity, sent)
}

/// A trace ring and its sender.
fn sender<const SLOTS: usize>() -> (OverwritingProducer<SLOTS>, RingSender<SLOTS>) {
    let ring: &'static RingMemory<SLOTS> = Box::leak(Box::new(RingMemory::new()));
    let (identity, sent) = identities();
    (
        OverwritingProducer::new(ring, identity),
        RingSender::new(ring, sent),
    )
}

#[test]
fn a_ring_is_sent_with_its_identity_first_and_again_every_few_records() {
    let (mut producer, mut sender) = sender::<256>();
    for number in 1..=200 {
        producer.push(&[number; 7]);
    }
    let mut encoder = Encoder::new();
    let mut bytes = Vec::new();
    while let Some(frame) = sender.next_frame(&mut encoder) {
        bytes.extend(frame.as_bytes());
    }
    let (frames, other) = received(&bytes);
    assert_eq!((frames.len(), other), (200 + 4, 0));
    for (place, frame) in frames.iter().enumerate() {
        let is_identity = matches!(
            frame.content,
            Content::Identity {
                clock_hz: 1000,
                start_ticks: 5,
                lost: 0
            }
        );
        assert_eq!(
            is_identity,
            place.is_multiple_of(IDENTITY_EVERY as usize + 1),
            "frame {place}"
        );
        assert_eq!((frame.number as usize, frame.ring, frame.vm), (place, 3, 1));
    }
}

#[test]
fn what_is_overwritten_before_the_line_had_room_is_counted() {
    let (mut producer, mut sender) = sender::<4>();
    let mut encoder = Encoder::new();
    let mut sent = Vec::new();
    for number in 1..=100_u64 {
        producer.push(&[number; 7]);
        // The line has room for a frame now and then.
        if number.is_multiple_of(10)
            && let Some(frame) = sender.next_frame(&mut encoder)
        {
            sent.extend(frame.as_bytes());
        }
    }
    while let Some(frame) = sender.next_frame(&mut encoder) {
        sent.extend(frame.as_bytes());
    }
    let (frames, _) = received(&sent);
    let records: Vec<u64> = frames
        .iter()
        .filter_map(|frame| match frame.content {
            Content::Record { sequence, payload } => {
                assert_eq!(payload, [sequence; 7]);
                Some(sequence)
            }
            Content::Identity { .. } => None,
        })
        .collect();
    assert!(records.is_sorted() && records.ends_with(&[97, 98, 99, 100]));
    assert_eq!(sender.lost() + records.len() as u64, 100);
}

#[test]
fn whoever_goes_on_with_a_line_sends_nothing_twice_and_leaves_no_gap() {
    let ring: &'static RingMemory<256> = Box::leak(Box::new(RingMemory::new()));
    let (identity, sent) = identities();
    let mut producer = OverwritingProducer::new(ring, identity);
    let mut bytes = Vec::new();
    let (mut at, mut frames_sent) = (SendPosition::default(), 0);
    for number in 1..=200 {
        producer.push(&[number; 7]);
        // A new owner of the line for each record.
        let mut sender = RingSender::resume(ring, sent, at);
        let mut encoder = Encoder::resume(frames_sent);
        while let Some(frame) = sender.next_frame(&mut encoder) {
            bytes.extend(frame.as_bytes());
        }
        (at, frames_sent) = (sender.position(), encoder.sent());
    }
    let (frames, _) = received(&bytes);
    let numbers: Vec<_> = frames.iter().map(|frame| frame.number).collect();
    assert_eq!(numbers, (0..200 + 4).collect::<Vec<_>>());
    let records = frames.iter().filter_map(|frame| match frame.content {
        Content::Record { sequence, .. } => Some(sequence),
        Content::Identity { .. } => None,
    });
    assert!(records.eq(1..=200));
}

#[test]
fn frames_are_numbered_modulo_two_to_the_32() {
    let mut encoder = Encoder::resume(u64::from(u32::MAX));
    let mut bytes = Vec::new();
    for _ in 0..2 {
        bytes.extend(encoder.encode(3, 0, &record(1)).as_bytes());
    }
    let (frames, _) = received(&bytes);
    let numbers: Vec<_> = frames.iter().map(|frame| frame.number).collect();
    assert_eq!(numbers, [u32::MAX, 0]);
}

fn content() -> impl Strategy<Value = Content> {
    let record = any::<(u64, [u64; 7])>()
        .prop_map(|(sequence, payload)| Content::Record { sequence, payload });
    let identity = any::<[u64; 3]>().prop_map(|words| Content::Identity {
        clock_hz: words[0],
        start_ticks: words[1],
        lost: words[2],
    });
    prop_oneof![record, identity]
}

proptest! {
    #[test]
    fn what_is_sent_arrives(contents in prop::collection::vec(content(), 0..20)) {
        let bytes = line(&contents);
        prop_assert!(bytes.len() <= contents.len() * FRAME_BYTES);
        let (frames, other) = received(&bytes);
        let arrived: Vec<_> = frames.iter().map(|frame| frame.content).collect();
        prop_assert_eq!((arrived, other), (contents, 0));
    }

    /// One stretch of the line is garbled, cut out or stuffed with noise: every frame that it
    /// does not touch arrives, and none arrives that was not sent.
    #[test]
    fn damage_costs_only_the_frames_it_touches(
        count in 1u64..30,
        at: prop::sample::Index,
        removed in 0usize..200,
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let sent: Vec<_> = (1..=count).map(record).collect();
        let bytes = line(&sent);
        let start = at.index(bytes.len());
        let end = (start + removed).min(bytes.len());
        let damaged = [&bytes[..start], &noise, &bytes[end..]].concat();
        let (frames, _) = received(&damaged);
        let mut encoder = Encoder::new();
        let mut place = 0;
        let untouched: Vec<_> = sent.iter().filter(|content| {
            let begin = place;
            place += encoder.encode(3, 1, content).as_bytes().len();
            // Two zeroes stand between frames; either of them is enough.
            place <= start || begin >= end
        }).collect();
        let arrived: Vec<_> = frames.iter().map(|frame| &frame.content).collect();
        for content in &untouched {
            prop_assert!(arrived.contains(content), "{content:?} is missing");
        }
        for content in arrived {
            prop_assert!(sent.contains(content), "{content:?} was never sent");
        }
    }

    #[test]
    fn no_bytes_panic_and_none_is_unaccounted_for(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let (frames, other) = received(&bytes);
        let not_zero = bytes.iter().filter(|byte| **byte != 0).count() as u64;
        prop_assert!(other <= not_zero);
        prop_assert!(!frames.is_empty() || other == not_zero);
    }
}
