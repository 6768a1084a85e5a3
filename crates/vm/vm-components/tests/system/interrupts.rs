//! The VM's GIC, its devices' lines, and its timer.

use crate::fixtures::{device, emit, trace_device};
use crate::machine::{MS, System};
use guest_access::Direction;
use vm_components::{InterruptOutput, Typed, channel};
use vm_config::{Action, Device, Options, Unsupported};

const GICD: u64 = 0x0800_0000;
const GICC: u64 = 0x0801_0000;
const RTC: u64 = 0x0901_0000;
const SECOND_UART: u64 = 0x0902_0000;
/// EC of a trapped WFI.
const WFI: u64 = 0x01 << 26;

/// GICC_IAR, GICC_EOIR.
const IAR: u64 = GICC + 0xc;
const EOIR: u64 = GICC + 0x10;
/// RTCDR, RTCMR, RTCIMSC, RTCICR.
const TIME: u64 = RTC;
const MATCH: u64 = RTC + 4;
const MASK: u64 = RTC + 0x10;
const CLEAR: u64 = RTC + 0x1c;

fn rtc(line: Option<u64>) -> Device<'static> {
    let mut options = Options::NONE;
    // `time`, `intr`.
    options.0[1] = line;
    Device {
        options,
        emit: emit(false, Some(3)),
        ..device("pl031", RTC)
    }
}

/// A VM whose clock has this line, and whose GIC lets 27 and 34 through.
fn system(line: Option<u64>) -> System {
    let mut system = System::with(
        &[trace_device(false, None), rtc(line)],
        Unsupported::default(),
    );
    system.store(GICD, 1);
    system.store(GICD + 0x100, 1 << 27);
    system.store(GICD + 0x104, u32::MAX);
    system.store(GICC + 4, 0xff);
    system.store(GICC, 1);
    system
}

impl System {
    fn is_interrupted(&self) -> bool {
        assert!(!self.platform.signals.fiq);
        self.platform.signals.irq
    }

    /// The clock's match is its next second.
    fn set_alarm(&mut self) {
        let time = self.load(TIME);
        self.store(MATCH, time + 1);
        self.store(MASK, 1);
    }
}

#[test]
fn a_vm_has_a_gic_by_itself_and_nobody_is_told_of_its_accesses() {
    let mut system = System::new();
    assert_eq!(system.load(GICD + 4), 3);
    assert_eq!(system.load(IAR), 1023);
    assert!(system.access(GICD + 0x403, 0, 1, 2));
    system.power_off();
    assert_eq!(system.lines("0 outside a device").len(), 1);
    assert_eq!(system.traced().len(), 0);
}

#[test]
fn an_access_that_no_gic_has_is_one_to_nothing() {
    let mut system = System::with(&[], Unsupported::default());
    assert!(system.access(GICD + 0x400, 1, 0, 1));
    assert_eq!(system.platform.gprs[1], 0xffff);
    system.power_off();
    assert_eq!(system.lines("1 outside a device").len(), 1);
    let unsupported = Unsupported {
        reference: Action::Fail,
        ..Unsupported::default()
    };
    let mut system = System::with(&[], unsupported);
    system.access(GICC, 3, 1, 2);
    let wanted = crate::machine::external_abort(Direction::Write, GICC);
    assert_eq!(system.platform.injected, [wanted]);
}

#[test]
fn an_alarm_interrupts_within_a_wake_up_and_ends_with_its_cause() {
    let mut system = system(Some(34));
    system.set_alarm();
    assert!(!system.is_interrupted());
    system.pass(1010 * MS);
    assert!(system.is_interrupted());
    assert_eq!(system.load(IAR), 34);
    assert!(!system.is_interrupted());
    // High still at its end: once more.
    system.store(EOIR, 34);
    assert!(system.is_interrupted());
    assert_eq!(system.load(IAR), 34);
    // The clear is on its way when the interrupt ends, and has arrived before it does.
    system.store(CLEAR, 1);
    system.store(EOIR, 34);
    assert!(!system.is_interrupted());
    assert_eq!(system.load(IAR), 1023);
}

#[test]
fn what_is_typed_interrupts_until_it_is_read() {
    // `intr`.
    let uart = Device {
        name: "second",
        options: Options([Some(33), None, None, None]),
        ..device("pl011", SECOND_UART)
    };
    let mut system = System::with(&[uart], Unsupported::default());
    system.store(GICD, 1);
    system.store(GICD + 0x104, u32::MAX);
    system.store(GICC + 4, 0xff);
    system.store(GICC, 1);
    // UARTCR: UARTEN, TXE, RXE. UARTIMSC: RXIM, RTIM.
    system.store(SECOND_UART + 0x30, 0x301);
    system.store(SECOND_UART + 0x38, 0x50);
    assert!(!system.is_interrupted());
    assert_eq!(system.type_in(b"a"), Typed::All);
    assert!(system.is_interrupted());
    assert_eq!(system.load(IAR), 33);
    assert_eq!(system.load(SECOND_UART), u32::from(b'a'));
    system.store(EOIR, 33);
    assert!(!system.is_interrupted());
    assert_eq!(system.load(IAR), 1023);
}

#[test]
fn a_device_without_a_line_interrupts_nobody() {
    let mut system = system(None);
    system.set_alarm();
    system.pass(1100 * MS);
    assert_eq!(system.load(RTC + 0x18), 1);
    assert!(!system.is_interrupted());
    assert_eq!(system.load(GICD + 0x204), 0);
}

