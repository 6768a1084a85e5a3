//! Guests that nobody here wrote: Debian's Linux and U-Boot, at their own prompts.
//!
//! `make guests` brings them. Where they cannot be had, each test says by name that it left them out. What takes
//! many minutes is ignored here and run by `make test-all`.

mod platforms;

use attacks::{Attack, By, Leaves, Seen};
use platforms::ran::Ran;
use platforms::{BOARDS, configs_of, guests, instruction_ns_log2, microkit, root, skip, unikernel};
use regex::Regex;
use runner::{
    Architecture, Change, Platform, Request, Session, SystemDescription, Unikernel, run_followed,
};
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

/// Runs VMs with a session on a platform, whose machine takes 2^`icount` ns for an instruction.
fn typed_at(
    platform: &Platform,
    configs: &[PathBuf],
    name: &str,
    session: &str,
    icount: u32,
) -> Ran {
    let work = tempfile::tempdir().unwrap();
    let request = Request {
        configs,
        images: &guests(platform),
        work: work.path(),
        platform,
        icount: Some(icount),
        dump: None,
        counted: None,
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
    // A nanosecond for an instruction: a CPU of 1 GHz.
    typed_at(platform, &configs_of(scenario), scenario, &session, 0)
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
            found(
                &ran,
                r"linux\| accesses: 1000001 in \d+ ms, wrong reads: (\d+)$"
            )
            .concat(),
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

/// What such a CPU has besides is trapped, so Linux must not be told of it: it would use it.
#[test]
fn linux_boots_on_a_cpu_that_has_more_than_its_vm() {
    for platform in linux("linux") {
        let Platform::Unikernel(usual) = platform else {
            continue;
        };
        let cpu = Some("max");
        let platform = Platform::Unikernel(Unikernel { cpu, ..usual });
        let session = "within 100\nexpect linux> / #\nsend cat /proc/cpuinfo; poweroff\\r\n";
        let ran = typed_at(&platform, &configs_of("linux"), "cpuinfo", session, 0);
        let features = found(&ran, r"linux\| Features\s*: (.*)").concat();
        assert!(features.contains("atomics"), "{features}");
        for hidden in ["sve", "paca", "mte", "sme"] {
            assert!(!features.contains(hidden), "{features}");
        }
        assert_eq!(
            found(&ran, "(WARNING:|Oops|BUG:)"),
            [""; 0],
            "{}",
            ran.platform
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

/// A minute of the trace device's seconds beside Linux' own, and then the power is off. VM `number` is typed at.
fn minute(number: u8, name: &str) -> String {
    format!(
        "within 300\nexpect {name}> / #\nsend \\x01{number}\nexpect typed at: VM {number}, {name}\n\
         send ticks 0xfa000000 60\\r\nexpect {name}| ticks: 60 seconds\nsend poweroff\\r\n\
         expect info  {name}: ended: powered off\n"
    )
}

/// Of a Linux that had its minute: it kept time, and no line of it is lost.
fn assert_undisturbed(ran: &Ran, name: &str) {
    let off = number(ran, &format!(r"{name}\| ticks: 60 seconds, (\d+) ms from"));
    assert!(off <= 50, "{}: {off} ms", ran.platform);
    let lost = format!(
        r"info  {name}: (lost: 0 not logged, 0 not printed, 0 .*, 0 unrecorded; 0 outside)"
    );
    assert_eq!(found(ran, &lost).len(), 1, "{}", ran.platform);
    let accesses = number(ran, &format!(r"{name} trace0: (\d+) accesses"));
    assert!(accesses > 1000, "{}: {accesses}", ran.platform);
    let logged = found(ran, &format!(r"info  {name} (trace0) cpu0 R4"));
    assert_eq!(logged.len() as u64, accesses, "{}", ran.platform);
}

/// Linux as VM 1 of a scenario whose other VM does not end by itself has its minute.
fn linux_beside_another(scenario: &str, check: impl Fn(&Ran)) {
    for platform in linux(scenario) {
        let session = minute(1, "linux") + "end\n";
        let icount = instruction_ns_log2(&platform);
        let ran = typed_at(&platform, &configs_of(scenario), scenario, &session, icount);
        assert_undisturbed(&ran, "linux");
        check(&ran);
    }
}

#[test]
#[ignore = "takes minutes: make test-all"]
fn linux_keeps_time_and_its_lines_beside_a_flood() {
    linux_beside_another("linux-beside-flood", |ran| {
        // The flood's own loss is told.
        let lost = found(ran, r"warn  flood: (\d+) log lines lost");
        assert!(!lost.is_empty(), "{}", ran.platform);
    });
}

#[test]
#[ignore = "takes minutes: make test-all"]
fn linux_keeps_time_beside_a_guest_that_interrupts_itself_without_end() {
    linux_beside_another("linux-beside-interrupts", |_| {});
}

#[test]
#[ignore = "takes minutes: make test-all"]
fn two_linuxes_keep_time_beside_each_other() {
    for platform in linux("two-linuxes") {
        let session = "within 300\nexpect > / #\nexpect > / #\n\
            send \\x011ticks 0xfa000000 60; poweroff\\r\nexpect ticks 0xfa000000 60; poweroff\n\
            send \\x012ticks 0xfa000000 60; poweroff\\r\n";
        let ran = typed_at(
            &platform,
            &configs_of("two-linuxes"),
            "two-linuxes",
            session,
            instruction_ns_log2(&platform),
        );
        for name in ["one", "other"] {
            assert_undisturbed(&ran, name);
        }
    }
}

/// A VMM does what hostile ones do, one thing after the other, beside Linux: what holds beside a guest of ours holds
/// beside that.
#[test]
#[ignore = "takes minutes: make test-all"]
fn linux_keeps_time_beside_a_hostile_vmm() {
    for platform in linux("linux beside a hostile VMM") {
        let Platform::Microkit(honest, emulator) = platform else {
            // The control group: nothing there keeps a VMM from the others' memory.
            continue;
        };
        let mut hostile = honest.clone();
        hostile.system = SystemDescription::Made(vec![Change {
            from: "<program_image path=\"pd-vmm\"".into(),
            to: "<program_image path=\"hostile-vmm\"".into(),
        }]);
        let platform = Platform::Microkit(hostile, emulator);
        let all = attacks::ALL.iter().copied().flatten();
        let held = |attack: &&Attack| {
            attack.act.by() == By::Vmm
                && attack.leaves == Leaves::Alive
                && matches!(attack.on_sel4, Seen::Held(_))
        };
        let names: Vec<_> = all
            .filter(held)
            .map(|attack| attack.name)
            .take(16)
            .collect();
        assert_eq!(names.len(), 16);
        let folder = tempfile::tempdir().unwrap();
        let linux = std::fs::read_to_string(&configs_of("linux-beside-flood")[0]).unwrap();
        let attacker = format!(
            "system attacker\nram 0x40000000,2M\nload attacker\n\
             cmdline \"console=0x9000000 trace=0xfa000000 attack={} pause_ms=4000\"\n\
             vdev trace loc 0xfa000000 emit-logger emit-trace 12\nvdev pl011 loc 0x9000000\n",
            names.join(",")
        );
        let configs = [("0.conf", attacker), ("1.conf", linux)].map(|(name, text)| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            file
        });
        let session = minute(2, "linux") + "end\n";
        let ran = typed_at(
            &platform,
            &configs,
            "a hostile VMM",
            &session,
            instruction_ns_log2(&platform),
        );
        assert_undisturbed(&ran, "linux");
    }
}
