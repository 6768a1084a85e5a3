//! Deaths over a lane: what a VM is charged with, and the record that nobody reads a third time.
//!
//! Invariant: a VM whose records kill costs the others a few restarts, and no record.

use super::{Goes, Lane};
use trace_records::{Kind, Misdeed, Record};

impl Lane {
    /// The one before has died over this VM: over the record at this position, if it was one.
    pub(in crate::trace) fn charge(&mut self, record: Option<u64>, now: u64) {
        let is_too_much = self.at.account.charge(record, now, self.clock_hz);
        if is_too_much && self.is_heard() {
            self.at.conduct.close(Misdeed::Deadly(record));
        }
        self.commit();
    }

    /// Skips a record over which whoever read it has died: nothing comes of it but that it is counted
    /// and told. Its device passes over it, so that the guest does not wait for it. The end of a VM
    /// cannot be skipped, or nobody would hear of it: such a VM's ring is closed.
    #[cold]
    pub(super) fn skip(&mut self, position: u64) -> Goes {
        let Some(item) = self.access.take() else {
            return Goes::Ends;
        };
        let record = Record::from_words(&item.payload);
        let misdeed = Misdeed::Deadly(Some(position));
        match record.tag.kind() {
            Some(Kind::End) => {
                self.at.conduct.close(misdeed);
                return Goes::Ends;
            }
            Some(Kind::Access) => {
                let instance = usize::from(record.tag.instance());
                if let Some(Some(device)) = self.devices.get_mut(instance) {
                    // If its number does not follow, nobody waits for it.
                    let _ = device.pass_over(&record);
                }
            }
            _ => {}
        }
        self.misbehaved(misdeed)
    }
}