#[test]
fn a_device_domain_that_raises_all_lines_raises_those_that_the_configuration_connects() {
    let mut system = system(Some(34));
    system.memory.state.publish_lines(u32::MAX);
    system.run_vmm(channel::vmm::TRACE);
    assert!(system.is_interrupted());
    let pending = [0, 4, 8, 12].map(|word| system.load(GICD + 0x200 + word));
    assert_eq!(pending, [0, 1 << 2, 0, 0]);
}

#[test]
fn an_end_whose_device_does_not_answer_comes_after_three_wake_ups() {
    let mut system = system(Some(34));
    system.set_alarm();
    system.pass(1010 * MS);
    assert_eq!(system.load(IAR), 34);
    system.trace_is = crate::machine::TraceIs::Stopped;
    system.store(CLEAR, 1);
    system.platform.gprs[2] = 34;
    assert!(!system.access(EOIR, 2, 1, 2));
    system.pass(400 * MS);
    assert!(system.platform.running);
    // Nobody has lowered the line.
    assert!(system.is_interrupted());
}

#[test]
fn a_guest_that_waits_is_woken_at_its_timer_s_time() {
    let mut system = system(None);
    let deadline = system.platform.now + 5 * MS;
    system.platform.timer = (1, deadline);
    assert!(!system.exit(WFI, 0));
    assert_eq!(system.platform.wake_at, Some(deadline));
    // Others' signals wake nobody.
    system.run_vmm(channel::vmm::TRACE);
    assert!(!system.platform.running);
    assert_eq!(system.platform.wake_at, Some(deadline));
    system.platform.now = deadline;
    system.run_vmm(channel::vmm::TIMER);
    assert!(system.platform.running && system.is_interrupted());
    assert_eq!(system.load(IAR), 27);
    // It sets its timer anew, to a time that has passed, and ends the interrupt.
    system.platform.timer = (1, 0);
    system.store(EOIR, 27);
    assert!(system.is_interrupted());
    // So it does not wait at all.
    assert!(system.exit(WFI, 0));
    // Masked, it is not due.
    system.platform.timer = (0b11, 0);
    assert_eq!(system.load(IAR), 1023);
    assert!(!system.is_interrupted());
}

#[test]
fn a_timer_whose_interrupt_is_disabled_wakes_nobody() {
    let mut system = system(None);
    system.store(GICD + 0x180, 1 << 27);
    system.platform.timer = (1, system.platform.now + MS);
    assert!(!system.exit(WFI, 0));
    assert_eq!(system.platform.wake_at, None);
    system.pass(100 * MS);
    assert!(system.platform.running);
}

#[test]
fn a_guest_that_can_be_interrupted_may_wait_as_long_as_it_likes() {
    let mut system = system(None);
    for _ in 0..100 {
        assert!(!system.exit(WFI, 0));
        system.pass(100 * MS);
    }
    assert_eq!(system.lines("only waits").len(), 0);
}

#[test]
fn a_reset_resets_the_gic() {
    let mut system = system(Some(34));
    system.set_alarm();
    system.platform.timer = (1, 0);
    system.pass(1010 * MS);
    assert!(system.is_interrupted());
    system.hypercall(0x8400_0009, 0);
    system.pass(100 * MS);
    assert!(!system.is_interrupted());
    assert_eq!(system.load(GICD), 0);
    assert_eq!(system.load(GICD + 0x200), 0);
}

#[test]
fn a_vmm_that_comes_after_another_has_its_gic() {
    let mut system = system(Some(34));
    system.set_alarm();
    system.pass(1010 * MS);
    assert_eq!(system.load(IAR), 34);
    system.platform.signals = InterruptOutput::default();
    system.replace_vmm();
    assert_eq!(system.load(GICC + 0x14), 0);
    system.store(EOIR, 34);
    assert!(system.is_interrupted());
}

#[test]
fn an_end_that_a_dead_vmm_was_told_of_does_not_keep_a_list_register_for_ever() {
    let mut system = system(Some(34));
    system.platform.list_registers = vec![None; 4];
    system.platform.timer = (1, system.platform.now);
    system.set_alarm();
    system.pass(1010 * MS);
    let held = |system: &System| {
        let held = system.platform.list_registers.iter().flatten();
        held.copied().collect::<Vec<_>>()
    };
    let mut all = held(&system);
    all.sort_unstable();
    assert_eq!(all, [27, 34]);
    // The guest has ended both; the VMM is told, and dies.
    system.platform.list_registers = vec![None; 4];
    system.replace_vmm();
    let mut again = held(&system);
    again.sort_unstable();
    assert_eq!(again, all);
    // It has ended one of them, and dies before it has done anything about the other.
    let slot = |system: &System, intid| {
        let mut slots = system.platform.list_registers.iter();
        slots.position(|held| *held == Some(intid)).unwrap()
    };
    system.platform.timer = (0, 0);
    let ended = slot(&system, 27);
    system.platform.list_registers[ended] = None;
    system.interrupt_ended(ended);
    assert_eq!(held(&system), [34]);
    system.replace_vmm();
    assert_eq!(held(&system), [34]);
}

#[test]
fn a_vmm_that_comes_while_the_guest_waits_asks_for_the_same_time() {
    let mut system = system(None);
    let deadline = system.platform.now + 5 * MS;
    system.platform.timer = (1, deadline);
    assert!(!system.exit(WFI, 0));
    system.platform.wake_at = None;
    system.replace_vmm();
    assert_eq!(system.platform.wake_at, Some(deadline));
}
