//! Nobody but a device's own file, the list and who uses it in a test knows a device by its name: who adds or
//! changes one has that file to look at and no other.

use regex::Regex;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use vdev_model::AnyVdev;
use vdevs::Vdev;

/// Where devices have names: their own folder, what tests them, and guests, which are written for some.
const FREE: &[&str] = &["vdevs", "tests", "tests.rs", "fuzz", "guest"];

/// Programs of this folder boot systems, whose configurations they write down.
const WRITES_CONFIGURATIONS: &str = "tools/runner/src";

/// Words in quotes that are the names of something else as well.
const OTHERS: &[(&str, &str)] = &[
    // The component, which is attacked.
    ("crates/isolation/attacks/src/lib.rs", "trace"),
    // A board's own serial port.
    ("tools/system-description/src/board.rs", "pl011"),
];

/// The ways to know a device.
struct Rules {
    /// By its word in a configuration.
    configuration: Regex,
    /// By its file, or as one of the list.
    code: Regex,
    /// By its word.
    word: String,
}

impl Rules {
    fn of(vdev: Vdev) -> Self {
        let name = regex::escape(vdev.kind().name);
        let module = module(vdev);
        let regex = |text: String| Regex::new(&text).unwrap();
        Self {
            configuration: regex(format!(r"\bvdev\s+{name}(\W|$)")),
            code: regex(format!(
                r"\bvdevs::(\{{[^}}]*\b)?{module}\b|\b(Vdev|Local|Device\w*)::{vdev:?}\b"
            )),
            word: format!("\"{}\"", vdev.kind().name),
        }
    }

    /// What in `code`, which is of the file at `path`, knows the device.
    fn found(&self, path: &str, code: &str) -> Option<String> {
        let is_other = OTHERS
            .iter()
            .any(|(other, word)| path == *other && self.word == format!("\"{word}\""));
        let word = (!is_other && code.contains(&self.word)).then(|| self.word.clone());
        let rules = [&self.code, &self.configuration];
        let rules = &rules[..if path.starts_with(WRITES_CONFIGURATIONS) {
            1
        } else {
            2
        }];
        let mut found = rules.iter().filter_map(|rule| rule.find(code));
        word.or(found.next().map(|found| found.as_str().to_owned()))
    }
}

/// The name of the device's file.
fn module(vdev: Vdev) -> String {
    vdev.kind().name.replace('-', "_")
}

/// A file of Rust without its comments and the tests at its end.
fn code(text: &str) -> String {
    static LITERAL_OR_COMMENT: LazyLock<Regex> = LazyLock::new(|| {
        let pattern =
            r##"(?s)(?<literal>'(?:\\.|[^'\\])'|r#".*?"#|"(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/"##;
        Regex::new(pattern).unwrap()
    });
    static TESTS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"#\[cfg\(test\)\]\s*mod \w+ \{").unwrap());
    let code = LITERAL_OR_COMMENT.replace_all(text, "${literal}");
    let tests = TESTS.find(&code).map_or(code.len(), |tests| tests.start());
    code[..tests].to_owned()
}

/// The files of Rust in `folder` that must not know a device.
fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if FREE.contains(&name) || name.starts_with('.') || matches!(name, "target" | "out") {
            continue;
        }
        if path.is_dir() {
            files(&path, into);
        } else if name.ends_with(".rs") {
            into.push(path);
        }
    }
}

#[test]
fn no_file_knows_a_device_by_its_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut paths = Vec::new();
    files(&root, &mut paths);
    assert!(paths.len() > 200, "{}", paths.len());
    let rules: Vec<Rules> = Vdev::ALL.iter().copied().map(Rules::of).collect();
    let mut known = Vec::new();
    for path in &paths {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        let code = code(&std::fs::read_to_string(path).unwrap());
        let found = rules.iter().filter_map(|rules| rules.found(name, &code));
        known.extend(found.map(|found| format!("{name}: {found}")));
    }
    assert!(known.is_empty(), "{known:#?}");
    for (path, word) in OTHERS {
        let text = std::fs::read_to_string(root.join(path)).unwrap();
        assert!(code(&text).contains(&format!("\"{word}\"")), "{path}");
    }
}

#[test]
fn each_way_to_know_a_device_is_found() {
    for vdev in Vdev::ALL {
        let (name, module, rules) = (vdev.kind().name, module(*vdev), Rules::of(*vdev));
        let found = |text: String| rules.found("pd-vmm/src/main.rs", &code(&text)).is_some();
        for text in [
            format!("use vdevs::{module}::KIND;"),
            format!("use vdevs::{{Vdev, {module}}};"),
            format!("match device.vdev {{ Vdev::{vdev:?} => 1, _ => 2 }}"),
            format!("Device::{vdev:?} {{ location }}"),
            format!("let text = \"vdev {name} loc 0\";"),
            format!("let text = \"cpu\nvdev {name}\";"),
            format!("if kind.name == \"{name}\" {{}}"),
            format!("let quote = '\"'; // \"\nif kind.name == \"{name}\" {{}}"),
        ] {
            assert!(found(text.clone()), "{text}");
        }
        for text in [
            format!("//! As `vdev {name}` does."),
            format!("let {module} = {module}::new(); /* \"{name}\" */"),
            format!("use vdevs::Vdev;\nuse x::{module};"),
            format!("let word = \"vdev-{name}\";"),
            format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n    const A: &str = \"{name}\";\n}}"),
        ] {
            assert!(!found(text.clone()), "{text}");
        }
    }
}
