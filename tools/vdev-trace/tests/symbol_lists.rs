//! The functions of a guest that nobody here has built: by its kernel's `System.map` or `/proc/kallsyms`.

mod machine;

use machine::{Ring, TRACE, config, elf, read, said, tagged, vdev_trace};
use serde_json::Value;
use std::path::PathBuf;
use tempfile::TempDir;

/// In a function of the kernel, in one of a module, and in a process.
const KERNEL: u64 = 0xffff_8000_0801_0104;
const MODULE: u64 = 0xffff_8000_00b3_1008;
const PROCESS: u64 = 0x0000_aaaa_d5c0_1234;

const SYSTEM_MAP: &str = "\
ffff800008000000 T _text
ffff800008010000 T __pi_amba_read_periphid
ffff800008010000 W amba_read_periphid
ffff800008020000 D _etext
";

const KALLSYMS: &str = "\
ffff800008000000 T _text
ffff800008010000 t amba_read_periphid
ffff800000b31000 t pl031_read_time\t[rtc_pl031]
";

/// A folder with a trace and lists.
struct Folder {
    folder: TempDir,
    dump: Vec<u8>,
}

impl Folder {
    /// With a trace of accesses from these places by VM 0.
    fn of(places: &[u64]) -> Self {
        let records = (1..).zip(places).map(|(number, place)| {
            let mut record = read(1000 * number, number, 7);
            record[2] = *place;
            record
        });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("System.map"), SYSTEM_MAP).unwrap();
        std::fs::write(folder.path().join("kallsyms"), KALLSYMS).unwrap();
        let dump = Ring::traced(8, records).dump();
        Self { folder, dump }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Standard output and error.
    fn tool(&self, arguments: &[&str]) -> (String, String) {
        let mut words = Vec::new();
        for word in arguments {
            words.push(match word.strip_prefix("./") {
                Some(name) => self.path(name).to_str().unwrap().to_owned(),
                None => (*word).to_owned(),
            });
        }
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let output = vdev_trace(&self.dump, &words);
        let folder = format!("{}/", self.folder.path().display());
        let told = said(&output.stderr).replace(&folder, "");
        (said(&output.stdout), told)
    }

    /// What is behind the epoch in each record's line of text, and what is told.
    fn functions(&self, list: &str) -> (Vec<String>, String) {
        let (text, told) = self.tool(&["decode", "-", "--guest", list]);
        let records = text.lines().filter(|line| line.contains(" R4 "));
        let function = |line: &str| {
            let behind_epoch = line.split_whitespace().skip(14);
            behind_epoch.collect::<Vec<_>>().join(" ")
        };
        (records.map(function).collect(), told)
    }
}

#[test]
fn accesses_of_a_kernel_have_their_functions_and_those_of_a_process_none() {
    let folder = Folder::of(&[KERNEL, PROCESS]);
    let (functions, told) = folder.functions("./System.map");
    assert_eq!(functions, ["amba_read_periphid", ""]);
    assert_eq!(told, "");
}

#[test]
fn every_output_has_them() {
    let folder = Folder::of(&[KERNEL, MODULE]);
    let function = "pl031_read_time [rtc_pl031]";
    let outputs = ["--ctf", "./ctf", "--html", "./t.html", "--json", "./t.json"];
    let guest = ["decode", "-", "--guest", "./kallsyms"];
    assert_eq!(folder.tool(&[&guest[..], &outputs].concat()).1, "");
    let json = std::fs::read(folder.path("t.json")).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    let of = |event: &Value| event["args"]["function"].as_str().map(str::to_owned);
    let events = json["traceEvents"].as_array().unwrap();
    let functions: Vec<_> = events.iter().filter_map(of).collect();
    assert_eq!(functions, ["amba_read_periphid", function]);
    let page = std::fs::read_to_string(folder.path("t.html")).unwrap();
    assert!(page.contains(&format!("\"{function}\"")));
    let stream = std::fs::read(folder.path("ctf").join("vm0-trace")).unwrap();
    let text = [function.as_bytes(), b"\0"].concat();
    assert!(stream.windows(text.len()).any(|window| window == text));
    let (stats, told) = folder.tool(&["stats", "-", "--guest", "./kallsyms"]);
    let line = format!("  pc        {MODULE:#x} 1 reads, 0 writes  {function}\n");
    assert!(stats.contains(&line), "{stats}");
    assert_eq!(told, "");
}

