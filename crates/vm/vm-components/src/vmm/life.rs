//! A VM's start, reset and end.
//!
//! Called at `init`, by the calls, and by whatever ends a VM.
//!
//! Invariant: a reset or the end is told before it happens, as long as there is hope that somebody
//! listens: the record is in the ring and what the guest printed is on its way. A guest that starts again finds
//! its devices reset.

use super::architecture::Architecture;
use super::image::{self, ImageError};
use super::interrupts::InterruptController;
use super::trace_link::PATIENCE;
use super::{Device, Held, Isa, Vmm};
use crate::{Machine, channel};
use trace_records::{Address, EndReason, Kind, Notice, Record, Tag};

impl<A: Isa> Vmm<A> {
    pub(super) fn boot<M: Machine>(&mut self, machine: &mut M)
    where
        A: Architecture<M>,
    {
        let start = image::load(
            self.images,
            &self.config,
            self.clock_hz,
            A::ELF_MACHINE,
            machine,
        );
        let ram = self.config.ram().next();
        let started = start.and_then(|start| {
            let ram = ram.ok_or(ImageError::NoRoomForCommandLine)?;
            A::start(&start, ram, machine)
        });
        let address = match started {
            Ok(()) => return,
            Err(ImageError::OutsideRam(address) | ImageError::NotThere(address)) => address.0,
            Err(ImageError::OtherMachine | ImageError::NoRoomForCommandLine) => 0,
        };
        self.end(EndReason::BadImage, address, 0, machine);
    }

    /// Starts the VM after a reset that was told, once its devices are reset, or there is no hope of that. That
    /// it is told is committed first: what a reset clears cannot be done again from the guest's instruction.
    pub(super) fn start_anew<M: Machine>(&mut self, wakes: u32, machine: &mut M)
    where
        A: Architecture<M>,
    {
        self.held = Some(Held::Start { wakes });
        self.commit(machine);
        self.begin(machine);
        if wakes < PATIENCE && !self.link.is_all_carried_out_or_nobody() {
            self.link.is_wanted = true;
            return;
        }
        self.held = None;
        self.interrupts = A::Interrupts::RESET;
        for device in self.bus.devices_mut() {
            match device {
                Device::Isolated(point) => point.go_on_from(point.sequence, point.recorded()),
                Device::Local(device) => device.reset(),
            }
        }
        machine.clear_ram();
        self.boot(machine);
    }

    /// The VM ends; `about` is the code or the address that belongs to the reason.
    pub(crate) fn end<M: Machine>(
        &mut self,
        reason: EndReason,
        about: impl Into<Address>,
        pc: u64,
        machine: &mut M,
    ) where
        A: Architecture<M>,
    {
        self.tell_refusals(machine);
        let mut record = self.record(Tag::new(Kind::End), about, pc, machine);
        record.value = reason.number();
        self.tell(Kind::End, record, 0, machine);
    }

    /// Tells the trace component of a reset or the end and then acts on it. Waits until the
    /// ring has room and what the guest printed is on its way, as long as there is hope.
    #[cold]
    pub(crate) fn tell<M: Machine>(
        &mut self,
        kind: Kind,
        record: Record,
        wakes: u32,
        machine: &mut M,
    ) where
        A: Architecture<M>,
    {
        machine.hold();
        let flushed = self.console.flush(machine);
        let room = self.link.access.has_room() || {
            self.link.access.announce_wait();
            machine.notify(channel::vmm::TRACE);
            self.link.access.has_room()
        };
        // For the console only the clock wakes us: it takes characters at its own pace.
        if !(room && flushed) && wakes < PATIENCE {
            self.held = Some(Held::Event {
                kind,
                record,
                wakes,
            });
            return;
        }
        self.link.flush_outside(record);
        let told = self.link.append(record).is_ok();
        self.link.is_wanted = true;
        if kind == Kind::Reset {
            return self.start_anew(0, machine);
        }
        self.held = Some(Held::Ended);
        if (self.link.kept.gone || !told)
            && let Some(reason) = EndReason::from_number(record.value)
        {
            self.unheard_end = Some(reason);
            let notice = Notice::Ended(reason);
            self.console
                .notice(notice, 0, record.location(), record.pc, machine);
        }
    }
}
