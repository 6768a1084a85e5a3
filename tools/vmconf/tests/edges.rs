//! Where a rule of the language begins or ends: what mutation testing could move without another
//! test's noticing. What the sentences look like is in `diagnostics`.

use vm_config::SeverityMask;
use vmconf::LaidOut;

const VM: &str = "system demo ram 0x40000000,2M load guest-app\n";

fn logger(text: &str) -> SeverityMask {
    vmconf::parse("vm.conf", &format!("{VM}{text}"))
        .unwrap_or_else(|errors| panic!("{errors}"))
        .logger
}

#[test]
fn a_severity_that_two_loggers_have_is_logged() {
    let all = SeverityMask::FATAL | SeverityMask::ERROR | SeverityMask::WARN;
    assert_eq!(
        logger("logger fatal,error stdout logger error,warn stderr"),
        all
    );
    assert_eq!(
        logger("logger fatal,error,warn stdout logger warn stdout"),
        all
    );
    assert_eq!(logger("logger fatal,warn,error,warn stdout"), all);
}

#[test]
fn the_very_first_byte_may_be_what_is_no_utf_8() {
    let error = vmconf::decode("vm.conf", b"\xe9system demo").unwrap_err();
    assert!(error.to_string().contains("vm.conf:1:1"), "{error}");
    let place = error.iter().next().unwrap().place().unwrap();
    // A replacement character stands there.
    assert_eq!((place.start, place.end), (0, 3));
    let error = vmconf::decode("vm.conf", b"system d\xe9mo").unwrap_err();
    let place = error.iter().next().unwrap().place().unwrap();
    assert_eq!((place.start, place.end), (8, 11));
}

#[test]
fn who_has_nothing_to_say_is_empty() {
    let compiled = vmconf::compile("vm.conf", 0, VM, |loads, vm| Ok(LaidOut::unseen(loads, vm)));
    let warnings = compiled
        .unwrap_or_else(|errors| panic!("{errors}"))
        .warnings;
    assert!(warnings.is_empty());
    assert_eq!(warnings.iter().count(), 0);
    let errors = vmconf::parse("vm.conf", "system demo").unwrap_err();
    assert!(!errors.is_empty());
    assert!(errors.iter().count() > 0);
}

#[test]
fn five_letters_with_a_zero_each_are_utf_16_and_four_are_not() {
    let wide = |text: &str, of: fn(u16) -> [u8; 2]| -> Vec<u8> {
        text.encode_utf16().flat_map(of).collect()
    };
    for of in [u16::to_le_bytes, u16::to_be_bytes] {
        assert!(!vmconf::is_utf_16(&wide("ram ", of)));
        assert!(vmconf::is_utf_16(&wide("ram 0", of)));
        // What follows is not looked at.
        assert!(vmconf::is_utf_16(&wide("ram 0\u{3b1}\0", of)));
    }
}

fn told(text: &str) -> String {
    let refused = vmconf::parse("vm.conf", &format!("{VM}{text}"));
    refused.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn a_blank_after_a_backslash_is_passed_over_at_the_end_of_a_line_alone() {
    for text in [
        "cmdline \"a\\ b\"",
        "cmdline \"a\\\tb\"",
        "cmdline \"a\\ b\\\nc\"",
    ] {
        assert!(told(text).contains("has no meaning in a string"), "{text}");
    }
    let of_two_lines = format!("{VM}cmdline \"a=1 \\ \nb=2\"");
    assert!(vmconf::parse("vm.conf", &of_two_lines).is_ok());
}

#[test]
fn one_address_is_what_begins_and_ends_at_the_same_place() {
    let twice = told("vdev trace loc 0xfa000000 vdev trace loc 0xfa000000");
    assert!(twice.contains("have one address"), "{twice}");
    // The beginning of the RAM, which is longer.
    let begins = told("vdev pl011 loc 0x40000000");
    assert!(begins.contains("overlaps"), "{begins}");
    assert!(!begins.contains("have one address"), "{begins}");
}
