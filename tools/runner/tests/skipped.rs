//! `tools/skipped.sh`: what `make test` says of the scenarios that it could not run.

use std::path::Path;
use std::process::Command;

fn told(list: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../skipped.sh");
    let output = Command::new(script).arg(list).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn each_place_is_told_once_with_the_scenarios_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("skipped");
    assert_eq!(told(&list), "", "no test has left out anything");
    let mut lines = "one board debug (no SDK)\tb, c\nother (no SDK)\tb\n".to_owned();
    // Several tests leave out the same.
    for _ in 0..2 {
        lines += "one board debug (no SDK)\ta\n";
    }
    for number in 10..40 {
        lines += &format!("other (no SDK)\tscenario {number}\n");
    }
    std::fs::write(&list, lines).unwrap();
    let told = told(&list);
    let (one, other) = told.split_once('\n').unwrap();
    assert_eq!(one, "skipped: one board debug (no SDK): a, b, c");
    assert!(other.starts_with("skipped: other (no SDK): b, scenario 10, scenario 11,"));
    assert!(other.ends_with("scenario 39\n"));
    assert!(other.lines().all(|line| line.len() <= 101), "{other}");
    let mut rest = other.lines().skip(1);
    assert!(
        rest.all(|line| line.starts_with("    scenario ")),
        "{other}"
    );
}
