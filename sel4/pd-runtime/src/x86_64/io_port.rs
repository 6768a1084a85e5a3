//! I/O ports by seL4's invocations, which the kernel carries out for whoever holds the
//! capability. rust-sel4 5.0.0 has only the calls that are generated from the kernel's
//! interface; here is what its other capabilities have on top.
//!
//! Called by the drivers beside this file. Invariant: a port outside the capability's range is
//! an error of the invocation, never an access.
//!
//! Specification: seL4 reference manual, "I/O Ports", `seL4_X86_IOPort`.

/// Where the Microkit puts a protection domain's I/O ports, by their `id`
/// (`BASE_IOPORT_CAP` of its `microkit.h`).
const BASE_IO_PORT_SLOT: usize = 394;

/// The capability's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IOPortType;

impl sel4::CapType for IOPortType {
    const NAME: &'static str = "IOPort";
}

/// A capability to a range of I/O ports.
pub type IOPort = sel4::Cap<IOPortType>;

/// The `ioport` of this protection domain that has this `id` in the system description.
pub fn io_port(id: usize) -> IOPort {
    sel4::Cap::from_bits((BASE_IO_PORT_SLOT + id) as sel4::CPtrBits)
}

/// What the capability can be asked for.
pub trait IOPortInvocations {
    /// Corresponds to `seL4_X86_IOPort_In8`. The error is the kernel's, for a port outside
    /// the capability's range.
    fn ioport_in8(self, port: u16) -> sel4::Result<u8>;
    /// Corresponds to `seL4_X86_IOPort_Out8`. The error is the kernel's, for a port outside
    /// the capability's range.
    fn ioport_out8(self, port: u16, data: u8) -> sel4::Result<()>;
}

impl IOPortInvocations for IOPort {
    fn ioport_in8(self, port: u16) -> sel4::Result<u8> {
        let answer = sel4::with_ipc_buffer_mut(|buffer| {
            let buffer = buffer.inner_mut();
            buffer.seL4_X86_IOPort_In8(self.bits(), port)
        });
        or(answer.error, answer.result)
    }

    fn ioport_out8(self, port: u16, data: u8) -> sel4::Result<()> {
        let error = sel4::with_ipc_buffer_mut(|buffer| {
            let buffer = buffer.inner_mut();
            buffer.seL4_X86_IOPort_Out8(self.bits(), port.into(), data.into())
        });
        or(error, ())
    }
}

fn or<T>(error: sel4::sys::seL4_Error::Type, value: T) -> sel4::Result<T> {
    match sel4::Error::from_sys(error) {
        None => Ok(value),
        Some(error) => Err(error),
    }
}
