//! What the VMM runs on: a vCPU, its RAM and a clock, as plain variables. Called by the VMM; a
//! test sets what it finds and looks at what it left.
//!
//! Invariant: the vCPU's registers are only written while it does not run, as on every platform.

use crate::fixtures::RAM;
use a64_guest::pstate::{ByteOrder, is_aarch32};
use a64_guest::stage1::Regime;
use guest_access::{Gpr, GuestPhysAddr};
use vm_components::{
    A64Machine, Channel, GuestException, Handed, Host, InterruptOutput, Machine, StackPointer,
};

/// Everything a component can ask for, as plain variables.
pub struct Platform {
    pub now: u64,
    pub gprs: [u64; 31],
    pub running: bool,
    pub pc: u64,
    pub injected: Vec<GuestException>,
    pub starts: Vec<u64>,
    pub ram: Vec<u8>,
    pub notified: Vec<Channel>,
    /// SP_EL0 and SP_EL1.
    pub stack_pointers: [u64; 2],
    /// `None` as on a platform that has no way to them.
    pub vectors: Option<[u128; 32]>,
    pub pstate: u64,
    pub sets_aarch32: bool,
    pub stage1: Regime,
    /// FAR_EL2, where the platform tells it.
    pub fault_address: Option<u64>,
    /// What the interrupt inputs are.
    pub signals: InterruptOutput,
    /// CNTV_CTL_EL0 and CNTV_CVAL_EL0; the counter is `now`.
    pub timer: (u64, u64),
    /// What each list register holds; none is there where the guest has the modelled interface.
    pub list_registers: Vec<Option<u8>>,
    /// What the VMM asked for last.
    pub wake_at: Option<u64>,
}

/// EL1 with its own stack pointer, everything masked (D1.4).
pub const EL1H: u64 = 0x3c5;
/// RES1 bits of SCTLR_EL1: MMU off, little-endian.
pub const MMU_OFF: Regime = Regime {
    sctlr: 0x30d0_0800,
    tcr: 0,
    ttbr0: 0,
    ttbr1: 0,
};

impl Host for Platform {
    fn now(&mut self) -> u64 {
        self.now
    }

    fn notify(&mut self, channel: Channel) {
        self.notified.push(channel);
    }
}

impl Machine for Platform {
    fn proceed(&mut self, pc: u64) {
        self.resume(pc, None);
    }

    fn hold(&mut self) {
        self.running = false;
    }

    fn wake_at(&mut self, deadline: Option<u64>) {
        assert!(!self.running, "the vCPU runs");
        self.wake_at = deadline;
    }

    fn read_ram(&mut self, address: GuestPhysAddr, bytes: &mut [u8]) -> bool {
        let Some(place) = self.ram_at(address, bytes.len()) else {
            return false;
        };
        bytes.copy_from_slice(place);
        true
    }

    fn write_ram(&mut self, address: GuestPhysAddr, bytes: &[u8]) -> bool {
        let Some(place) = self.ram_at(address, bytes.len()) else {
            return false;
        };
        place.copy_from_slice(bytes);
        true
    }

    fn clear_ram(&mut self) {
        self.ram.fill(0);
    }
}

impl A64Machine for Platform {
    fn gpr(&mut self, register: Gpr) -> u64 {
        self.gprs[register.number()]
    }

    fn set_gpr(&mut self, register: Gpr, value: u64) {
        assert!(!self.running, "the vCPU runs");
        assert!(self.sets_aarch32 || !is_aarch32(self.pstate));
        self.gprs[register.number()] = value;
    }

    fn stack_pointer(&mut self, which: StackPointer) -> u64 {
        self.stack_pointers[which as usize]
    }

    fn set_stack_pointer(&mut self, which: StackPointer, value: u64) {
        assert!(!self.running, "the vCPU runs");
        self.stack_pointers[which as usize] = value;
    }

    fn vector(&mut self, number: u8) -> Option<u128> {
        Some(self.vectors?[usize::from(number)])
    }

    fn set_vector(&mut self, number: u8, value: u128) {
        assert!(!self.running, "the vCPU runs");
        let vectors = self.vectors.as_mut().expect("there are none");
        vectors[usize::from(number)] = value;
    }

    fn pstate(&mut self) -> u64 {
        self.pstate
    }

    fn set_pstate(&mut self, pstate: u64) {
        assert!(self.sets_aarch32 || !is_aarch32(self.pstate));
        assert_eq!((pstate ^ self.pstate) & 0x1f, 0, "the mode changes");
        self.pstate = pstate;
    }

    fn is_ordinary(&mut self, _: Gpr) -> bool {
        !is_aarch32(self.pstate()) && self.byte_order() == ByteOrder::Little
    }

    fn sets_aarch32(&self) -> bool {
        self.sets_aarch32
    }

    fn byte_order(&mut self) -> ByteOrder {
        ByteOrder::of_data(self.pstate(), self.stage1().sctlr)
    }

    fn stage1(&mut self) -> Regime {
        self.stage1
    }

    fn fault_address(&mut self) -> Option<u64> {
        self.fault_address
    }

    fn resume(&mut self, pc: u64, result: Option<(Gpr, u64)>) {
        assert!(result.is_none() || self.sets_aarch32 || !is_aarch32(self.pstate));
        self.running = true;
        self.pc = pc;
        if let Some((register, value)) = result {
            self.gprs[register.number()] = value;
        }
    }

    fn inject(&mut self, exception: GuestException) {
        self.running = true;
        self.injected.push(exception);
    }

    fn sample_timer(&mut self, _: bool) -> bool {
        self.timer_deadline()
            .is_some_and(|deadline| deadline <= self.now)
    }

    fn timer_deadline(&mut self) -> Option<u64> {
        let (control, compare) = self.timer;
        (control & 0b11 == 1).then_some(compare)
    }

    fn signal(&mut self, output: InterruptOutput) {
        self.signals = output;
    }

    fn list_registers(&self) -> usize {
        self.list_registers.len()
    }

    fn fill_list_register(&mut self, handed: Handed) {
        self.list_registers[handed.slot].get_or_insert(handed.intid);
    }

    fn start(&mut self, entry: u64, _: u64, _: u64) {
        self.timer = (0, 0);
        self.running = true;
        self.starts.push(entry);
    }
}

impl Platform {
    /// A vCPU that waits for its start, at this time.
    pub fn at(now: u64) -> Self {
        Self {
            now,
            gprs: [0; 31],
            running: false,
            pc: 0,
            injected: Vec::new(),
            starts: Vec::new(),
            ram: vec![0; 0x10_0000],
            notified: Vec::new(),
            stack_pointers: [0; 2],
            vectors: Some([0; 32]),
            pstate: EL1H,
            sets_aarch32: true,
            stage1: MMU_OFF,
            fault_address: None,
            signals: InterruptOutput::default(),
            timer: (0, 0),
            wake_at: None,
            list_registers: Vec::new(),
        }
    }

    pub fn ram_at(&mut self, address: GuestPhysAddr, len: usize) -> Option<&mut [u8]> {
        let first = usize::try_from(address.0.checked_sub(RAM)?).ok()?;
        self.ram.get_mut(first..first.checked_add(len)?)
    }
}
