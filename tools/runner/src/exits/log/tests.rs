use super::*;

/// The unikernel's guest has its first instruction, is interrupted before it, reads ID_AA64PFR0_EL1 and writes to a
/// mapped device. QEMU 7.2.
const ON_THE_UNIKERNEL: &str = "\
executed 25781694
executed 25854694
Exception return from AArch64 EL2 to AArch64 EL1 PC 0x40000000
Taking exception 5 [IRQ] on CPU 0
...from EL1 to EL2
...with ESR 0x0/0x3880000
...with ELR 0x40000000
...to EL2 PC 0x40100c80 PSTATE 0x3c9
executed 25854695
gicv3_icc_iar1_read GICv3 ICC_IAR1 read cpu 0x0 value 0x1a
gicv3_icc_iar1_read GICv3 ICC_IAR1 read cpu 0x0 value 0x3ff
executed 25854846
executed 25856682
Exception return from AArch64 EL2 to AArch64 EL1 PC 0x40000000
executed 25856728
Exception return from AArch64 EL1 to AArch64 EL1 PC 0x41398d24
Taking exception 1 [Undefined Instruction] on CPU 0
...from EL1 to EL2
...with ESR 0x18/0x62300029
...with ELR 0x40bd2860
...to EL2 PC 0x40100c00 PSTATE 0x3c9
executed 25861154
executed 25861278
Exception return from AArch64 EL2 to AArch64 EL1 PC 0x40bd2864
";

/// seL4's guest writes a character to its UART: the VMM has it from the kernel, and calls the kernel twice. QEMU 7.2.
const ON_SEL4: &str = "\
executed 1275566000
Exception return from AArch64 EL2 to AArch64 EL1 PC 0xffff8000088030bc
Taking exception 4 [Data Abort] on CPU 0
...from EL1 to EL2
...with ESR 0x24/0x93560046
...with FAR 0xffff800009ac5000
...with ELR 0xffff8000088043dc
...to EL2 PC 0x8060010400 PSTATE 0x3c9
executed 1275566907
executed 1275567238
executed 1275567673
Exception return from AArch64 EL2 to AArch64 EL0 PC 0x21e998
Taking exception 2 [SVC] on CPU 0
...from EL0 to EL2
...with ESR 0x15/0x56000000
...with ELR 0x221a80
...to EL2 PC 0x8060010400 PSTATE 0x3c9
executed 1275567799
executed 1275568564
Exception return from AArch64 EL2 to AArch64 EL0 PC 0x221a80
executed 1275568936
Taking exception 5 [IRQ] on CPU 0
...from EL0 to EL2
...with ESR 0x15/0x56000000
...with ELR 0x21fb48
...to EL2 PC 0x8060010480 PSTATE 0x3c9
executed 1275568950
gic_acknowledge_irq cpu 0 acknowledged irq 26
pl011_write addr 0x00000000 value 0x0000002f
pl011_write addr 0x00000030 value 0x00000301
executed 1275569000
Exception return from AArch64 EL2 to AArch64 EL1 PC 0xffff8000088043e0
";

/// A guest's program is interrupted, and goes on; the interrupt is the guest's own timer's.
const OF_A_PROGRAM: &str = "\
executed 100
Exception return from AArch64 EL2 to AArch64 EL1 PC 0x40000000
executed 150
Exception return from AArch64 EL1 to AArch64 EL0 PC 0x4005d0
Taking exception 5 [IRQ] on CPU 0
...from EL0 to EL2
...with ESR 0x15/0x56000000
...with ELR 0x4005f4
...to EL2 PC 0x8060010480 PSTATE 0x3c9
executed 200
gic_acknowledge_irq cpu 0 acknowledged irq 27
executed 210
Exception return from AArch64 EL2 to AArch64 EL0 PC 0x21e998
Taking exception 2 [SVC] on CPU 0
...from EL0 to EL2
...with ESR 0x15/0x56000000
...with ELR 0x221a80
...to EL2 PC 0x8060010400 PSTATE 0x3c9
executed 217
executed 230
Exception return from AArch64 EL2 to AArch64 EL0 PC 0x4005f4
Taking exception 2 [SVC] on CPU 0
...from EL0 to EL1
...with ESR 0x15/0x56000000
...with ELR 0x400600
...to EL1 PC 0xffff800008010c00 PSTATE 0x3c5
";

