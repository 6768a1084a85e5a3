//! What stands in the pages and in the line, word by word and character by character.

use oversight::{
    Accounts, Claims, Cpu, CpuLine, LifePage, OfVm, Printable, Report, ReportPage, Verdict,
};
use proptest::prelude::*;
use trace_records::{EndReason, MAX_VMS};

fn last_words(page: &LifePage) -> Vec<u8> {
    page.last_words(&mut [0; LifePage::WORDS_BYTES]).to_vec()
}

#[test]
fn each_page_is_a_page() {
    assert_eq!(size_of::<LifePage>(), 4096);
    assert_eq!(size_of::<ReportPage>(), 4096);
}

#[test]
fn a_fresh_life_page_says_nothing() {
    let page = LifePage::new();
    assert_eq!(page.beats(), 0);
    assert_eq!(page.under_way(), None);
    assert!(last_words(&page).is_empty());
    for vm in 0..MAX_VMS + 1 {
        assert_eq!((page.ended(vm), page.spent_ticks(vm)), (None, 0));
    }
}

#[test]
fn a_life_page_says_what_its_writer_said_and_a_vm_that_cannot_be_is_nothing() {
    let page = LifePage::new();
    page.beat();
    page.beat();
    page.set_spent_ticks(1, 70);
    page.set_ended(2, EndReason::PoweredOff);
    page.set_ended(MAX_VMS, EndReason::PoweredOff);
    page.set_spent_ticks(MAX_VMS, 70);
    assert_eq!(page.beats(), 2);
    assert_eq!(page.spent_ticks(1), 70);
    assert_eq!(page.ended(2), Some(EndReason::PoweredOff));
    assert_eq!(page.ended(MAX_VMS), None);
}

#[test]
fn whose_work_was_under_way_and_the_last_words_stand_there_until_another_begins() {
    let page = LifePage::new();
    for vm in [0, 7, u8::MAX] {
        page.set_under_way(Some(vm));
        assert_eq!(page.under_way(), Some(vm.into()));
    }
    page.leave_words(format_args!("oops"));
    let beats = page.beats();
    page.begin();
    assert_eq!(page.under_way(), None);
    assert!(last_words(&page).is_empty());
    // Which is a sign of life.
    assert_ne!(page.beats(), beats);
    page.set_under_way(Some(3));
    page.set_under_way(None);
    assert_eq!(page.under_way(), None);
}

#[test]
fn what_is_known_of_configurations_outlives_their_reader() {
    let page = LifePage::new();
    assert!((0..MAX_VMS as u8).all(|vm| !page.is_configured(vm)));
    page.set_configured(0);
    page.set_configured(2);
    page.begin();
    assert_eq!(
        [0, 1, 2].map(|vm| page.is_configured(vm)),
        [true, false, true]
    );
}

#[test]
fn last_words_that_are_too_long_are_cut_off() {
    let page = LifePage::new();
    page.leave_words(format_args!("place: {}", "x".repeat(300)));
    let words = last_words(&page);
    assert_eq!(words.len(), LifePage::WORDS_BYTES);
    assert!(words.starts_with(b"place: xxx"));
}

#[test]
fn nothing_in_last_words_ends_a_line_or_moves_a_cursor() {
    let forged = b"oops\nverdict: ok\r\n\x1b[2Jsecond| guest: done\x00\xc3\xa9\x7f";
    let shown = Printable(forged).to_string();
    assert_eq!(shown, "oops?verdict: ok???[2Jsecond| guest: done????");
}

#[test]
fn the_report_page_has_its_words_where_the_diagram_says() {
    let page = ReportPage::new();
    assert_eq!(page.read(), None);
    page.begin();
    assert_eq!(page.read().unwrap().verdict, None);
    let mut bytes = vec![0; ReportPage::BYTES];
    bytes[..8].copy_from_slice(b"VTRACEND");
    bytes[8] = 2;
    let mut set = |word: usize, value: u64| {
        bytes[8 * word..][..8].copy_from_slice(&value.to_le_bytes());
    };
    for (word, value) in [
        (2, 2),
        (3, 100),
        (4, 20),
        (5, 30),
        (6, 40),
        (7, 2),
        (12, u64::MAX),
        (13, 5),
        (14, 6),
        (15, 7),
    ] {
        set(word, value);
    }
    let report = Report::parse(&bytes).unwrap();
    assert_eq!(report.verdict, Some(Verdict::Failed));
    let Cpu {
        wall_us,
        idle_us,
        others_us,
        guests_us,
        vms,
        vm,
    } = report.cpu;
    assert_eq!([wall_us, idle_us, others_us, guests_us], [100, 20, 30, 40]);
    assert_eq!((vms, vm[0].guest_us), (2, Some(0)));
    let second = OfVm {
        guest_us: None,
        vmm_us: 5,
        trace_us: 6,
        console_us: 7,
    };
    assert_eq!(vm[1], second);
    page.set_cpu(&report.cpu);
    page.set_verdict(Verdict::Failed);
    assert_eq!(page.read(), Some(report));
    for (at, wrong) in [(0, b'v'), (8, 1)] {
        let mut other = bytes.clone();
        other[at] = wrong;
        assert_eq!(Report::parse(&other), None);
    }
    assert_eq!(Report::parse(&bytes[..ReportPage::BYTES - 8]), None);
}

