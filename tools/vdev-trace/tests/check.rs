//! `check` and `compile`: what is wrong with a dump, and with a configuration wherever it comes from.

mod machine;

use machine::{HEAD, PAGE, config, decode, elf, one_read, said, set_header, tool, vdev_trace};
use std::path::Path;
use std::process::Command;
use vm_config::VmConfig;

#[test]
fn check_tells_a_whole_dump_from_a_damaged_one() {
    let check = |dump: &[u8]| vdev_trace(dump, &["check", "-"]);
    let whole = check(&one_read(0));
    assert!(whole.status.success(), "{}", said(&whole.stderr));
    assert_eq!(
        said(&whole.stdout),
        "vm0 Trace: ring at offset 0x1000: whole, 1 records\n"
    );
    let mut wrong_head = one_read(0);
    set_header(&mut wrong_head, HEAD, 77);
    let mut torn = one_read(0);
    torn[2 * PAGE] ^= 0xff;
    let mut version = one_read(0);
    set_header(&mut version, 1, 9);
    for damaged in [
        &wrong_head[..],
        &torn,
        &version,
        &one_read(0)[..2 * PAGE + 64],
    ] {
        let output = check(damaged);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            said(&output.stdout).contains("damaged"),
            "{}",
            said(&output.stdout)
        );
    }
    let empty = check(&[0; 2 * PAGE]);
    assert_eq!(said(&empty.stderr), "error: - holds no ring\n");
    assert_eq!(empty.status.code(), Some(1));
}

#[test]
fn check_still_checks_configurations() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "vm.conf", "first");
    let images = folder.path().to_str().unwrap();
    let output = tool(&["check", &path, "--images", images]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output.stderr).contains("vm.conf:4:6"),
        "{}",
        said(&output.stderr)
    );
    std::fs::write(
        folder.path().join("not-there"),
        elf::executable(elf::AARCH64),
    )
    .unwrap();
    assert!(tool(&["check", &path, "--images", images]).status.success());
}

#[test]
fn a_missing_image_is_an_error_at_the_line_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "vm.conf", "first");
    let blob = folder.path().join("vm.blob");
    let images = folder.path().to_str().unwrap();
    let output = tool(&[
        "compile",
        &path,
        "--images",
        images,
        "-o",
        blob.to_str().unwrap(),
    ]);
    assert!(!output.status.success() && !blob.exists());
    let text = said(&output.stderr);
    assert!(
        text.contains("vm.conf:4:6") && text.contains("not-there"),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "no colour but on a terminal");
}

/// `CLICOLOR_FORCE` stands for a terminal.
#[test]
fn colour_is_as_the_environment_wants_it_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let wrong = file("wrong.conf", b"nonsense");
    let dump = one_read(0);
    let damaged = file("damaged", &dump[..dump.len() - PAGE - 64]);
    for arguments in [
        &["check", &wrong][..],
        &["compile", &wrong, "-o", "/dev/null"],
        &["decode", &damaged, "--config", &wrong],
        &["decode", &damaged, "--text", "-"],
        &["decode", "--nonsense"],
        &["--help"],
    ] {
        let coloured = |no_color: Option<&str>| {
            let mut tool = Command::new(env!("CARGO_BIN_EXE_vdev-trace"));
            tool.args(arguments)
                .env("CLICOLOR_FORCE", "1")
                .env_remove("NO_COLOR");
            tool.envs(no_color.map(|value| ("NO_COLOR", value)));
            let output = tool.output().unwrap();
            let both = [output.stdout, output.stderr].concat();
            both.contains(&0x1b)
        };
        assert!(coloured(None), "{arguments:?}");
        assert!(!coloured(Some("1")), "{arguments:?}");
    }
}

#[test]
fn what_means_nothing_here_is_told_and_with_strict_refused() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().to_str().unwrap();
    std::fs::write(folder.path().join("image"), elf::executable(elf::AARCH64)).unwrap();
    let text = b"system x\nram 0x40000000,2M\nload image\nset debug off\n";
    let arguments = ["check", "-", "--images", images];
    let told = vdev_trace(text, &arguments);
    assert!(told.status.success(), "{}", said(&told.stderr));
    let warning = "warning: `debug` is a configuration variable of the QNX hypervisor";
    assert!(
        said(&told.stderr).starts_with(warning),
        "{}",
        said(&told.stderr)
    );
    let strict = vdev_trace(text, &[&arguments[..], &["--strict"]].concat());
    assert_eq!(strict.status.code(), Some(1));
    let error = warning.replace("warning", "error");
    assert!(
        said(&strict.stderr).starts_with(&error),
        "{}",
        said(&strict.stderr)
    );
}

