//! Which VMs a run is of, and how they are held against each other and the system description.
//! Needs no emulator and no SDK: everything here is told before anything boots.

mod stand_ins;

use runner::{
    Architecture, Board, Failure, Microkit, SystemDescription, compile, configurations,
    on_architecture,
};
use stand_ins::{boards, elf, write_image};
use std::path::{Path, PathBuf};
use vmconf::images::{Images, Machine};

fn images(folder: &Path) -> Images<'_> {
    let machine = Some(Machine::Aarch64);
    Images { folder, machine }
}

/// A folder with a configuration for each of the texts, in their order.
fn folder_of(texts: &[&str]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    write_image(folder.path(), elf::AARCH64);
    for (number, text) in texts.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{number}.conf")), text).unwrap();
    }
    let files = configurations(folder.path(), Path::new("nowhere")).unwrap();
    assert_eq!(files.len(), texts.len());
    (folder, files)
}

/// What is said when these VMs are to run on seL4 with the system description `system`.
fn refusal(texts: &[&str], system: &str) -> String {
    let (folder, files) = folder_of(texts);
    let system_path = folder.path().join("two.xml");
    std::fs::write(&system_path, system).unwrap();
    let system = SystemDescription::Written(system_path);
    told((folder, files), "qemu_virt_aarch64", system)
}

/// What is said when these VMs are to run on a board, with a description that is made.
fn refusal_by(board: &str, texts: &[&str]) -> String {
    told(folder_of(texts), board, SystemDescription::Made(Vec::new()))
}

fn told(
    (folder, files): (tempfile::TempDir, Vec<PathBuf>),
    board: &str,
    system: SystemDescription,
) -> String {
    let boards = boards();
    let microkit = Microkit {
        sdk: "no SDK".into(),
        board_name: board.into(),
        board: Board::load(&boards, board).unwrap(),
        config: "release".into(),
        domains: "nowhere".into(),
        system,
    };
    let work = folder.path().join("run");
    let described = compile(&files, images(folder.path()))
        .and_then(|compiled| microkit.describe(&work, &compiled));
    match described {
        Ok(()) => String::new(),
        Err(Failure::Config(text)) => {
            let place = format!("{}/", folder.path().display());
            text.replace(&place, "")
        }
        Err(failure) => panic!("{failure}"),
    }
}

const FIRST: &str = "system first\nram 0x40000000,2M\nload guest\n";
const SECOND: &str = "system second\nram 0x40000000,2M\nload guest\n";
const TWO: &str = r#"<system>
<memory_region name="a" size="0x20_0000" />
<memory_region name="b" size="0x400000" />
<virtual_machine name="first"><map mr="a" vaddr="0x40000000" /></virtual_machine>
<virtual_machine name="second"><map mr="a" vaddr="0x40000000" /></virtual_machine>
</system>"#;

#[test]
fn a_folder_is_a_vm_for_each_configuration_in_the_order_of_the_names() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b.conf", "a.conf", "README", "c.txt"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let files = configurations(folder.path(), Path::new("nowhere")).unwrap();
    let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap()).collect();
    assert_eq!(names, ["a.conf", "b.conf"]);
}

#[test]
fn a_bare_name_is_a_scenario_with_one_vm_or_several() {
    let scenarios = tempfile::tempdir().unwrap();
    std::fs::create_dir(scenarios.path().join("pair")).unwrap();
    for name in ["alone.conf", "pair/0.conf", "pair/1.conf"] {
        std::fs::write(scenarios.path().join(name), "").unwrap();
    }
    let of = |name: &str| configurations(Path::new(name), scenarios.path()).unwrap();
    assert_eq!(of("alone"), [scenarios.path().join("alone.conf")]);
    assert_eq!(of("pair").len(), 2);
    // Whoever reads it says that it is not there, by the name that was given.
    assert_eq!(of("no-such-scenario"), [Path::new("no-such-scenario")]);
}

#[test]
fn a_scenario_has_the_console_of_the_architecture_and_its_file_stays_as_it_is() {
    let pl011 = "cmdline \"console=0x9000000\"\nvdev pl011\n    loc 0x9000000\n";
    let (folder, files) = folder_of(&[FIRST, pl011]);
    let work = folder.path().join("work");
    let on = |architecture| on_architecture(architecture, files.clone(), &work).unwrap();
    assert_eq!(on(Architecture::Aarch64), files);
    let adapted = on(Architecture::X86_64);
    assert_eq!(adapted[0], files[0], "nothing to change");
    assert_eq!(
        std::fs::read_to_string(&adapted[1]).unwrap(),
        "cmdline \"console=io:0x3f8\"\nvdev ser8250\n    loc io:0x3f8\n"
    );
    assert_eq!(std::fs::read_to_string(&files[1]).unwrap(), pl011);
}

#[test]
fn a_folder_without_a_configuration_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let said = configurations(folder.path(), Path::new("nowhere")).unwrap_err();
    assert!(said.contains("has no configuration"), "{said}");
}

#[test]
fn vms_that_fit_the_description_are_numbered() {
    assert_eq!(refusal(&[FIRST, SECOND], TWO), "");
    let (folder, files) = folder_of(&[FIRST, SECOND]);
    let compiled = compile(&files, images(folder.path())).unwrap();
    let numbers: Vec<u8> = compiled
        .iter()
        .map(|vm| vm_config::VmConfig::parse(&vm.blob).unwrap().vm())
        .collect();
    assert_eq!(numbers, [0, 1]);
}

