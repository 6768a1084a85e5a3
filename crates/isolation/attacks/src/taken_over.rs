//! A component that behaves until the guest rings, and then attacks.
//!
//! [`TakenOver`] is any component's; [`TakenOverVmm`] also stands between an honest VMM and its
//! rings: the honest component has rings of its own, out of which this passes the records on, with
//! a position and numbers of its own. So a forged record costs the honest one nothing, and what
//! follows it is whole again.
//!
//! Called by the hostile images, at each wake-up.

use crate::culprit::Culprit;
use crate::hands::{Hands, Region};
use crate::{By, Doorbell, Ring, find, wanted};
use shared_ring::{Consumer, ConsumerPage, RingKind, RingMemory};
use trace_records::{ACCESS_SLOTS, CONSOLE_SLOTS};
use vm_components::channel;

/// See the file's header.
pub struct TakenOver {
    by: By,
    command_line: &'static str,
    doorbell: Doorbell,
    /// The attack under way, by its place in the guest's list, and its turn.
    under_way: Option<(usize, u32)>,
    kept: u64,
    access: Ring,
    console: Ring,
}

impl TakenOver {
    /// A component of this kind, in a system whose VM 0 has this command line.
    pub const fn new(by: By, command_line: &'static str) -> Self {
        Self {
            by,
            command_line,
            doorbell: Doorbell::new(),
            under_way: None,
            kept: 0,
            access: Ring::new(
                Region::AccessRing.own(),
                Region::AccessReader.own(),
                ACCESS_SLOTS,
            ),
            console: Ring::new(
                Region::ConsoleRing.own(),
                Region::ConsoleReader.own(),
                CONSOLE_SLOTS,
            ),
        }
    }

    /// Looks at the guest's counter, where the component can.
    pub fn look(&mut self, hands: &mut dyn Hands) {
        let first_device = 1;
        let state = hands.load(Region::StatePage.own(), first_device);
        if let Some(place) = self.doorbell.hear(state as u32) {
            self.under_way = Some((place, 0));
        }
        self.go_on(hands);
    }

    /// Looks at a line that the guest printed.
    pub fn read(&mut self, line: &str) {
        let Some((_, name)) = line.split_once("| guest: attack ") else {
            return;
        };
        let mut names = wanted(self.command_line);
        if let Some(place) = names.position(|other| other == name.trim_end()) {
            self.under_way = Some((place, 0));
        }
    }

    /// Whether no attack is under way.
    pub fn is_honest(&self) -> bool {
        self.under_way.is_none()
    }

    /// The next turn of the attack under way, if there is one.
    pub fn go_on(&mut self, hands: &mut dyn Hands) {
        let Some((place, turn)) = self.under_way.take() else {
            return;
        };
        let attack = wanted(self.command_line).nth(place).and_then(find);
        let Some(attack) = attack.filter(|attack| attack.act.by() == self.by) else {
            return;
        };
        let mut culprit = Culprit {
            hands,
            access: &mut self.access,
            console: &mut self.console,
            turn,
            kept: &mut self.kept,
            goes_on: false,
        };
        attack.act.perform(&mut culprit);
        if culprit.goes_on {
            self.under_way = Some((place, turn + 1));
        }
    }
}

/// See the file's header.
pub struct TakenOverVmm {
    it: TakenOver,
    accesses: Consumer<ACCESS_SLOTS>,
    texts: Consumer<CONSOLE_SLOTS>,
}

/// The memory between an honest VMM and whoever has taken it over. It does not outlive them, so nothing that
/// the honest one keeps for the next may either.
pub struct Between {
    /// The honest VMM's access ring.
    pub access: RingMemory<ACCESS_SLOTS>,
    /// How far that has been passed on.
    pub access_reader: ConsumerPage,
    /// Its console ring.
    pub console: RingMemory<CONSOLE_SLOTS>,
    /// How far that has been passed on.
    pub console_reader: ConsumerPage,
}

impl Between {
    /// Empty rings, for a `static`.
    pub const fn new() -> Self {
        Self {
            access: RingMemory::new(),
            access_reader: ConsumerPage::new(),
            console: RingMemory::new(),
            console_reader: ConsumerPage::new(),
        }
    }
}

impl Default for Between {
    fn default() -> Self {
        Self::new()
    }
}

impl TakenOverVmm {
    /// The VMM of VM 0, which has this command line. The honest VMM gets the rings of `between`
    /// in place of those that `hands` reach.
    pub fn new(
        command_line: &'static str,
        between: &'static Between,
        hands: &mut dyn Hands,
    ) -> Self {
        let mut it = TakenOver::new(By::Vmm, command_line);
        it.access = it.access.after_another(hands);
        it.console = it.console.after_another(hands);
        it.access.publish(RingKind::Access, hands);
        it.console.publish(RingKind::Console, hands);
        Self {
            it,
            accesses: Consumer::new(&between.access, &between.access_reader, RingKind::Access),
            texts: Consumer::new(&between.console, &between.console_reader, RingKind::Console),
        }
    }

    /// After a turn of the honest VMM: passes on what that has written, and attacks if it is
    /// time. While an attack is under way nothing is passed on.
    pub fn look(&mut self, hands: &mut dyn Hands) {
        if self.it.is_honest() {
            self.pass_on(hands);
        }
        self.it.look(hands);
    }

    fn pass_on(&mut self, hands: &mut dyn Hands) {
        let mut passed = false;
        while self.it.access.has_room(hands)
            && let Some(item) = self.accesses.pop()
        {
            passed |= self.it.access.push(&item.payload, hands);
        }
        if passed {
            hands.notify(channel::vmm::TRACE);
        }
        let mut passed = false;
        while self.it.console.has_room(hands)
            && let Some(item) = self.texts.pop()
        {
            passed |= self.it.console.push(&item.payload, hands);
        }
        if passed {
            hands.notify(channel::vmm::CONSOLE);
        }
    }
}
