//! What a guest's files and a dump say, in every output: as text, and never as part of the output.

mod machine;

use machine::{Ring, elf, internal, read, said, vdev_trace};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::process::Command;
use vdev_trace::visible::visible;

/// Where the one record of [`decoded`] was made.
const PC: u64 = 0x4008_0000;

/// Everything that is made of one read in a function of this name, by a VM and a device of these.
struct Decoded {
    folder: tempfile::TempDir,
    text: String,
}

fn decoded(function: &[u8], vm: &str, device: &str) -> Decoded {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let guest = elf::with_functions(&[(PC, function)]);
    std::fs::write(path("guest"), guest).unwrap();
    let word = |text: &str| {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{}\"", escaped.replace('$', "\\$"))
    };
    let config = format!(
        "system {}\nram 0x40000000,2M\nload guest\nvdev trace loc 0xfa000000 name {}\n",
        word(vm),
        word(device)
    );
    std::fs::write(path("vm.conf"), config).unwrap();
    let arguments = [
        ["--config", &path("vm.conf")],
        ["--guest", &path("guest")],
        ["--text", &path("t.txt")],
        ["--json", &path("t.json")],
        ["--html", &path("t.html")],
        ["--ctf", &path("ctf")],
    ];
    let dump = Ring::traced(4, [read(1000, 1, 7)]).dump();
    let output = vdev_trace(
        &dump,
        &[&["decode", "-"], arguments.as_flattened()].concat(),
    );
    assert!(output.status.success(), "{}", said(&output.stderr));
    let text = std::fs::read_to_string(path("t.txt")).unwrap();
    Decoded { folder, text }
}

impl Decoded {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The arguments of the one access in the JSON output.
    fn json(&self) -> serde_json::Value {
        let json = std::fs::read(self.file("t.json")).unwrap();
        let trace: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let access = events.iter().find(|event| event["cat"] == "access");
        access.unwrap()["args"].clone()
    }

    /// The data in the page, as a browser finds them: up to the first end of a script.
    fn page(&self) -> serde_json::Value {
        let page = std::fs::read_to_string(self.file("t.html")).unwrap();
        let (_, data) = page
            .split_once("<script type=\"application/json\" id=\"data\">")
            .unwrap();
        let (data, _) = data.split_once("</script").unwrap();
        assert!(!data.contains("<!--"));
        serde_json::from_str(data).unwrap()
    }
}

/// What babeltrace2 prints of a trace, or none if it is not there; other tests tell that.
fn babeltrace2(folder: &Path) -> Option<String> {
    let output = Command::new("babeltrace2").arg(folder).output().ok()?;
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert_eq!(said(&output.stderr), "");
    Some(said(&output.stdout))
}

/// A field of the first event, as babeltrace2 prints strings: with C's escapes.
fn field(event: &str, name: &str) -> String {
    let (_, rest) = event.split_once(&format!("{name} = ")).unwrap();
    let rest = rest.trim_start_matches("( ");
    let mut characters = rest.strip_prefix('"').unwrap().chars();
    let mut text = String::new();
    loop {
        match characters.next().unwrap() {
            '"' => return text,
            '\\' => text.push(characters.next().unwrap()),
            other => text.push(other),
        }
    }
}

