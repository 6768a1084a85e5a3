//! What is a list of symbols, which of its names an address gets, and what is said of what is none.

use super::*;

/// As Debian's kernel for arm64 has them, with everything between left out.
const SYSTEM_MAP: &str = "\
0000000000000000 A _kernel_flags_le_hi32
ffff800008000000 T _text
ffff800008010000 T __irqentry_text_start
ffff800008010000 T _stext
ffff800008010000 t gic_handle_irq
ffff800008010100 t $x
ffff800008010200 T __memcpy
ffff800008010200 T __pi_memcpy
ffff800008010200 W memcpy
ffff800008010400 W __arm64_sys_quotactl
ffff800008010400 t sys_ni_syscall
ffff800008010800 d a_table_in_the_code
ffff800008010900 t vdso_fault
ffff800008011000 D _etext
ffff800008900000 R __start_rodata
ffff800008a00000 T start_of_init_code
ffff800008a00100 T _einittext
ffff800009000000 B _end
";

fn list(text: &str) -> SymbolList {
    SymbolList::read(text.as_bytes()).unwrap_or_else(|refused| panic!("{refused}"))
}

fn name(list: &SymbolList, address: u64) -> &str {
    list.at(address).map_or("-", |(name, _)| name)
}

fn refused(text: &str) -> Refused {
    SymbolList::read(text.as_bytes()).err().unwrap()
}

#[test]
fn an_address_is_in_the_closest_function_at_or_below_it() {
    let list = list(SYSTEM_MAP);
    for (address, function) in [
        (0xffff_8000_0801_0000, "gic_handle_irq"),
        (0xffff_8000_0801_01ff, "gic_handle_irq"),
        (0xffff_8000_0801_0200, "__memcpy"),
        (0xffff_8000_0801_0410, "sys_ni_syscall"),
        (0xffff_8000_0801_0904, "vdso_fault"),
        (0xffff_8000_08a0_00ff, "start_of_init_code"),
    ] {
        assert_eq!(name(&list, address), function, "{address:#x}");
    }
}

#[test]
fn what_is_not_in_a_function_has_no_name() {
    let list = list(SYSTEM_MAP);
    for address in [
        // A process, and the kernel before it has turned on its MMU.
        0,
        0x0000_aaaa_d5c0_1234,
        0x4021_0100,
        0xffff_7fff_ffff_ffff,
        // Data between functions, and behind them.
        0xffff_8000_0801_0800,
        0xffff_8000_0801_1000,
        0xffff_8000_08a0_0100,
        // A module, of which a `System.map` knows nothing.
        0xffff_8000_00b3_1000,
        0xffff_8000_0900_0000,
        u64::MAX,
    ] {
        assert_eq!(list.at(address), None, "{address:#x}");
    }
}

#[test]
fn the_last_function_is_not_endless() {
    let list = list("ffff800008010000 T last\n");
    assert_eq!(name(&list, 0xffff_8000_0801_ffff), "last");
    assert_eq!(list.at(0xffff_8000_0802_0000), None);
    let list = super::SymbolList::read(b"fffffffffffffff0 T last\n").unwrap();
    assert_eq!(name(&list, u64::MAX - 1), "last");
}

#[test]
fn of_several_names_one_counts_whatever_their_order() {
    for (names, chosen) in [
        (["T __pi_strlen", "W strlen"], "strlen"),
        (["W stand_in", "t definition"], "definition"),
        (["T __softirqentry_text_start", "T ____run"], "____run"),
        (["T ___run", "T _run"], "_run"),
        (["D data", "t code"], "code"),
        (["T __efistub_memset", "t __memset"], "__memset"),
        (["T _etext", "t code"], "code"),
    ] {
        for [one, other] in [[names[0], names[1]], [names[1], names[0]]] {
            let text = format!("ffff800008010000 {one}\nffff800008010000 {other}\n");
            assert_eq!(name(&list(&text), 0xffff_8000_0801_0004), chosen, "{text}");
        }
    }
    let equals = list("ffff800008010000 T second\nffff800008010000 T first\n");
    assert_eq!(name(&equals, 0xffff_8000_0801_0000), "second");
}

#[test]
fn symbols_that_are_no_places_neither_name_nor_end_a_function() {
    for symbol in [
        "t $x",
        "t $d.17",
        "t .Lloop",
        "a number",
        "A number",
        "N debug",
        "t __kvm_nvhe_$x",
    ] {
        let text = format!("ffff800008010000 T run\nffff800008010010 {symbol}\n");
        assert_eq!(name(&list(&text), 0xffff_8000_0801_0010), "run", "{symbol}");
    }
    for symbol in [
        "d data", "R data", "b data", "V object", "? what", "T _etext",
    ] {
        let text = format!("ffff800008010000 T run\nffff800008010010 {symbol}\n");
        assert_eq!(list(&text).at(0xffff_8000_0801_0010), None, "{symbol}");
    }
}

#[test]
fn functions_of_modules_stand_in_any_order_with_their_module() {
    let list = list(
        "ffff800008010000 T run\n\
                     ffff800000b32000 t second\t[virtio_net]\n\
                     ffff800000b31000 t first\t[virtio_net]\n\
                     ffff800000a00000 t other    [rtc_pl031]\n",
    );
    for (address, found) in [
        (0xffff_8000_0801_0000, Some(("run", None))),
        (0xffff_8000_00b3_1fff, Some(("first", Some("virtio_net")))),
        (0xffff_8000_00b3_2fff, Some(("second", Some("virtio_net")))),
        (0xffff_8000_00a0_0000, Some(("other", Some("rtc_pl031")))),
        // Behind the last of a module.
        (0xffff_8000_00a1_0000, None),
    ] {
        assert_eq!(list.at(address), found, "{address:#x}");
    }
    assert!(list.has_modules());
    assert!(
        !super::SymbolList::read(SYSTEM_MAP.as_bytes())
            .unwrap()
            .has_modules()
    );
}