#[test]
fn a_configuration_is_checked_wherever_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().to_str().unwrap();
    std::fs::write(folder.path().join("image"), elf::executable(elf::AARCH64)).unwrap();
    let text = b"system x\nram 0x40000000,2M\nload image\n";
    let check = |text: &[u8]| vdev_trace(text, &["check", "-", "--images", images]);
    let good = check(text);
    assert!(good.status.success(), "{}", said(&good.stderr));
    let wrong = check(b"system x\nram 0x40000000,2M\nload no-image\n");
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        said(&wrong.stderr).contains("-:3:6"),
        "{}",
        said(&wrong.stderr)
    );
    // A pipe with a name cannot be opened a second time.
    let pipe = Command::new("sh")
        .args(["-c", "cat \"$2\" | \"$0\" check /dev/stdin --images \"$1\""])
        .args([env!("CARGO_BIN_EXE_vdev-trace"), images])
        .arg(config(folder.path(), "vm.conf", "x"))
        .output()
        .unwrap();
    assert!(
        said(&pipe.stderr).contains("stdin:4:6"),
        "{}",
        said(&pipe.stderr)
    );
}

#[test]
fn a_configuration_in_utf_16_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let text = "system größer\nram 0x40000000,2M\nload image\n";
    let plain = "system x\nload image\n";
    let little =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let big = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_be_bytes).collect() };
    for bytes in [
        [b"\xff\xfe".to_vec(), little(text)].concat(),
        [b"\xfe\xff".to_vec(), big(text)].concat(),
        little(plain),
        big(plain),
    ] {
        let path = folder.path().join("vm.conf");
        std::fs::write(&path, &bytes).unwrap();
        let path = path.to_str().unwrap();
        for output in [
            vdev_trace(&bytes, &["check", "-"]),
            tool(&["check", path]),
            tool(&["compile", path, "-o", "/dev/null"]),
            decode(&one_read(0), &["--config", path]),
        ] {
            assert_eq!(output.status.code(), Some(1));
            let told = said(&output.stderr);
            assert!(
                told.starts_with("error: the file is UTF-16, not UTF-8\n"),
                "{told}"
            );
            assert!(
                told.contains(":1:1\n") && told.contains("system "),
                "{told}"
            );
        }
    }
}

#[test]
fn compile_writes_what_a_machine_boots_and_over_no_file_that_it_read() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let text = "system demo ram 0x40000000,2M load my.elf load 0x40000010,data\n";
    std::fs::write(place("vm.conf"), text).unwrap();
    let image = elf::executable(elf::AARCH64);
    std::fs::write(place("my.elf"), &image).unwrap();
    std::fs::write(place("data"), b"beside").unwrap();
    let (config, blob, region) = (place("vm.conf"), place("vm.blob"), place("guest.image"));
    let compile = |region: &str| tool(&["compile", &config, "-o", &blob, "--image-region", region]);
    let output = compile(&region);
    assert!(output.status.success(), "{}", said(&output.stderr));
    let blob = std::fs::read(&blob).unwrap();
    let region = std::fs::read(region).unwrap();
    let compiled = VmConfig::parse(&blob).unwrap();
    let pieces: Vec<_> = compiled
        .pieces()
        .map(|piece| {
            (
                piece.address,
                &region[piece.offset as usize..piece.end() as usize],
            )
        })
        .collect();
    let wanted = [(elf::START, &image[..16]), (0x4000_0010, &b"beside"[..])];
    assert_eq!(pieces, wanted);
    let refused = compile(&place("data"));
    assert!(!refused.status.success());
    assert_eq!(std::fs::read(place("data")).unwrap(), b"beside");
}

