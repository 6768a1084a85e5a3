//! What a guest reads and writes: a counter that ticks.

use crate::fixtures::{LOC, PC};
use crate::machine::{HZ, MS, System};

#[test]
fn a_read_sees_the_counter_grow_by_one_each_second() {
    let mut system = System::new();
    assert_eq!(system.read(), 0);
    for second in 1..=5 {
        system.pass(HZ);
        assert_eq!(system.read(), second);
    }
    assert_eq!(system.platform.pc, PC + 4);
}

#[test]
fn a_write_is_read_back_at_once_and_ticks_on_in_phase() {
    let mut system = System::new();
    system.pass(1_500 * MS);
    system.write(1000);
    assert_eq!(system.read(), 1000);
    system.pass(480 * MS);
    assert_eq!(system.read(), 1000);
    system.pass(40 * MS);
    assert_eq!(system.read(), 1001);
}

#[test]
fn a_write_just_before_a_tick_is_counted_before_it_though_drained_after() {
    let mut system = System::new();
    system.pass(999 * MS);
    system.write(5000);
    system.pass(11 * MS);
    assert_eq!(system.read(), 5001);
    system.pass(1_000 * MS - 9 * MS);
    assert_eq!(system.read(), 5002);
    system.write(7000);
    system.pass(900 * MS);
    assert_eq!(system.read(), 7000);
}

#[test]
fn the_zero_register_reads_as_zero_and_takes_nothing() {
    let mut system = System::new();
    system.write(9);
    assert!(system.access(LOC, 2, 1, 31));
    assert_eq!(system.read(), 0);
    let before = system.platform.gprs;
    assert!(system.access(LOC, 2, 0, 31));
    assert_eq!(system.platform.gprs, before);
}
