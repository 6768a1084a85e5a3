//! Devices at I/O ports, a byte each.
//!
//! For programs that meet such a device, and for the end of one that runs on a bare machine. AMD APM volume
//! 3: IN, OUT.

use core::arch::asm;

/// One port. Holding it means that the VM promised a device there.
#[derive(Debug)]
pub struct Port(u16);

impl Port {
    /// The port that the command line promises.
    pub fn new(port: u16) -> Self {
        Self(port)
    }

    /// The port behind it.
    pub fn next(&self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// IN of a byte.
    pub fn read(&mut self) -> u8 {
        let value;
        // SAFETY: touches no memory.
        unsafe {
            asm!("in al, dx", in("dx") self.0, out("al") value, options(nostack, preserves_flags));
        }
        value
    }

    /// OUT of a byte.
    pub fn write(&mut self, value: u8) {
        // SAFETY: touches no memory; the device is the program's own.
        unsafe {
            asm!("out dx, al", in("dx") self.0, in("al") value, options(nostack, preserves_flags));
        }
    }
}
