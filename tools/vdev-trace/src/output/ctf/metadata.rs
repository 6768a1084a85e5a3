//! The `metadata` file of a CTF trace: what the bytes of the other files mean, in TSDL
//! (*Common Trace Format*, v1.8.3, section 7 and appendix B).
//!
//! Called when all events are written, since only those that occur are declared. Everything
//! is little-endian and aligned to bytes.

use super::id;
use crate::visible::c_literal;
use shared_ring::RingKind;
use std::fmt::Write;

/// The first word of a packet (section 5.1).
pub const PACKET_MAGIC: u32 = 0xc1fc_1fc1;

/// What is declared for one ring.
pub struct StreamClass {
    /// The number of the ring, which its packets carry.
    pub id: u32,
    /// The VM's number.
    pub vm: u8,
    /// Which ring of the VM.
    pub kind: RingKind,
    /// The VM's name.
    pub vm_name: String,
    /// Frequency of the stamps in hertz.
    pub clock_hz: u64,
    /// The names of the devices, by their number.
    pub devices: Vec<String>,
    /// An access tells the register that it was made to.
    pub has_registers: bool,
    /// An access tells the function that it was made in.
    pub has_functions: bool,
    /// The trace numbers that occur, a bit each.
    pub trace_numbers: [u64; 16],
}

/// Before all events.
const PREAMBLE: &str = "\
typealias integer { size = 8; align = 8; signed = false; } := uint8_t;
typealias integer { size = 16; align = 8; signed = false; } := uint16_t;
typealias integer { size = 32; align = 8; signed = false; } := uint32_t;
typealias integer { size = 64; align = 8; signed = false; } := uint64_t;
typealias integer { size = 64; align = 8; signed = false; base = 16; } := hex64_t;

trace {
\tmajor = 1;
\tminor = 8;
\tbyte_order = le;
\tpacket.header := struct {
\t\tuint32_t magic;
\t\tuint32_t stream_id;
\t\tuint64_t stream_instance_id;
\t};
};
";

const DIRECTION: &str = "enum : uint8_t { \"read\" = 0, \"write\" = 1 } direction; uint8_t width;";

/// Before an address: `trace_records::AddressSpace`.
const SPACE: &str = "enum : uint8_t { \"memory\" = 0, \"port\" = 1 } space;";

/// Who wrote the trace.
const TRACER: &str = "\ttracer_name = \"vdev-trace\";\n";
/// How readers know the file (appendix B).
const FIRST_LINE: &str = "/* CTF 1.8 */\n";

/// Whether a file that begins like this is one of ours.
pub fn is_ours(start: &[u8]) -> bool {
    let start = String::from_utf8_lossy(start);
    start.starts_with(FIRST_LINE) && start.contains(TRACER)
}

/// The whole file.
pub fn text<'a>(classes: impl Iterator<Item = &'a StreamClass> + Clone) -> String {
    let mut text = format!("{FIRST_LINE}\n{PREAMBLE}\n");
    text += "env {\n\tdomain = \"guest\";\n";
    text += TRACER;
    text += "\ttracer_major = 0;\n\ttracer_minor = 1;\n";
    for class in classes.clone() {
        let StreamClass { id, vm, .. } = class;
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "\tstream{id} = {};",
            quoted(&format!(
                "VM {vm}, {}, {:?} ring",
                class.vm_name, class.kind
            ))
        );
    }
    text += "};\n\n";
    for class in classes {
        class.write(&mut text);
    }
    text
}

impl StreamClass {
    fn write(&self, text: &mut String) {
        let Self { id, clock_hz, .. } = self;
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "clock {{\n\tname = clock{id};\n\tdescription = \"Ticks since the system's start\";\n\
             \tfreq = {clock_hz};\n\toffset = 0;\n\tabsolute = false;\n}};\n\n\
             typealias integer {{ size = 64; align = 8; signed = false; \
             map = clock.clock{id}.value; }} := time{id}_t;\n\n\
             stream {{\n\tid = {id};\n\
             \tevent.header := struct {{\n\t\tuint16_t id;\n\t\ttime{id}_t timestamp;\n\t}};\n\
             \tpacket.context := struct {{\n\
             \t\ttime{id}_t timestamp_begin;\n\t\ttime{id}_t timestamp_end;\n\
             \t\tuint64_t content_size;\n\t\tuint64_t packet_size;\n\
             \t\tuint64_t packet_seq_num;\n\t\tuint64_t events_discarded;\n\t}};\n}};\n\n"
        );
        let device = self.device_field();
        let mut access = format!(
            "{device} uint8_t vcpu; {DIRECTION} uint8_t flags; hex64_t address; hex64_t pc; \
             uint32_t value; uint32_t old; uint64_t seq; uint32_t state_seen; uint32_t epoch;"
        );
        if self.has_registers {
            access += " string register;";
        }
        if self.has_functions {
            access += " string function;";
        }
        for number in 0..super::TRACE_NUMBERS {
            if self.trace_numbers[usize::from(number / 64)] & 1 << (number % 64) != 0 {
                self.event(text, number, &format!("trace_{number}"), &access);
            }
        }
        let outside = format!(
            "uint32_t count; {DIRECTION} {SPACE} hex64_t address; hex64_t pc; uint32_t epoch;"
        );
        let device_sums = format!(
            "{device} uint64_t reads; uint64_t writes; uint64_t logged; uint64_t traced; \
             uint32_t counter; uint32_t refused;"
        );
        let internal = [
            (id::ACCESS, "access", access.as_str()),
            (id::OUTSIDE, "outside", &outside),
            (id::RESET, "reset", "uint32_t epoch;"),
            (
                id::END,
                "end",
                &format!("string reason; {SPACE} hex64_t code; hex64_t pc; uint32_t epoch;"),
            ),
            (id::DEVICE_SUMS, "device_sums", &device_sums),
            (
                id::VM_SUMS,
                "vm_sums",
                "uint64_t log_lost; uint64_t trace_overwritten; uint64_t outside; \
                 uint64_t unrecorded; uint32_t misbehaviour;",
            ),
            (
                id::SPAN,
                "span",
                "uint64_t first; uint64_t last; uint64_t recorded;",
            ),
            (id::TEXT, "text", "string text;"),
            (
                id::NOTICE,
                "notice",
                &format!("string notice; uint64_t count; {SPACE} hex64_t address; hex64_t pc;"),
            ),
            (id::UNKNOWN, "unknown", "hex64_t words[7];"),
        ];
        for (number, name, fields) in internal {
            self.event(text, number, name, fields);
        }
        let _ = writeln!(
            text,
            "event {{ name = \"wrong_stamp\"; id = {}; stream_id = {id}; \
             fields := struct {{ uint64_t stamp; }}; }};\n",
            id::WRONG_STAMP
        );
    }

    /// An event, whose last field is the record's number in its ring.
    fn event(&self, text: &mut String, number: u16, name: &str, fields: &str) {
        let _ = writeln!(
            text,
            "event {{ name = \"{name}\"; id = {number}; stream_id = {}; \
             fields := struct {{ {fields} uint64_t record; }}; }};",
            self.id
        );
    }

    fn device_field(&self) -> String {
        if self.devices.is_empty() {
            return "uint8_t device;".into();
        }
        let names = self.devices.iter().enumerate();
        let names: Vec<_> = names
            .map(|(number, name)| format!("{} = {number}", quoted(name)))
            .collect();
        format!("enum : uint8_t {{ {} }} device;", names.join(", "))
    }
}

/// A string literal (appendix C.1: those of C).
fn quoted(text: &str) -> String {
    format!("\"{}\"", c_literal(text))
}
