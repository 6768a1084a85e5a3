//! `pd-monitor`: the parent of the others, which starts again who dies or hangs, says so, and alone
//! decides how a run went.
//!
//! The kernel delivers a child's fault here; `pd-clock` wakes this every 40 ms to look at the
//! signs of life, `pd-trace` when a VM has ended; where several VMs share the CPU (`shares`), the
//! kernel when a VMM has used its share up, `pd-share` when it is there again. Runs at the start before
//! all others, since nobody has a higher priority: it remembers where they begin (`restarts`), and on
//! x86 it measures the counter for them.
//!
//! ```text
//!  faults ────────┐                              ┌──► who died too often stays dead, others go on
//!  life pages ────┼──► who is dead, which VM has ┼──► report page: verdict, CPU time
//!  CPU consumed ──┘    ended, and how            └──► pd-console (or the UART): lines, verdict
//! ```
//!
//! Invariants: who stays dead is never run again; the first reason for which a VM ended
//! stays; the verdict is decided once, and stands in the report page before anybody is told.
#![no_std]
#![no_main]

mod children;
mod cpu;
mod faults;
mod report;
mod restarts;
mod share_channels;
mod shares;

use children::Children;
use core::fmt;
use cpu::CpuTime;
use faults::Described;
use oversight::{Fate, LifePage, Part, Printable, ReportPage, Silence, Verdict};
use pd_runtime::{Counter, clock, region};
use report::Reporter;
use restarts::Restarts;
use sel4_microkit::{
    Channel, ChannelSet, Child, Handler, Infallible, MessageInfo, protection_domain,
};
use shares::Shares;
use trace_records::{EndReason, MAX_VMS};

/// From `pd-clock`.
const CLOCK: Channel = Channel::new(1);

#[protection_domain]
fn init() -> Monitor {
    #[cfg(target_arch = "x86_64")]
    pd_runtime::calibrate();
    let page = region!(report: ReportPage);
    page.begin();
    let mut children = Children::new();
    Monitor {
        restarts: Restarts::new(&children),
        cpu: CpuTime::new(&mut children),
        children,
        reporter: Reporter::new(),
        shares: Shares::new(),
        page,
        ended: [None; MAX_VMS],
        last_check: Counter::now(),
        verdict: None,
    }
}

struct Monitor {
    children: Children,
    restarts: Restarts,
    cpu: CpuTime,
    reporter: Reporter,
    shares: Shares,
    page: &'static ReportPage,
    /// How each VM has ended.
    ended: [Option<EndReason>; MAX_VMS],
    last_check: u64,
    verdict: Option<Verdict>,
}

impl Handler for Monitor {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        if shares::is_used_up(&channels) {
            self.shares.move_to_background(&mut self.children);
            return Ok(());
        }
        self.shares.move_back(&channels);
        if channels.contains(CLOCK) {
            self.check();
        }
        self.decide();
        Ok(())
    }

    fn fault(
        &mut self,
        child: Child,
        message: MessageInfo,
    ) -> Result<Option<MessageInfo>, Infallible> {
        let fault = Described::new(&message);
        let Some(part) = Part::with_number(child.index()) else {
            let number = child.index();
            self.reporter.line(format_args!(
                "panic in child {number}, which nobody knows: {fault}"
            ));
            return Ok(None);
        };
        let mut words = [0; LifePage::WORDS_BYTES];
        let words = self.children.last_words(part, &mut words);
        let separator = if words.is_empty() { "" } else { "; " };
        let words = Printable(words);
        let why = format_args!("{words}{separator}{fault}");
        if !self.restarts(part, why) {
            self.stop(part, format_args!("panic in {}: {why}", part.name()));
        }
        self.decide();
        Ok(None)
    }
}

impl Monitor {
    /// Looks at who has answered the clock's last question.
    fn check(&mut self) {
        let now = Counter::now();
        // After a time in which the machine stood still the clock may catch up: then nobody has
        // been able to answer in between.
        if now - core::mem::replace(&mut self.last_check, now) < clock().hz / 50 {
            return;
        }
        self.cpu.read(&mut self.children);
        // What stands there with a verdict stays.
        if self.verdict.is_none() {
            self.page.set_cpu(&self.cpu.table(&self.children));
        }
        for part in Part::ALL {
            let name = part.name();
            match self.children.check(part) {
                None => {}
                Some(Silence::Hung { cpu_us }) => {
                    let cpu_ms = cpu_us / 1000;
                    let why = format_args!(
                        "hung: has had {cpu_ms} ms of the CPU and gave no sign of life"
                    );
                    if !self.restarts(part, why) {
                        let line = format_args!(
                            "hung: {name} has had {cpu_ms} ms of the CPU and gives no sign of life"
                        );
                        self.stop(part, line);
                    }
                }
                Some(Silence::Starved) => {
                    let line = format_args!(
                        "silent: {name} gives no sign of life, for want of the CPU or waiting for \
                         something else"
                    );
                    match part {
                        // It prints nothing now.
                        Part::Console => self.reporter.print(line),
                        _ => self.reporter.line(line),
                    }
                }
                Some(Silence::Gone) => {
                    let line = format_args!("hung: {name} has given no sign of life for 5 s");
                    self.stop(part, line);
                }
            }
        }
    }

    /// Starts a child again that has died or hangs, and tells why, unless it has died too often.
    /// Whether it lives.
    fn restarts(&mut self, part: Part, why: fmt::Arguments<'_>) -> bool {
        let under_way = self.children.under_way(part);
        let Fate::Restart(count) = self.restarts.died(part, under_way) else {
            return false;
        };
        self.children.begins_anew(part);
        let name = part.name();
        self.reporter
            .note(format_args!("warn {name} restarted ({count}): {why}"));
        true
    }

    /// Lets a child not run any more, and tells why.
    fn stop(&mut self, part: Part, why: fmt::Arguments<'_>) {
        // Suspended rather than left with an unanswered fault, of which a debug kernel complains
        // at every switch.
        self.children.stop(part);
        if part == Part::Console {
            self.reporter.console_is_dead();
        }
        self.reporter.line(why);
        if let Part::Vmm(vm) = part
            && self.ended[vm].is_none()
        {
            self.ended[vm] = Some(EndReason::VmmDied);
            self.reporter.vm_died(vm);
        }
    }

    /// Publishes the verdict as soon as there is one.
    fn decide(&mut self) {
        let vms = self.children.vms();
        for (vm, ended) in self.ended.iter_mut().enumerate().take(vms) {
            *ended = ended.or_else(|| self.children.ended(vm));
        }
        if self.verdict.is_some() {
            return;
        }
        let mut verdict = Verdict::Ok;
        if self.children.has_lost_a_service() {
            verdict = Verdict::Failed;
        } else {
            for ended in &self.ended[..vms] {
                match ended {
                    None => return,
                    Some(reason) if reason.is_success() => {}
                    Some(_) => verdict = Verdict::Failed,
                }
            }
            if self.children.has_lost_a_vmm() {
                verdict = Verdict::Failed;
            }
        }
        self.cpu.read(&mut self.children);
        self.page.set_cpu(&self.cpu.table(&self.children));
        self.page.set_verdict(verdict);
        self.verdict = Some(verdict);
        self.reporter.verdict(verdict);
    }
}