#[test]
fn two_vms_of_one_name_are_refused_and_both_places_are_named() {
    let said = refusal(&[FIRST, FIRST], TWO);
    assert!(said.contains("two VMs have the name `first`"), "{said}");
    assert!(
        said.contains("1.conf:1:8") && said.contains("0.conf:1:8"),
        "{said}"
    );
}

#[test]
fn every_wrong_configuration_is_told_at_once() {
    let said = refusal(&["system a\nbogus\n", "system b\nwrong\n"], TWO);
    assert!(
        said.contains("0.conf:2:1") && said.contains("1.conf:2:1"),
        "{said}"
    );
}

#[test]
fn more_vms_than_the_description_has_are_refused() {
    let third = "system third\nram 0x40000000,2M\nload guest\n";
    let said = refusal(&[FIRST, SECOND, third], TWO);
    assert!(
        said.contains("2.conf:1:8") && said.contains("two.xml:5:1"),
        "{said}"
    );
    assert!(
        said.contains("there is no VM 2 in the system description"),
        "{said}"
    );
}

#[test]
fn fewer_vms_than_the_description_has_are_refused() {
    let said = refusal(&[FIRST], TWO);
    assert!(
        said.contains("0.conf:1:8") && said.contains("two.xml:5:1"),
        "{said}"
    );
    assert!(said.contains("VM 1 has no configuration"), "{said}");
}

#[test]
fn more_vms_than_a_system_can_have_are_refused() {
    let texts: Vec<String> = (0..9)
        .map(|number| format!("system vm{number}\nram 0x40000000,2M\nload guest\n"))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let said = refusal(&texts, TWO);
    assert_eq!(said, "error: 9 VMs, but a system has at most 8\n");
}

#[test]
fn ram_that_is_not_the_descriptions_is_refused_and_both_places_are_named() {
    let larger = "system second\nram 0x40000000,4M\nload guest\n";
    let said = refusal(&[FIRST, larger], TWO);
    assert!(said.contains("1.conf:2:5"), "{said}");
    assert!(
        said.contains("two.xml:5:32 gives it 0x200000 bytes at 0x40000000"),
        "{said}"
    );
    let elsewhere = "system second\nram 0x40001000,2M\nload guest\n";
    assert!(refusal(&[FIRST, elsewhere], TWO).contains("1.conf:2:5"));
    let more = TWO.replace(
        r#"vaddr="0x40000000" /></virtual_machine>
</system>"#,
        r#"vaddr="0x40000000" /><map mr="b" vaddr="0x80000000" /></virtual_machine>
</system>"#,
    );
    let said = refusal(&[FIRST, SECOND], &more);
    assert!(
        said.contains("1.conf:2:5") && said.contains("gives it 0x400000 bytes at 0x80000000"),
        "{said}"
    );
}

#[test]
fn vms_in_the_wrong_order_are_refused() {
    let said = refusal(&[SECOND, FIRST], TWO);
    assert!(said.contains("VM 0 has the name of VM 1"), "{said}");
    assert!(
        said.contains("0.conf:1:8") && said.contains("two.xml:5:1"),
        "{said}"
    );
}

#[test]
fn ram_that_a_board_does_not_have_is_refused_at_the_largest_range() {
    for board in ["qemu_virt_aarch64", "zcu102", "x86_64_generic_vtx"] {
        let much = "system much\nram 0x40000000,1G\nload guest\n";
        assert_eq!(refusal_by(board, &[FIRST, much]), "", "{board}");
        let more = "system more\nram 0x40000000,2M\nram 0x80000000,8G\nload guest\n";
        let said = refusal_by(board, &[FIRST, more]);
        assert!(
            said.contains("1.conf:3:5") && said.contains(&format!("{board} does not have")),
            "{said}"
        );
    }
}

#[test]
fn a_board_that_is_not_known_is_refused_with_those_that_are() {
    let boards = boards();
    let said = Board::load(&boards, "zcu103").unwrap_err();
    assert!(
        said.contains("zcu103.toml") && said.contains("zcu102"),
        "{said}"
    );
}

#[test]
fn a_device_with_an_interrupt_is_refused_on_a_board_whose_guests_get_none() {
    let with_interrupt = "system vm\nram 0x40000000,2M\nload guest\nvdev pl011\n    loc 0x9000000\n    intr gic:33\n";
    let said = refusal_by("imx8mp_evk", &[FIRST, with_interrupt]);
    assert!(
        said.contains("1.conf:6:") && said.contains("imx8mp_evk's guests get no interrupts"),
        "{said}"
    );
    assert_eq!(refusal_by("imx8mp_evk", &[FIRST, SECOND]), "");
    assert_eq!(refusal_by("odroidc4", &[FIRST, with_interrupt]), "");
}

#[test]
fn a_boards_file_with_a_key_that_means_nothing_is_refused_at_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let boards = boards();
    let text = std::fs::read_to_string(boards.join("zcu102.toml")).unwrap();
    let text = text.replace("observed_at", "observd_at");
    std::fs::write(folder.path().join("mine.toml"), text).unwrap();
    let said = Board::load(folder.path(), "mine").unwrap_err();
    assert!(
        said.contains("mine.toml") && said.contains("line 4") && said.contains("observd_at"),
        "{said}"
    );
}
