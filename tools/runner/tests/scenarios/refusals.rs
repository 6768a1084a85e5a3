//! What is told before anything boots.

use crate::everywhere::everywhere;
use crate::platforms::root;
use runner::Failure;

#[test]
fn a_configuration_with_mistakes_boots_nothing_and_names_each() {
    everywhere("refused", |outcome| {
        let Err(Failure::Config(text)) = &outcome.ran.result else {
            panic!("it was not refused");
        };
        assert!(
            text.contains("refused.conf:6:9") && text.contains("refused.conf:7:16"),
            "{text}"
        );
    });
}

/// As `make run` calls it where there is no SDK.
fn runner_without_sdk(arguments: &[&str]) -> (bool, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_runner"))
        .args(arguments)
        .current_dir(root())
        .env("MICROKIT_SDK", "")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), said)
}

#[test]
fn the_command_refuses_a_configuration_with_the_diagnostics_and_a_bad_status() {
    let (success, said) = runner_without_sdk(&["run", "tools/runner/scenarios/refused.conf"]);
    assert!(!success && said.contains("refused.conf:6:9"), "{said}");
}

#[test]
fn the_command_says_what_to_set_when_there_is_no_sdk() {
    let (success, said) = runner_without_sdk(&["run", "vm.conf", "--platform", "microkit"]);
    assert!(!success && said.contains("set MICROKIT_SDK"), "{said}");
}
