//! `set`, and the variables in words.

use crate::told::{VM, warned, with};
use insta::assert_snapshot;

#[test]
fn a_variable_that_nothing_uses_is_warned_of() {
    assert_snapshot!(warned("set speed fast\n"), @"
    warning: nothing uses the variable `speed`
     --> vm.conf:4:5
      |
    4 | set speed fast
      |     ^^^^^ no `$speed` comes after this
      |
      = help: `set` here gives a name to a value; it configures nothing by itself
    ");
}

#[test]
fn a_value_that_grows_without_bound_is_refused() {
    let mut text = "set a0 \"0123456789\"\n".to_owned();
    for number in 1..30 {
        let before = number - 1;
        text += &format!("set a{number} \"$a{before}$a{before}\"\n");
    }
    text += "cmdline $a29\n";
    assert_snapshot!(with(&text), @r#"
    error: this is too long
      --> vm.conf:13:8
       |
    13 | set a9 "$a8$a8"
       |        ^^^^^^^^ more than 4096 characters, when the variables in it are replaced
    "#);
}

#[test]
fn a_value_of_4096_characters_is_taken_whole_and_one_more_is_too_many() {
    let title_of = |line: &str| {
        let text = format!("{VM}set a {}\ncmdline {line}\n", "x".repeat(4096));
        let errors = vmconf::parse("vm.conf", &text).unwrap_err();
        let titles: Vec<String> = errors.iter().map(|it| it.title().to_owned()).collect();
        titles.join("; ")
    };
    assert_eq!(title_of("$a"), "the command line is too long");
    assert_eq!(title_of("\"$a \""), "this is too long");
    assert_eq!(title_of("\"$a$a$a\""), "this is too long");
}

#[test]
fn a_variable_without_a_value_is_refused() {
    assert_snapshot!(with("set trace-loc 0xfa000000\nvdev trace loc $trace_loc name $other\n"), @"
    error: the variable `trace_loc` has no value
     --> vm.conf:5:16
      |
    5 | vdev trace loc $trace_loc name $other
      |                ^^^^^^^^^^
      |
      = help: did you mean `$trace-loc`?

    error: the variable `other` has no value
     --> vm.conf:5:32
      |
    5 | vdev trace loc $trace_loc name $other
      |                                ^^^^^^
      |
      = help: give it one in front of this: `set other VALUE`
    ");
}

#[test]
fn a_variable_that_is_set_twice_is_refused() {
    assert_snapshot!(with("set a 1\nset a 2\n"), @"
    error: the variable `a` is set twice
     --> vm.conf:5:5
      |
    4 | set a 1
      |     - first here
    5 | set a 2
      |     ^ again here
    ");
}

#[test]
fn a_name_that_no_variable_can_have_is_refused() {
    assert_snapshot!(with("set 1st 2\nset $ 3\n"), @r#"
    error: `1st` cannot be the name of a variable
     --> vm.conf:4:5
      |
    4 | set 1st 2
      |     ^^^
      |
      = help: a name has letters, digits, `_` and `-`, and begins with a letter

    error: a `$` without the name of a variable
     --> vm.conf:5:5
      |
    5 | set $ 3
      |     ^
      |
      = help: a dollar sign itself is written `"\$"`
    "#);
}

#[test]
fn a_mistake_that_a_variable_brought_shows_where_it_was_set() {
    assert_snapshot!(with("set where 0xfa0z\nvdev trace loc mem:$where\n"), @"
    error: `0xfa0z` is not a number
     --> vm.conf:5:16
      |
    4 | set where 0xfa0z
      |     ----- the variable is set here
    5 | vdev trace loc mem:$where
      |                ^^^^^^^^^^ `z` is not a hexadecimal digit
      |
      = help: numbers are decimal, or hexadecimal with `0x`, and may end in K, M or G
    ");
}