#[test]
fn an_exit_lasts_from_the_vector_to_the_return_to_the_guest() {
    let log = read(ON_THE_UNIKERNEL).unwrap();
    let interrupt = Exit {
        cause: Cause::Interrupt(Some(26)),
        guest: 1,
        at_el2: 25_856_682 - 25_854_695,
        domains: 0,
    };
    let register = Exit {
        cause: Cause::Instruction {
            syndrome: 0x6230_0029,
            address: None,
        },
        guest: 25_861_154 - 25_856_682,
        at_el2: 124,
        domains: 0,
    };
    assert_eq!(log.before, 25_854_694);
    assert_eq!(log.exits, [interrupt, register]);
}

#[test]
fn what_protection_domains_execute_is_told_apart_and_their_exceptions_are_no_exits() {
    let log = read(ON_SEL4).unwrap();
    let write = Exit {
        cause: Cause::Instruction {
            syndrome: 0x9356_0046,
            address: Some(0xffff_8000_09ac_5000),
        },
        guest: 907,
        at_el2: 766 + 765 + 50,
        domains: 126 + 386,
    };
    assert_eq!(log.exits, [write]);
    assert_eq!(log.exits[0].instructions(), 1_275_569_000 - 1_275_566_907);
}

#[test]
fn what_the_uart_sends_stands_among_the_exits() {
    // Of its other registers nothing.
    let log = read(ON_SEL4).unwrap();
    assert_eq!(log.printed, [(b'/', 1)]);
}

#[test]
fn a_guest_s_program_goes_on_where_it_was_left() {
    let log = read(OF_A_PROGRAM).unwrap();
    let interrupt = Exit {
        cause: Cause::Interrupt(Some(27)),
        guest: 100,
        at_el2: 10 + 13,
        domains: 7,
    };
    assert_eq!(log.exits, [interrupt]);
}

#[test]
fn a_log_that_contradicts_itself_is_refused() {
    // Not to where the guest's program was left, so it is a domain that is at EL1.
    let elsewhere = "EL0 PC 0x4005f4";
    assert_eq!(OF_A_PROGRAM.matches(elsewhere).count(), 1);
    let text = OF_A_PROGRAM.replace(elsewhere, "EL0 PC 0x4005f0");
    assert_eq!(read(&text), Err(Contradiction::DomainAtEl1 { line: 26 }));
    // A guest's program calls the kernel.
    let text = OF_A_PROGRAM.replace("EL0 to EL1\n", "EL0 to EL2\n");
    assert_eq!(
        read(&text),
        Err(Contradiction::GuestCallsKernel { line: 26 })
    );
}

#[test]
fn a_log_without_counts_or_that_counts_back_is_refused() {
    let uncounted = |line: &&str| !line.starts_with("executed");
    let lines = ON_THE_UNIKERNEL.split_inclusive('\n').filter(uncounted);
    let text: String = lines.collect();
    assert_eq!(read(&text), Err(Contradiction::NoCount { line: 9 }));
    let back = ON_THE_UNIKERNEL.replace("executed 25856682", "executed 25854845");
    assert_eq!(read(&back), Err(Contradiction::CountsBack { line: 13 }));
}

#[test]
fn a_line_that_is_cut_changes_nothing_before_it() {
    // The machine is ended while QEMU writes.
    let whole = read(ON_THE_UNIKERNEL).unwrap();
    for cut in 0..ON_THE_UNIKERNEL.len() {
        let log = read(&ON_THE_UNIKERNEL[..cut]).unwrap();
        assert!(whole.exits.starts_with(&log.exits), "{cut}");
    }
}