#[test]
fn of_several_vms_each_has_its_own_file() {
    let mut folder = Folder::of(&[0x4008_0000]);
    let mut other = Ring::new(TRACE, 1, 2);
    let mut record = tagged(read(9000, 1, 7), 12, 0, 1);
    record[2] = KERNEL;
    other.push(record);
    folder.dump.extend(other.dump());
    let guest = elf::with_functions(&[(0x4008_0000, b"main")]);
    std::fs::write(folder.path("guest.elf"), guest).unwrap();
    let guests = ["--guest", "./guest.elf", "--guest", "./System.map"];
    let (text, told) = folder.tool(&[&["decode", "-"], &guests[..]].concat());
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[1].ends_with("  main"), "{text}");
    assert!(lines[2].ends_with("  amba_read_periphid"), "{text}");
    assert_eq!(told, "");
}

/// Which build of a kernel a list belongs to is nowhere in it.
#[test]
fn a_list_is_believed_where_a_configuration_says_which_image_ran() {
    let folder = Folder::of(&[KERNEL]);
    std::fs::write(folder.path("not-there"), elf::executable(elf::AARCH64)).unwrap();
    let text = config(folder.folder.path(), "one", "first");
    let compiled = ["compile", &text, "-o", "./vm.blob"];
    assert_eq!(folder.tool(&compiled).1, "");
    let arguments = [
        "decode",
        "-",
        "--config",
        "./vm.blob",
        "--guest",
        "./System.map",
    ];
    let (text, told) = folder.tool(&arguments);
    assert!(text.contains("  amba_read_periphid\n"), "{text}");
    assert_eq!(told, "");
}

#[test]
fn a_kernel_that_was_moved_is_suspected_where_nothing_has_a_name() {
    let moved = 0x0000_2b40_0000;
    let folder = Folder::of(&[KERNEL + moved, KERNEL + moved + 4, PROCESS]);
    let (functions, told) = folder.functions("./System.map");
    assert_eq!(functions, [""; 3]);
    insta::assert_snapshot!(told, @"warning: names of functions are missing for VM vm0: of 2 addresses in its kernel none is in the list. It is another kernel's, or the kernel was moved when it booted (KASLR): boot it with `nokaslr`, or take its own /proc/kallsyms");
    let (_, told) = folder.tool(&["stats", "-", "--guest", "./System.map"]);
    assert!(told.contains("(KASLR)"), "{told}");
}

#[test]
fn that_modules_are_not_in_a_system_map_is_told() {
    let folder = Folder::of(&[KERNEL, MODULE]);
    let (functions, told) = folder.functions("./System.map");
    assert_eq!(functions, ["amba_read_periphid", ""]);
    insta::assert_snapshot!(told, @"warning: names of functions are missing for VM vm0: of 2 addresses in its kernel 1 are not in the list. Functions of modules are in /proc/kallsyms alone");
    // A list that has modules has all that there is.
    let folder = Folder::of(&[KERNEL, MODULE + (1 << 20)]);
    assert_eq!(folder.functions("./kallsyms").1, "");
}

#[test]
fn addresses_that_no_kernel_has_are_told() {
    let folder = Folder::of(&[PROCESS, 0x4008_0000]);
    let (functions, told) = folder.functions("./kallsyms");
    assert_eq!(functions, [""; 2]);
    insta::assert_snapshot!(told, @"warning: names of functions are missing for VM vm0: of 2 addresses none is its kernel's; those of processes, and of a kernel that has not yet turned on its MMU, are in no list of symbols");
    assert_eq!(Folder::of(&[]).functions("./kallsyms").1, "");
}

#[test]
fn a_damaged_list_is_refused_with_its_file_and_line() {
    let folder = Folder::of(&[KERNEL]);
    let damaged = SYSTEM_MAP.replace("W amba", "amba");
    std::fs::write(folder.path("System.map"), damaged).unwrap();
    let (text, told) = folder.tool(&["decode", "-", "--guest", "./System.map"]);
    assert_eq!(text, "");
    insta::assert_snapshot!(told, @r#"error: cannot read the functions of System.map: line 3 is damaged: it is no `ADDRESS TYPE NAME`, with `[MODULE]` behind it or not: "ffff800008010000 amba_read_periphid"; nothing of the list is taken, since the functions around it would get wrong names; copy it again"#);
}

#[test]
fn a_list_is_never_an_output() {
    let folder = Folder::of(&[KERNEL]);
    let arguments = [
        "decode",
        "-",
        "--guest",
        "./kallsyms",
        "--text",
        "./kallsyms",
    ];
    let (_, told) = folder.tool(&arguments);
    assert!(told.starts_with("error: "), "{told}");
    let kept = std::fs::read_to_string(folder.path("kallsyms")).unwrap();
    assert_eq!(kept, KALLSYMS);
}
