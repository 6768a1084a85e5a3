//! `logger` and `log`.

use crate::told::with;
use insta::assert_snapshot;

#[test]
fn an_unknown_severity_is_refused() {
    let text = "logger info,waring stdout\nvdev trace loc 0xfa000000 log chatty none\n";
    assert_snapshot!(with(text), @"
    error: `waring` is not a severity
     --> vm.conf:4:13
      |
    4 | logger info,waring stdout
      |             ^^^^^^
      |
      = help: did you mean `warning`?

    error: `chatty` is not a severity
     --> vm.conf:5:31
      |
    5 | vdev trace loc 0xfa000000 log chatty none
      |                               ^^^^^^
      |
      = help: there is `fatal`, `internal`, `error`, `warn`, `warning`, `info`, `debug`, `verbose`
    ");
}

#[test]
fn a_blank_in_a_list_of_severities_is_refused_once() {
    assert_snapshot!(with("logger info, warn stdout\n"), @"
    error: a severity is missing
     --> vm.conf:4:8
      |
    4 | logger info, warn stdout
      |        ^^^^^ commas stand between severities, without blanks
      |
      = help: for example: `logger info,warn,error stdout`
    ");
}

#[test]
fn a_logger_without_a_destination_is_refused() {
    assert_snapshot!(with("logger info,error\ncpu\n"), @"
    error: `logger` needs a destination
     --> vm.conf:4:1
      |
    4 | logger info,error
      | ^^^^^^^^^^^^^^^^^ the next word, `cpu`, is an option
      |
      = help: for example: `logger info,warn,error stdout`
    ");
}

#[test]
fn an_unknown_destination_is_refused() {
    assert_snapshot!(with("logger info stdou\nlogger error printer\n"), @"
    error: `stdou` is not a destination
     --> vm.conf:4:13
      |
    4 | logger info stdou
      |             ^^^^^
      |
      = help: did you mean `stdout`?

    error: `printer` is not a destination
     --> vm.conf:5:14
      |
    5 | logger error printer
      |              ^^^^^^^
      |
      = help: there is `stdout`, `stderr`, `none`
    ");
}
