//! The `vdev-trace` command on a dump that is written here word by word, as the layout's
//! documentation has it (`shared_ring`, `trace_records`).

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// A ring of two slots at the dump's second page, with the words of its records.
fn dump(kind: u64, vm: u64, records: &[[u64; 7]]) -> Vec<u8> {
    let magic = u64::from_le_bytes(*b"VTRACRNG");
    let head = records.len() as u64;
    let mut words = vec![0; 512];
    let header = [magic, 1, 64, 2, kind | vm << 8, 1000, 0, 0, head, 0, 0];
    words.extend(header);
    words.resize(1024, 0);
    for (number, record) in (1..).zip(records) {
        words.push(number);
        words.extend(record);
    }
    words.resize(1024 + 2 * 8, 0);
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A read of 4 bytes, event 12, a second after the start.
fn read_of(instance: u64) -> [u64; 7] {
    let tag = 1 | instance << 16 | 4 << 32 | 12 << 48;
    [1000, 0xfa00_0000, 0x4008_0000, 7, 1, tag, 0]
}

fn decode(dump: &[u8], arguments: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vdev-trace"))
        .args(["decode", "-"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(dump);
    child.wait_with_output().unwrap()
}

fn said(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

#[test]
fn names_come_from_the_configuration_of_the_rings_vm() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, device: &str| {
        let path = folder.path().join(name);
        let text = format!(
            "system {name}\ncpu\nram 0x40000000,2M\nload not-there\n\
             vdev trace loc 0xfa000000 name {device}\n"
        );
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (one, two) = (write("one", "first"), write("two", "second"));
    let dump = dump(3, 1, &[read_of(0)]);
    let output = decode(&dump, &["--config", &one, "--config", &two]);
    assert!(output.status.success());
    let text = said(&output.stdout);
    assert!(
        text.contains(" two second cpu0 R4 0xfa000000 = 7 "),
        "{text}"
    );
    let text = said(&decode(&dump, &["--config", &one]).stdout);
    assert!(text.contains(" vm1 dev0 cpu0 R4 0xfa000000 = 7 "), "{text}");
}

#[test]
fn other_rings_are_printed_if_asked_for() {
    // 5 characters at 1000 ticks.
    let text = u64::from_le_bytes(*b"hello\0\0\0");
    let console = dump(4, 0, &[[text, 0, 0, 0, 0, 7 | 0xffff << 48, 1000 << 8 | 5]]);
    let printed = said(&decode(&console, &["--ring", "console"]).stdout);
    assert!(printed.contains(r#"[   1.000000] +       0 us  event    -  vm0 printed "hello""#));
    let access = said(&decode(&dump(1, 0, &[read_of(0)]), &["--ring", "access"]).stdout);
    assert!(access.contains("dev0 cpu0 R4"));
}

#[test]
fn a_dump_without_the_ring_is_an_error_that_names_both() {
    let output = decode(&dump(2, 0, &[]), &[]);
    assert!(!output.status.success() && output.stdout.is_empty());
    assert_eq!(
        said(&output.stderr),
        "error: - holds no Trace ring that can be read\n"
    );
}

#[test]
fn a_header_that_does_not_add_up_is_reported_with_its_place() {
    let mut dump = dump(3, 0, &[read_of(0)]);
    dump[0x1008] = 9;
    let output = decode(&dump, &[]);
    assert!(!output.status.success());
    assert!(said(&output.stderr).starts_with("warning: ring at offset 0x1000: layout version 9"));
}

#[test]
fn whoever_stops_reading_does_not_make_it_fail() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vdev-trace"))
        .args(["decode", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    input.write_all(&dump(3, 0, &[read_of(0)])).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert_eq!(said(&output.stderr), "");
}

#[test]
fn a_missing_image_is_an_error_at_the_line_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("vm.conf");
    std::fs::write(
        &config,
        "system demo\ncpu\nram 0x40000000,2M\nload not-there\n",
    )
    .unwrap();
    let blob = folder.path().join("vm.blob");
    let output = Command::new(env!("CARGO_BIN_EXE_vdev-trace"))
        .arg("compile")
        .arg(&config)
        .arg("--images")
        .arg(folder.path())
        .arg("-o")
        .arg(&blob)
        .output()
        .unwrap();
    assert!(!output.status.success() && !blob.exists());
    let text = said(&output.stderr);
    assert!(
        text.contains("vm.conf:4:6") && text.contains("not-there"),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "no colour but on a terminal");
}
