//! The list itself: what every attack has, and how many there are.

extern crate std;

use super::*;
use std::collections::BTreeSet;
use std::vec::Vec;

fn all() -> Vec<&'static Attack> {
    ALL.iter().copied().flatten().collect()
}

#[test]
fn there_are_at_least_sixty_on_each_architecture() {
    for other in [Exists::Aarch64, Exists::X86_64] {
        let here = all().into_iter().filter(|attack| attack.exists != other);
        assert!(here.count() >= 60, "without those of {other:?}");
    }
}

#[test]
fn every_attack_has_a_name_of_its_own_and_says_what_it_tries() {
    let mut names = BTreeSet::new();
    for attack in all() {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(
            !attack.name.is_empty() && attack.name.bytes().all(is_word),
            "{}",
            attack.name
        );
        assert!(names.insert(attack.name), "{} is there twice", attack.name);
        assert!(attack.tries.len() > 10, "{}", attack.name);
        assert!(
            !matches!(attack.act, Act::Guest("", _)),
            "{} does nothing",
            attack.name
        );
    }
}

#[test]
fn what_nobody_stops_is_documented_or_trusted() {
    for attack in all() {
        let open = matches!(attack.on_sel4, Seen::Documented(_) | Seen::Fell);
        assert_eq!(
            open,
            attack.stopped_by == StoppedBy::Nobody,
            "{}",
            attack.name
        );
    }
}

#[test]
fn a_bell_is_heard_once_and_through_the_ticks() {
    let mut doorbell = Doorbell::new();
    assert_eq!(doorbell.hear(7), None);
    let ring = Doorbell::number(3);
    assert_eq!(doorbell.hear(ring), Some(3));
    assert_eq!(doorbell.hear(ring + 2), None);
    assert_eq!(doorbell.hear(Doorbell::number(4) + 9), Some(4));
    assert_eq!(doorbell.hear(ring), None);
}

#[test]
fn names_are_found_in_a_command_line() {
    let line = "console=1 attack=vmm-spins,write-uart trace=2";
    let names: Vec<_> = wanted(line).collect();
    assert_eq!(names, ["vmm-spins", "write-uart"]);
    assert!(names.into_iter().all(|name| find(name).is_some()));
    assert!(find("").is_none());
}

/// Memory that is there wherever it is written, and a clock that goes on with each look.
#[derive(Default)]
struct Anywhere {
    words: std::collections::BTreeMap<(u32, u8, u64), u64>,
    now: u64,
}

impl Hands for Anywhere {
    fn now(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    fn hz(&mut self) -> u64 {
        1000
    }

    fn load(&mut self, place: Place, word: u64) -> u64 {
        let key = (place.region as u32, place.vm, word);
        self.words.get(&key).copied().unwrap_or_default()
    }

    fn store(&mut self, place: Place, word: u64, value: u64) {
        let key = (place.region as u32, place.vm, word);
        self.words.insert(key, value);
    }

    fn notify(&mut self, _: vm_components::Channel) {}

    fn beat(&mut self) {}

    fn rest(&mut self) {}

    fn crash(&mut self) {}

    fn kernel(&mut self) -> Option<&mut dyn Kernel> {
        None
    }
}

#[test]
fn every_component_attacks_when_the_guest_rings_and_comes_to_an_end() {
    let own = all();
    let own = own.iter().filter(|attack| attack.act.by() != By::Guest);
    for attack in own {
        let line = std::format!("trace=1 attack={}", attack.name);
        let line: &'static str = std::boxed::Box::leak(line.into_boxed_str());
        let mut component = TakenOver::new(attack.act.by(), line);
        let mut hands = Anywhere::default();
        component.look(&mut hands);
        assert!(hands.words.is_empty(), "{}: too early", attack.name);
        match attack.act.by() {
            By::Console => {
                component.read(&std::format!("attacker| guest: attack {}\n", attack.name))
            }
            _ => hands.store(Region::StatePage.own(), 1, Doorbell::number(0).into()),
        }
        let began = hands.now;
        (0..30).for_each(|_| match attack.act.by() {
            By::Console => component.go_on(&mut hands),
            _ => component.look(&mut hands),
        });
        assert!(component.is_honest(), "{} does not end", attack.name);
        assert!(
            hands.now <= began + 100_000,
            "{} takes too long",
            attack.name
        );
    }
}

#[test]
fn a_false_claim_is_taken_back() {
    let mut component = TakenOver::new(By::Vmm, "attack=access-head-at-max");
    let mut hands = Anywhere::default();
    let head = shared_ring::header_word::HEAD as u64;
    hands.store(Region::AccessRing.own(), head, 7);
    hands.store(Region::StatePage.own(), 1, Doorbell::number(0).into());
    let claims: Vec<u64> = (0..4)
        .map(|_| {
            component.look(&mut hands);
            hands.load(Region::AccessRing.own(), head)
        })
        .collect();
    assert_eq!(claims, [u64::MAX, u64::MAX, 7, 7]);
}
