//! The `runner` command with the Microkit's board `x86_64_generic_vtx`, with shell scripts in
//! the places of Bochs and of the Microkit's tool. Needs no emulator and no image.

mod stand_ins;

use nix::sys::signal::{SigHandler, Signal, signal};
use stand_ins::{boards, elf, said, write_program, write_vm};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

const SYSTEM: &str = r#"<system>
    <memory_region name="guest_ram" size="0x200000" />
    <memory_region name="trace_ring" size="0x20" phys_addr="0x1000" />
    <memory_region name="trace_ring_1" size="0x8" phys_addr="0x3000" />
    <memory_region name="report" size="0x140" phys_addr="0x5000" />
    <virtual_machine name="demo">
        <map mr="guest_ram" vaddr="0x40000000" perms="rwx" />
    </virtual_machine>
</system>"#;

/// This program is the kernel, the module, and what the ROM is taken from.
#[used]
#[unsafe(link_section = ".rom")]
static ROM: [u8; 3] = [0x55, 0xaa, 1];

/// Begins each script: reads `-f FILE`, finds the serial ports' pipes in that, and is a debugger:
/// after an interrupt it answers until it is told to continue or to quit. It shows a report page
/// with the verdict `$verdict` (`crates/isolation/oversight/src/report.rs`); `answer` may show more.
const PRELUDE: &str = r#"
while [ "$1" != -f ]; do shift; done
port() { sed -n "s/^$1: .*dev=\"\(.*\)\"/\1/p" "$file"; }
file=$2
verdict=1
answer() { :; }
page() {
    echo '0x0000000000005000:41525456 444E4543  00000002 00000000 '
    echo "0x0000000000005010:0000000$verdict 00000000  00000000 00000000 "
    for at in 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10 11 12 13; do
        echo "0x0000000000005${at}0:00000000 00000000  00000000 00000000 "
    done
}
debugger() {
    while read -r command; do
        case $command in
        quit) exit 0 ;;
        continue) return ;;
        "xp /80wxm 0x5000") echo "<bochs:1> $command"; page ;;
        *) answer ;;
        esac
    done
    exit 1
}
trap debugger INT
run_on() { while :; do :; done; }
"#;

/// What the scripts of the debugger's tests end with.
const VERDICT: &str = r#"
echo 'verdict: ok' >"$(port com1)"
run_on"#;

/// Runs `runner` where `bochs` does what `script` says, or where there is none.
fn runner(folder: &Path, script: Option<&str>, arguments: &[&str]) -> Output {
    let this = std::env::current_exe().unwrap();
    let copy = |name: &str| std::fs::copy(&this, folder.join(name)).unwrap();
    write_vm(folder, elf::X86_64);
    std::fs::write(folder.join("system.xml"), SYSTEM).unwrap();
    copy("boot-rom");
    copy("kernel");
    // Its options: the system description, --search-path and two folders, and -o IMAGE.
    write_program(
        folder,
        "sdk/bin/microkit",
        r#"while [ "$1" != -o ]; do shift; done
           /bin/cp kernel "${2%/*}/sel4_32.elf"; /bin/cp guest "$2""#,
    );
    std::fs::write(folder.join("sdk/VERSION"), "2.3.0\n").unwrap();
    if let Some(script) = script {
        write_program(folder, "bin/bochs", &format!("{PRELUDE}{script}"));
    }
    let path = format!("{}:/bin:/usr/bin", folder.join("bin").display());
    let mut runner = Command::new(env!("CARGO_BIN_EXE_runner"));
    // SAFETY: between fork and exec it makes one system call, which may be made there.
    unsafe { runner.pre_exec(heed_interrupts) };
    runner
        .args(arguments)
        .args(["vm.conf", "--images", ".", "--work", "run, 1"])
        .args(["--platform", "microkit", "--sdk", "sdk"])
        .args(["--board", "x86_64_generic_vtx", "--system", "system.xml"])
        .arg("--boards")
        .arg(boards())
        .args(["--emulator", "bochs", "--deadline", "60"])
        .env(
            "PATH",
            match script {
                Some(_) => path,
                None => folder.join("bin").display().to_string(),
            },
        )
        .current_dir(folder)
        .output()
        .unwrap()
}

/// What runs in the background of a script ignores SIGINT, and a shell cannot undo that for
/// itself; Bochs does.
fn heed_interrupts() -> std::io::Result<()> {
    // SAFETY: the default handler is no code of this program's.
    unsafe { signal(Signal::SIGINT, SigHandler::SigDfl) }?;
    Ok(())
}

#[test]
fn both_serial_ports_are_the_console_and_what_bochs_itself_says_is_not() {
    let folder = tempfile::tempdir().unwrap();
    // More than a pipe holds: when it is written, what came before has been read.
    let script = r#"
        echo 'verdict: failed'
        echo hello >"$(port com1)"
        yes . | head -c 200000 >"$(port com1)"
        printf 'panic in pd-console: oops\nverdict: o' >"$(port com2)"
        printf 'k\n' >"$(port com2)"
        run_on"#;
    let output = runner(folder.path(), Some(script), &["run"]);
    assert!(output.status.success(), "{}", said(&output.stderr));
    let shown = said(&output.stdout);
    let lines: Vec<_> = shown.lines().skip(1).filter(|line| *line != ".").collect();
    assert_eq!(lines, ["hello", "panic in pd-console: oops", "verdict: ok"]);
}