#[test]
fn the_first_verdict_stays() {
    let page = ReportPage::new();
    page.begin();
    page.set_verdict(Verdict::Failed);
    page.set_verdict(Verdict::Ok);
    assert_eq!(page.read().unwrap().verdict, Some(Verdict::Failed));
}

/// What is given for the first VMs, and nothing for the others.
fn of_vms<T: Copy + Default, const N: usize>(first: [T; N]) -> [T; MAX_VMS] {
    core::array::from_fn(|vm| first.get(vm).copied().unwrap_or_default())
}

#[test]
fn where_idling_is_measured_the_guest_has_what_remains() {
    let accounts = Accounts {
        vms: 1,
        vmm_us: of_vms([147_000]),
        trace_us: 28_000,
        console_us: 91_000,
        others_us: 28_000,
        idle_us: Some(1_736_000),
    };
    let claims = Claims {
        trace: of_vms([5]),
        console: of_vms([7]),
        ..Claims::default()
    };
    let cpu = accounts.table(7_020_000, &claims);
    let name = |_| "demo";
    assert_eq!(
        CpuLine { cpu: &cpu, name }.to_string(),
        "cpu of 7.02 s: demo: guest 71.1 %, vmm 2.1 %, trace 0.4 %, console 1.3 %; \
         idle 24.7 %, others 0.4 %"
    );
}

#[test]
fn where_a_guest_runs_on_its_vmms_time_the_claim_divides_only_that() {
    let accounts = Accounts {
        vms: 2,
        vmm_us: of_vms([400_000, 300_000]),
        trace_us: 100_000,
        ..Accounts::default()
    };
    let claims = Claims {
        vmm: of_vms([[1, 3], [u64::MAX, 0]]),
        trace: of_vms([1, 3, 7, 7]),
        ..Claims::default()
    };
    let cpu = accounts.table(1_000_000, &claims);
    let name = |vm| ["first", "second"][vm];
    assert_eq!(
        CpuLine { cpu: &cpu, name }.to_string(),
        "cpu of 1.00 s: first: guest 30.0 %, vmm 10.0 %, trace 2.5 %, console 0.0 %; \
         second: guest 0.0 %, vmm 30.0 %, trace 7.5 %, console 0.0 %; idle 20.0 %, others 0.0 %"
    );
}

#[test]
fn guests_that_nobody_tells_apart_are_told_together() {
    let accounts = Accounts {
        vms: 2,
        vmm_us: of_vms([100_000, 200_000]),
        console_us: 50_000,
        idle_us: Some(250_000),
        ..Accounts::default()
    };
    let cpu = accounts.table(1_000_000, &Claims::default());
    let name = |vm| ["first", "second"][vm];
    // And what nobody claims to have done for a VM is nobody's.
    assert_eq!(
        CpuLine { cpu: &cpu, name }.to_string(),
        "cpu of 1.00 s: first: vmm 10.0 %, trace 0.0 %, console 0.0 %; \
         second: vmm 20.0 %, trace 0.0 %, console 0.0 %; all guests 40.0 %, idle 25.0 %, \
         others 5.0 %"
    );
}

proptest! {
    #[test]
    fn whatever_is_claimed_each_parts_sum_is_what_the_kernel_said(
        vms in 0..=MAX_VMS,
        vmm_us: [u32; MAX_VMS],
        trace_us: u32,
        idle_us: Option<u32>,
        wall_us: u32,
        claims: [[u64; 3]; MAX_VMS],
    ) {
        let accounts = Accounts {
            vms,
            vmm_us: vmm_us.map(u64::from),
            trace_us: trace_us.into(),
            idle_us: idle_us.map(u64::from),
            ..Accounts::default()
        };
        let claims = Claims {
            vmm: claims.map(|claim| [claim[0], claim[1]]),
            trace: claims.map(|claim| claim[1]),
            console: claims.map(|claim| claim[2]),
        };
        let cpu = accounts.table(wall_us.into(), &claims);
        let trace: u64 = cpu.vm.iter().map(|vm| vm.trace_us).sum();
        prop_assert_eq!(trace + cpu.others_us, u64::from(trace_us));
        let consumed: u64 = vmm_us[..vms].iter().map(|us| u64::from(*us)).sum();
        let mut told: u64 = cpu.vm.iter().map(|vm| vm.vmm_us).sum();
        if idle_us.is_none() {
            told += cpu.guests_us;
        }
        prop_assert_eq!(told, consumed);
        // A page holds any table.
        let page = ReportPage::new();
        page.begin();
        page.set_cpu(&cpu);
        prop_assert_eq!(page.read().unwrap().cpu, cpu);
        let _ = CpuLine { cpu: &cpu, name: |_| "vm" }.to_string();
    }

    #[test]
    fn whatever_stands_in_a_page_is_read_without_a_panic(bytes: Vec<u8>) {
        let mut page = b"VTRACEND\x01\0\0\0\0\0\0\0".to_vec();
        page.extend(bytes);
        page.resize(ReportPage::BYTES, 0xff);
        if let Some(report) = Report::parse(&page) {
            let _ = CpuLine { cpu: &report.cpu, name: |_| "vm" }.to_string();
        }
    }
}
