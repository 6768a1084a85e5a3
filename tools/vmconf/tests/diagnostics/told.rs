//! What is told of a text: the set-up of all tests here.

use vdev_model::AnyVdev;
use vdevs::Vdev;
use vmconf::{Diagnostic, LaidOut, Load, Spanned, Vm};

/// A VM to which a test adds its mistake, in line 4.
pub(crate) const VM: &str = "system demo\nram 0x40000000,2M\nload guest-app\n";

pub(crate) fn lay_out(
    loads: &[Spanned<Load>],
    vm: Option<&Vm>,
) -> Result<LaidOut, Vec<Diagnostic>> {
    let load = &loads[0];
    match (&*load.value.name, vm) {
        ("guest-app", _) => Ok(LaidOut::unseen(loads, vm)),
        ("far", Some(vm)) => {
            let error = Diagnostic::error(load.span, "the image `far` is far away");
            Err(vec![error.also(vm.ram[0].span, "from here")])
        }
        _ => Err(vec![Diagnostic::error(load.span, "there is no such file")]),
    }
}

/// The diagnostics of a whole file.
pub(crate) fn of(text: &str) -> String {
    match vmconf::compile("vm.conf", 0, text, lay_out) {
        Ok(_) => panic!("this compiles:\n{text}"),
        Err(diagnostics) => without_list(&diagnostics.to_string()),
    }
}

/// What was told, with `{devices}` for the list of devices, which grows.
fn without_list(told: &str) -> String {
    let names = Vdev::ALL.iter().map(|vdev| vdev.kind().name);
    let names: Vec<String> = names.map(|name| format!("`vdev {name}`")).collect();
    let (last, others) = names.split_last().unwrap();
    told.replace(&format!("{} and {last}", others.join(", ")), "{devices}")
}

/// The warnings of [`VM`] and `text`, which compiles.
pub(crate) fn warned(text: &str) -> String {
    let text = format!("{VM}{text}");
    match vmconf::compile("vm.conf", 0, &text, lay_out) {
        Ok(compiled) => compiled.warnings.to_string(),
        Err(diagnostics) => panic!("{diagnostics}"),
    }
}

/// The diagnostics of [`VM`] and `text`.
pub(crate) fn with(text: &str) -> String {
    of(&format!("{VM}{text}"))
}