#[test]
fn a_copy_from_a_terminal_is_the_same_list() {
    let list = list(&SYSTEM_MAP.replace('\n', "\r\n"));
    assert_eq!(name(&list, 0xffff_8000_0801_0904), "vdso_fault");
}

#[test]
fn a_kernel_of_32_bits_has_shorter_addresses() {
    let list = list("c0008000 T stext\nc0008010 t run\n");
    assert_eq!(name(&list, 0xc000_8014), "run");
}

#[test]
fn what_is_damaged_is_told_by_its_line() {
    let line = |third: &str| {
        refused(&format!(
            "ffff800008010000 T a\nffff800008010010 T b\n{third}\n"
        ))
    };
    for (third, fault) in [
        ("ffff8000080", Fault::Words),
        ("", Fault::Words),
        ("ffff800008010020 T", Fault::Words),
        (" ffff800008010020 T c", Fault::Words),
        ("ffff800008010020 T c [m] d", Fault::Words),
        ("ffff800008010020 T c m", Fault::Words),
        ("ffff800008010020 T c\t[]", Fault::Words),
        ("ff800008010020 T c", Fault::Address),
        ("+fff800008010020 T c", Fault::Address),
        ("00000000ffff800008010020 T c", Fault::Address),
        ("c0008010 T c", Fault::Address),
        ("ffff800008010020 Tt c", Fault::Type),
        ("ffff800008010020 7 c", Fault::Type),
        ("ffff800008010020 T c\u{1b}[2J", Fault::Characters),
        ("ffff800008010020 T größe", Fault::Characters),
        ("ffff800008010020 T c\0", Fault::Characters),
    ] {
        let Refused::Line {
            number, fault: is, ..
        } = line(third)
        else {
            panic!("{third}: {}", line(third));
        };
        assert_eq!((number, is), (3, fault), "{third}");
    }
    let long = line(&format!("ffff800008010020 T {}", "c".repeat(1 << 20)));
    assert!(matches!(
        long,
        Refused::Line {
            fault: Fault::TooLong,
            ..
        }
    ));
    assert!(long.to_string().len() < 500);
}

#[test]
fn what_is_refused_says_what_to_do() {
    let dead = "ffff800008010000 T a\nffff8000\x1b[2J\nffff800008010010 T b\n";
    insta::assert_snapshot!(refused(dead), @r#"line 2 is damaged: it has characters that are in no symbol's name: "ffff8000\u{1b}[2J"; nothing of the list is taken, since the functions around it would get wrong names; copy it again"#);
    let cut = "ffff800008010000 T a\nffff800008010010 T b";
    insta::assert_snapshot!(refused(cut), @"line 2, its last, has no end: the list was cut off there; copy it again");
    let two = "ffff800008010000 T a\nffff800008010010 T b\nffff800008010000 T a\n";
    insta::assert_snapshot!(refused(two), @"line 3 has a lower address than the line before: a kernel's symbols are in the order of their addresses. Two lists in one file, or lines that were moved; copy it again");
    let hidden = "0000000000000000 T a\n0000000000000000 t b\t[m]\n";
    insta::assert_snapshot!(refused(hidden), @"all of its addresses are 0, because the guest's kernel hid them: copy /proc/kallsyms again, as root and with the setting kernel.kptr_restrict at 0 or 1 (`sysctl kernel.kptr_restrict=1`)");
    let data = "ffff800008010000 D a\n";
    insta::assert_snapshot!(refused(data), @"it has no functions, which are the symbols of the types t, T, w and W; is it the kernel's?");
    insta::assert_snapshot!(refused(""), @"it is empty; copy it again");
    let other = "[package]\nname = \"x\"\n";
    insta::assert_snapshot!(refused(other), @r#"it is neither an ELF file nor a list of symbols, as its line 1 is no `ADDRESS TYPE NAME`: "[package]""#);
    let debian =
        "ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n";
    insta::assert_snapshot!(refused(debian), @r#"it only says: "The real System.map is in the linux-image-<version>-dbg package"; take the file from there, or a copy of the guest's /proc/kallsyms"#);
}

#[test]
fn other_files_are_not_searched_for_lines() {
    for text in [&b"\0\0\0\0"[..], b"MZ\0\0\n\n", b"\xff\xfea\0", b"\n"] {
        let refused = SymbolList::read(text).err().unwrap();
        assert!(matches!(refused, Refused::OtherFile(_)), "{refused}");
    }
    assert_eq!(
        refused("ffff800008010000 T a"),
        Refused::CutOff { number: 1 }
    );
}

#[test]
fn a_list_that_is_too_long_is_not_read() {
    let line = b"ffff800008010000 T a\n";
    let text = line.repeat(MAX_BYTES / line.len() + 1);
    assert_eq!(SymbolList::read(&text).err(), Some(Refused::TooLong));
}

#[test]
fn the_kernel_has_the_upper_half() {
    let list = list(SYSTEM_MAP);
    assert!(list.is_in_kernel_half(0xffff_0000_0000_0000));
    assert!(!list.is_in_kernel_half(0x0000_ffff_ffff_ffff));
}