fn assert_that_every_output_has_it_as_text(function: &[u8], vm: &str, device: &str) {
    let decoded = decoded(function, vm, device);
    let name = String::from_utf8_lossy(function);
    let shown = visible(&name, 200).into_owned();
    // A title, the record, the sums.
    let lines: Vec<_> = decoded.text.split('\n').collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[1].ends_with(&format!("  {shown}")), "{lines:?}");
    assert!(lines[1].contains(&format!(" {device} ")), "{lines:?}");
    let unseen = |character: char| character.is_control() || "\u{202e}\u{2066}".contains(character);
    assert!(!decoded.text.replace('\n', "").contains(unseen));
    let access = decoded.json();
    assert_eq!(
        (&access["function"], &access["device"]),
        (&shown.as_str().into(), &device.into())
    );
    let page = decoded.page();
    let texts = page["texts"].as_array().unwrap();
    assert!(texts.contains(&shown.as_str().into()) && texts.contains(&device.into()));
    assert_eq!(page["rings"][0]["vm"], vm);
    let metadata = std::fs::read_to_string(decoded.file("ctf/metadata")).unwrap();
    assert!(
        !metadata.contains(|character: char| character.is_control() && !"\n\t".contains(character))
    );
    if let Some(events) = babeltrace2(&decoded.file("ctf")) {
        assert_eq!(events.lines().count(), 1, "{events}");
        assert_eq!(field(&events, "function"), shown);
        assert_eq!(field(&events, "device"), device);
    }
}

#[test]
fn names_with_marks_of_every_output_are_text_in_each() {
    for function in [
        &b"</script><script>alert(1)//"[..],
        b"<!--<script>",
        b"a\\\", \"pid\": 9, \"\n[   0.000000]",
        b"\x1b[2J\x1b]0;owned\x07",
        b"one\r\ntwo\tthree\x0b\x7f",
        "\u{202e}sselmrah\u{2066}\u{200b}\u{feff}\u{9b}".as_bytes(),
        b"\xff\xfe not UTF-8 \xc3",
        b"%s%n {{data}} {{script}} $& ${x}",
        b"\" }; }; event { name = \"",
        &[b'x'; 5000],
    ] {
        assert_that_every_output_has_it_as_text(function, "\"v\\m</script>", "\"<b>&\\n\"");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_name_is_text_in_every_output(
        function in prop_oneof!["\\PC{1,40}", "[\0-\u{ff}]{1,40}", "[\u{2000}-\u{206f}\"\\\\<]{1,20}"],
        vm in "[!-~]{1,31}",
        device in "[!-~]{1,15}",
    ) {
        // The symbol's name ends there.
        let function = function.replace('\0', "0");
        assert_that_every_output_has_it_as_text(function.as_bytes(), &vm, &device);
    }
}

#[test]
fn what_a_guest_prints_is_text_in_every_output() {
    let folder = tempfile::tempdir().unwrap();
    let ctf = folder.path().join("ctf");
    let mut console = Ring::new(4, 0, 2);
    let text = u64::from_le_bytes(*b"\x1b[2J\n\"\0\\");
    console.push([text, 0, 0, 0, 0, 7 | 0xffff << 48, 1000 << 8 | 8]);
    let arguments = ["decode", "-", "--ring", "console", "--text", "-", "--ctf"];
    let output = vdev_trace(
        &console.dump(),
        &[&arguments[..], &[ctf.to_str().unwrap()]].concat(),
    );
    let printed = said(&output.stdout);
    assert!(
        printed.contains(r#"printed "\u{1b}[2J\n\"\0\\""#),
        "{printed}"
    );
    if let Some(events) = babeltrace2(&ctf) {
        // Its own escapes.
        let text = r#" text: { text = "\e[2J\n\"␀\\", record = 1 }"#;
        assert!(events.contains(text), "{events}");
    }
}

#[test]
fn a_file_s_name_in_a_message_does_not_reach_the_terminal_as_it_is() {
    let output = vdev_trace(&[], &["decode", "no\x1b[2J\u{202e}such"]);
    assert_eq!(
        said(&output.stderr),
        "error: cannot read no\\u{1b}[2J\\u{202e}such: No such file or directory (os error 2)\n"
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x\x1b[2Jy"), "").unwrap();
    let dump = Ring::traced(4, [internal(3, [0; 5], 0)]).dump();
    let output = vdev_trace(
        &dump,
        &["decode", "-", "--ctf", folder.path().to_str().unwrap()],
    );
    let told = said(&output.stderr);
    assert!(
        told.contains("it holds x\\u{1b}[2Jy, which is no part of a trace"),
        "{told}"
    );
}
