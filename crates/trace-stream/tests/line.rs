//! What comes out of a line that loses, garbles and adds bytes.

use proptest::prelude::*;
use trace_stream::{Content, Decoder, Encoder, FRAME_BYTES, Frame, Received};

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
    assert_eq!(bytes[1..6], [5, 1, 2, 3, 1]);
    let mut body = [0; FRAME_BYTES];
    let report = cobs::decode(&bytes[1..bytes.len() - 1], &mut body).unwrap();
    let body = &body[..report.frame_size()];
    let words = [1, 5, 3, 2, 1, 0, 0, 0, 0, 0x80, 0xff, 0];
    assert_eq!(body[..8], [1, 2, 3, 1, 0, 0, 0, 0]);
    assert_eq!(body[8..20], words);
    assert_eq!(body[20..], 0xe2ae_25df_u32.to_le_bytes());
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

fn content() -> impl Strategy<Value = Content> {
    let record = any::<(u64, [u64; 7])>()
        .prop_map(|(sequence, payload)| Content::Record { sequence, payload });
    let identity = any::<[u64; 4]>().prop_map(|words| Content::Identity {
        clock_hz: words[0],
        start_ticks: words[1],
        epoch: words[2],
        lost: words[3],
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
