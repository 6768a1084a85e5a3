//! The device's word as one access tells it.
//!
//! Used by the outputs that draw the counter. Byte lanes as the device has them: little-endian
//! (`trace_device`).

use guest_access::Direction;
use trace_records::{Flags, Record};

/// The whole word after an access, if the record tells it: a narrow read shows only a part,
/// and one that the device does not support nothing.
pub fn word_after(record: &Record) -> Option<u32> {
    let tag = record.tag;
    if tag.flags().contains(Flags::REFUSED) {
        return None;
    }
    let lane_bits = 8 * (record.address.0 % 4) as u32;
    let bits = 8 * tag.width_bytes() as u32;
    match (tag.direction(), bits) {
        (_, 32) if lane_bits == 0 => Some(record.value),
        (Direction::Write, 8 | 16) if lane_bits + bits <= 32 => {
            let mask = ((1 << bits) - 1) << lane_bits;
            Some(record.old & !mask | record.value << lane_bits & mask)
        }
        _ => None,
    }
}