#[test]
fn compile_writes_the_device_tree_that_a_guest_is_given_where_it_is_given_one() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (config, blob, tree) = (place("vm.conf"), place("vm.blob"), place("vm.dtb"));
    std::fs::write(place("data"), b"guest").unwrap();
    let compile = |rest: &str| {
        let text = format!("system demo ram 0x40000000,2M load 0x40000000,data {rest}\n");
        std::fs::write(&config, text).unwrap();
        tool(&["compile", &config, "-o", &blob, "--device-tree", &tree])
    };
    let output = compile("");
    assert_eq!(output.status.code(), Some(1));
    let told = said(&output.stderr);
    assert!(
        told.ends_with("vm.conf is given no device tree\n"),
        "{told}"
    );
    assert!(!Path::new(&tree).exists() && !Path::new(&blob).exists());
    let output = compile("fdt make");
    assert!(output.status.success(), "{}", said(&output.stderr));
    let tree = std::fs::read(tree).unwrap();
    // *Devicetree Specification*, section 5.2: the magic number, and the length.
    assert_eq!(tree[..4], [0xd0, 0x0d, 0xfe, 0xed]);
    assert_eq!(tree[4..8], (tree.len() as u32).to_be_bytes());
}

#[test]
fn a_compiled_configuration_is_known_whatever_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let text = file("vm.conf", b"system demo ram 0x40000000,2M load my.elf");
    file("my.elf", &elf::executable(elf::AARCH64));
    let blob = folder.path().join("vm.blob");
    let blob = blob.to_str().unwrap();
    assert!(tool(&["compile", &text, "-o", blob]).status.success());
    let checked = tool(&["check", blob]);
    assert!(checked.status.success());
    let told = said(&checked.stdout);
    assert!(
        told.ends_with("vm.blob: the compiled configuration of VM demo: whole\n"),
        "{told}"
    );
    let again = tool(&["compile", blob, "-o", "/dev/null"]);
    assert!(!again.status.success());
    let told = said(&again.stderr);
    assert!(
        told.ends_with("is a compiled configuration already; its text is wanted\n"),
        "{told}"
    );
    let mut older = [0; 1600];
    older[..8].copy_from_slice(b"VMCF\x02\x00\x40\x06");
    let older = file("older.blob", &older);
    let sentence = "older.blob: the compiled VM configuration has layout version 2, and this program \
                    reads version 5: compile it again, with the tools of the same build\n";
    for output in [
        tool(&["check", &older]),
        decode(&one_read(0), &["--config", &older]),
    ] {
        assert_eq!(output.status.code(), Some(1));
        let told = said(&output.stderr);
        assert!(
            told.starts_with("error: ") && told.ends_with(sentence),
            "{told}"
        );
    }
    // Nor does one of this version belong to a trace of an older.
    let old_dump = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/version-1/memory.dump");
    let mixed = tool(&["decode", old_dump, "--config", blob]);
    assert_eq!(mixed.status.code(), Some(1));
    let told = said(&mixed.stderr);
    let why = "was compiled for a system of version 4: it is another system's. Give the \
               configuration's text\n";
    assert!(told.contains("have layout version 1, and ") && told.contains("vm.blob"));
    assert!(told.ends_with(why), "{told}");
    let mut dump = one_read(0);
    assert!(decode(&dump, &["--config", blob]).status.success());
    set_header(&mut dump, 1, 3);
    let told = said(&decode(&dump, &["--config", blob]).stderr);
    assert!(
        told.contains("have layout version 3, and ") && told.ends_with(why),
        "{told}"
    );
    assert!(
        tool(&["decode", old_dump, "--config", &text])
            .status
            .success()
    );
}

/// Each header of this image claims the whole file: together far more than any machine has.
#[cfg(target_os = "linux")]
#[test]
fn an_image_whose_headers_claim_more_than_there_is_costs_no_memory() {
    const HEADERS: u16 = 60_000;
    let mut image = elf::executable(elf::AARCH64)[..64].to_vec();
    image[56..58].copy_from_slice(&HEADERS.to_le_bytes());
    // No section headers.
    image[40..48].fill(0);
    image[60..64].fill(0);
    let len_bytes = 64 + 56 * u64::from(HEADERS);
    for _ in 0..HEADERS {
        image.extend([1_u32, 7].iter().flat_map(|word| word.to_le_bytes()));
        let words = [0, elf::START, elf::START, len_bytes, len_bytes, 4096];
        image.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("my.elf"), image).unwrap();
    let path = folder.path().join("vm.conf");
    std::fs::write(&path, "system demo\nram 0x40000000,16M\nload my.elf\n").unwrap();
    // In KiB.
    let limited = "ulimit -v 1048576 && exec \"$@\"";
    let output = Command::new("sh")
        .args(["-c", limited, "sh", env!("CARGO_BIN_EXE_vdev-trace")])
        .arg("check")
        .arg(&path)
        .output()
        .unwrap();
    let said = said(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in ["has segments that overlap", "60000 pieces"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