#[test]
fn a_verdict_counts_in_memory_and_nowhere_else() {
    // It goes on after a look, and says more.
    let script = r#"
        verdict=0
        echo 'verdict: ok' >"$(port com1)"
        while [ "$command" != continue ]; do :; done
        verdict=2
        echo hello >"$(port com1)"
        echo 'verdict: ok' >"$(port com1)"
        run_on"#;
    let folder = tempfile::tempdir().unwrap();
    let output = runner(folder.path(), Some(script), &["run"]);
    assert!(!output.status.success());
    assert_eq!(
        said(&output.stderr),
        "error: the run failed: verdict: failed\n"
    );
    let shown = said(&output.stdout);
    assert!(shown.contains("hello\n"), "{shown}");
}

#[test]
fn a_run_leaves_neither_pipes_nor_locks() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
        lock=$(sed -n 's/.* path="\(.*\)",.*/\1.lock/p' "$file")
        if [ -e "$lock" ]; then echo 'verdict: the disk is locked' >"$(port com1)"; fi
        echo >"$lock"
        echo 'verdict: ok' >"$(port com1)"
        run_on"#;
    std::fs::create_dir(folder.path().join("run, 1")).unwrap();
    std::fs::write(folder.path().join("run, 1/disk.img.lock"), "").unwrap();
    let output = runner(folder.path(), Some(script), &["run"]);
    assert!(output.status.success(), "{}", said(&output.stderr));
    let left = std::fs::read_dir(folder.path().join("run, 1")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    for name in ["com1", "com2", "disk.img.lock"] {
        assert!(!left.iter().any(|file| file == name), "{left:?}");
    }
}

#[test]
fn why_bochs_gave_up_is_the_reason() {
    for (script, reason) in [
        (
            "echo '00000000000p[MEM0  ] >>PANIC<< ROM: too large' >&2; exit 1",
            "error: the run failed: Bochs ended without a verdict: ROM: too large\n",
        ),
        (
            "exit 3",
            "error: the run failed: Bochs ended without a verdict (exit status: 3)\n",
        ),
        (
            "echo 'terminate called'; exit 3",
            "error: the run failed: Bochs ended without a verdict (exit status: 3): \
             terminate called\n",
        ),
        (
            r#"echo 'panic in pd-vmm: oops' >"$(port com2)"; exit 3"#,
            "error: the run failed: panic in pd-vmm: oops \
             (Bochs ended without a verdict (exit status: 3))\n",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = runner(folder.path(), Some(script), &["run"]);
        assert!(!output.status.success());
        assert_eq!(said(&output.stderr), reason);
    }
}

#[test]
fn a_missing_bochs_is_one_sentence_that_says_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = runner(folder.path(), None, &["run"]);
    let sentence = said(&output.stderr);
    assert!(!output.status.success());
    assert_eq!(sentence.lines().count(), 1, "{sentence}");
    let how = "apt-get install --no-install-recommends bochs bochs-term";
    assert!(sentence.contains(how), "{sentence}");
}

#[test]
fn memory_is_asked_of_the_debugger_by_its_physical_address() {
    let folder = tempfile::tempdir().unwrap();
    let answer = r#"answer() {
            echo "<bochs:1> $command"
            case $command in
            "xp /8wxm 0x1000")
                echo '0x0000000000001000:00000001 00000002  00000003 00000004 '
                echo '0x0000000000001010:00000005 00000006  00000007 00000008 ' ;;
            "xp /2wxm 0x3000") echo '0x0000000000003000:0000000A 0B000000 ' ;;
            *) echo '0x0bad:00000000' ;;
            esac
        }"#;
    let script = format!("{answer}{VERDICT}");
    let arguments = ["run", "--dump", "memory.dump"];
    let output = runner(folder.path(), Some(&script), &arguments);
    assert!(output.status.success(), "{}", said(&output.stderr));
    let words: Vec<u8> = [1_u32, 2, 3, 4, 5, 6, 7, 8, 0xa, 0x0b00_0000]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    let memory = std::fs::read(folder.path().join("memory.dump")).unwrap();
    let (rings, page) = memory.split_at(words.len());
    assert_eq!(rings, words);
    assert!(page.starts_with(b"VTRACEND") && page.len() == 0x140);
}

#[test]
fn an_interrupt_that_bochs_forgets_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("trap 'trap debugger INT' INT{VERDICT}");
    let output = runner(folder.path(), Some(&script), &["run"]);
    assert!(output.status.success(), "{}", said(&output.stderr));
}

#[test]
fn memory_that_the_debugger_does_not_show_is_an_error() {
    for answer in ["0x0000000000002000:00000001 ", "nothing"] {
        let folder = tempfile::tempdir().unwrap();
        let script = format!("answer() {{ echo '{answer}'; }}{VERDICT}");
        let arguments = ["run", "--dump", "memory.dump"];
        let output = runner(folder.path(), Some(&script), &arguments);
        assert!(!output.status.success());
        let reason = said(&output.stderr);
        assert!(
            reason.starts_with("error: no memory dump: Bochs shows "),
            "{reason}"
        );
    }
}
