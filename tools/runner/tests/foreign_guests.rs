//! Guests that nobody here wrote: Debian's Linux and U-Boot, at their own prompts.
//!
//! `make guests` brings them. Where they cannot be had, each test says by name that it left them out. What takes
//! many minutes is ignored here and run by `make test-all`.

mod platforms;

use platforms::ran::Ran;
use platforms::{BOARDS, configs_of, guests, microkit, root, skip, unikernel};
use regex::Regex;
use runner::{Architecture, Platform, Request, Session, run_followed};
use std::path::PathBuf;
use std::time::Duration;

/// The unikernel, and seL4 in both configurations, if the guests' images are there.
fn platforms(scenario: &str, images: &[&str]) -> Vec<Platform> {
    let unikernel = unikernel(scenario, Architecture::Aarch64);
    let on_sel4 = microkit(scenario, BOARDS[0], &["debug", "release"], &[]);
    let all = unikernel.into_iter().chain(on_sel4);
    all.filter(|platform| {
        let folder = guests(platform);
        let missing = images.iter().find(|image| !folder.join(image).exists());
        if let Some(image) = missing {
            let reason = format!("`make guests` could not bring {image}");
            skip(scenario, &platform.name(), &reason);
        }
        missing.is_none()
    })
    .collect()
}

fn linux(scenario: &str) -> Vec<Platform> {
    platforms(scenario, &["linux", "linux-initrd"])
}

/// Runs VMs with a session on a platform. An instruction takes a nanosecond: a CPU of 1 GHz.
fn typed_at(platform: &Platform, configs: &[PathBuf], name: &str, session: &str) -> Ran {
    let work = tempfile::tempdir().unwrap();
    let request = Request {
        configs,
        images: &guests(platform),
        work: work.path(),
        platform,
        icount: Some(0),
        dump: None,
        blocks: None,
        until: None,
        deadline: Some(Duration::from_secs(1500)),
    };
    let mut session = Session::parse(name, session).unwrap_or_else(|failure| panic!("{failure}"));
    Ran {
        result: run_followed(&request, &mut session),
        platform: platform.name(),
    }
}

/// Runs the scenario's own session, `NAME.session`.
fn session_of(scenario: &str, platform: &Platform) -> Ran {
    let file = root().join(format!("tools/runner/scenarios/{scenario}.session"));
    let session = std::fs::read_to_string(file).unwrap();
    typed_at(platform, &configs_of(scenario), scenario, &session)
}

/// What `pattern` captures in each line where it is found.
fn found(ran: &Ran, pattern: &str) -> Vec<String> {
    let pattern = Regex::new(pattern).unwrap();
    let lines = ran.lines().iter();
    let found = lines.filter_map(|line| Some(pattern.captures(line)?[1].to_owned()));
    found.collect()
}

/// The numbers that a pattern captures, in hexadecimal.
fn numbers(ran: &Ran, pattern: &str) -> Vec<u32> {
    let found = found(ran, pattern);
    let numbers = found
        .iter()
        .map(|text| u32::from_str_radix(text, 16).unwrap());
    numbers.collect()
}

/// The one number that a pattern captures, in decimal.
fn number(ran: &Ran, pattern: &str) -> u64 {
    let found = found(ran, pattern);
    assert_eq!(found.len(), 1, "{}: {pattern}: {found:?}", ran.platform);
    found[0].parse().unwrap()
}

#[test]
fn linux_boots_uses_its_devices_boots_again_and_powers_off() {
    for platform in linux("linux") {
        let ran = session_of("linux", &platform);
        let name = &ran.platform;
        let values = numbers(&ran, r"linux\| 0x([0-9A-F]{8})$");
        let [first, later, written, after, of_the_second_boot] = values[..] else {
            panic!("{name}: {values:x?}");
        };
        assert!(
            (first + 1..=first + 2).contains(&later),
            "{name}: {values:?}"
        );
        assert!((1000..=1001).contains(&written), "{name}: {values:?}");
        assert!(
            (written + 2..=written + 3).contains(&after),
            "{name}: {values:?}"
        );
        // It begins again at 0, and Linux takes some seconds.
        assert!(of_the_second_boot < 60, "{name}: {values:?}");

        assert_eq!(
            found(&ran, r"linux\| accesses: 1000001 in \d+ ms, (\d+) wrong").concat(),
            "0"
        );
        let accesses = number(&ran, r"linux trace0: (\d+) accesses");
        assert_eq!(accesses, 5 + 1 + 1_000_001, "{name}");
        let traced = number(&ran, r"linux trace0: .* (\d+) traced");
        assert_eq!(traced, accesses, "{name}");
        assert_eq!(number(&ran, r"lost: .* (\d+) unrecorded"), 0, "{name}");
        // Linux' driver of the clock has its interrupt, by which it was woken.
        let interrupts = found(&ran, r"linux\| +\d+: +(\d+) GIC-0  34 Level     rtc-pl031");
        assert!(interrupts.concat().parse::<u64>().unwrap() >= 1, "{name}");
        assert_eq!(
            found(&ran, r"(ended: powered off by the guest)").len(),
            1,
            "{name}"
        );
    }
}

#[test]
fn u_boot_is_at_its_prompt_soon_and_boots_again() {
    for platform in platforms("u-boot", &["u-boot"]) {
        let ran = session_of("u-boot", &platform);
        let name = &ran.platform;
        let values = numbers(&ran, r"u-boot\| fa000000: ([0-9a-f]{8})");
        let [_, written, after, of_the_second_boot] = values[..] else {
            panic!("{name}: {values:x?}");
        };
        assert!((0x1000..=0x1001).contains(&written), "{name}: {values:?}");
        assert!(
            (written + 2..=written + 3).contains(&after),
            "{name}: {values:?}"
        );
        assert!(of_the_second_boot < 10, "{name}: {values:?}");
        // Two seconds of it are U-Boot's own, in which somebody could hit a key.
        let prompt = found(&ran, r"^\[ *(\d+\.\d+)\] u-boot> =>");
        let reset = found(&ran, r"^\[ *(\d+\.\d+)\] info  u-boot reset, epoch 1");
        let seconds = |texts: &[String], at: usize| texts[at].parse::<f64>().unwrap();
        let again = prompt
            .iter()
            .position(|text| text.parse::<f64>().unwrap() > seconds(&reset, 0));
        let boots = seconds(&prompt, again.unwrap()) - seconds(&reset, 0);
        assert!(boots < 5.0, "{name}: {boots} s");
        // It reads all of its flash without a trap.
        assert_eq!(number(&ran, r"(\d+) outside a device"), 0, "{name}");
    }
}
