//! The virtual devices, a file each, and the list of them.
//!
//! A new device is a file here and two lines in this one, its `pub mod` and a line in the list
//! (`docs/your-own-vdev.md`); everything else, from the configuration's words to the host tools, works from
//! the list. A device knows no bus, no ring and no
//! clock. Invariants: nothing that a guest or a VMM asks of a device panics; each function of a device is
//! called by a `match`, which a compiler looks through, so a program has what it uses of each device and
//! no more.
#![no_std]
#![forbid(unsafe_code)]

pub mod adder;
pub mod fifo_tester;
pub mod mc146818;
pub mod pl011;
pub mod pl031;
pub mod ser8250;
pub mod trace;

use vdev_model::called;
use vdev_model::{AnyInVmm, AnyVdev, InVmm, Isolated, Kind, Lane, Options, Register, Transmitter};

/// Makes the enums of the list: [`Vdev`], any device of it, and [`Local`], any that its VMM has, with its
/// state. `@` is a call of an isolated device's function, by the device; the last word is what others give.
#[rustfmt::skip]
macro_rules! devices {
    (@ $vdev:ident $f:ident $args:tt $($I:ident $i:ty),+; $none:expr) => {
        match $vdev { $(Self::$I => called::$f::<$i> $args,)+ _ => $none }
    };
    (isolated { $($I:ident = $i:ty,)+ } in_vmm { $($L:ident = $l:ty,)+ }) => {
        #[doc = "Any device of the list."] #[allow(missing_docs)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)] pub enum Vdev { $($I,)+ $($L,)+ }
        #[doc = "Any device that stays inside its VMM, with its state."] #[allow(missing_docs)]
        #[derive(Debug, Clone, Copy)] pub enum Local { $($L($l),)+ }
        impl AnyVdev for Vdev {
            type Local = Local;
            const ALL: &[Self] = &[$(Self::$I,)+ $(Self::$L,)+];
            fn kind(self) -> &'static Kind { match self { $(Self::$I => &<$i>::KIND,)+ $(Self::$L => &<$l>::KIND,)+ } }
            fn local(self) -> Option<Local> { match self { $(Self::$L => Some(Local::$L(<$l>::default())),)+ _ => None } }
            fn word_count(self) -> usize { devices!(@ self word_count () $($I $i),+; 0) }
            fn check(self, o: &Options) -> Result<(), &'static str> { devices!(@ self check (o) $($I $i),+; Ok(())) }
            fn begin(self, w: &mut [u32], o: &Options) { devices!(@ self new (w, o) $($I $i),+; ()) }
            #[inline(always)] fn told(self, w: &[u32], r: u64) -> u32 { devices!(@ self told (w, r) $($I $i),+; 0) }
            #[inline(always)] fn write(self, w: &mut [u32], r: &Register, l: Lane, v: u32) -> (u32, u32) { devices!(@ self write (w, r, l, v) $($I $i),+; (0, v)) }
            fn asked(self, w: &mut [u32], r: u64) -> u32 { devices!(@ self asked (w, r) $($I $i),+; 0) }
            fn seconds(self, w: &mut [u32], seconds: u64) { devices!(@ self seconds (w, seconds) $($I $i),+; ()) }
            fn reset(self, w: &mut [u32], o: &Options) { devices!(@ self reset (w, o) $($I $i),+; ()) }
        }
        impl AnyInVmm for Local {
            fn why(self) -> &'static str { match self { $(Self::$L(_) => <$l>::WHY,)+ } }
            fn read(&mut self, o: u64, t: Transmitter) -> u32 { match self { $(Self::$L(it) => it.read(o, t),)+ } }
            fn write(&mut self, o: u64, v: u32) -> Option<u8> { match self { $(Self::$L(it) => it.write(o, v),)+ } }
            fn sent(&mut self, t: Transmitter) { match self { $(Self::$L(it) => it.sent(t),)+ } }
            fn receives(self) -> bool { match self { $(Self::$L(_) => <$l>::RECEIVES,)+ } }
            fn room(&self) -> usize { match self { $(Self::$L(it) => it.room(),)+ } }
            fn receive(&mut self, c: u8) { match self { $(Self::$L(it) => it.receive(c),)+ } }
            fn line(&self) -> bool { match self { $(Self::$L(it) => it.line(),)+ } }
        }
    };
}

devices! {
    isolated {
        Trace = trace::Trace,
        Adder = adder::Adder,
        FifoTester = fifo_tester::FifoTester,
        Mc146818 = mc146818::Mc146818,
        Pl031 = pl031::Pl031,
    }
    in_vmm {
        Pl011 = pl011::Pl011,
        Ser8250 = ser8250::Ser8250,
    }
}

#[cfg(test)]
mod tests;
