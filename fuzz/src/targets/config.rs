//! The configuration compiler, with any file.

use vm_config::VmConfig;
use vmconf::{Colour, Diagnostic, LaidOut, Load, Spanned, Vm};

pub(crate) fn run(input: &[u8]) {
    // The first byte chooses whether the images are there.
    let (is_there, file) = match input.split_first() {
        Some((0xff, file)) => (false, file),
        _ => (true, input),
    };
    let lay_out = |loads: &[Spanned<Load>], vm: Option<&Vm>| match is_there {
        true => Ok(LaidOut::unseen(loads, vm)),
        false => {
            let errors = loads
                .iter()
                .map(|load| Diagnostic::error(load.span, "no such file"));
            Err(errors.collect())
        }
    };
    let compiled = vmconf::decode("vm.conf", file)
        .and_then(|text| vmconf::compile("vm.conf", 0, text, lay_out));
    match compiled {
        Ok(compiled) => {
            let config = VmConfig::parse(&compiled.blob).expect("what was compiled can be read");
            assert!(is_there && config.images().all(|image| image.len_bytes == 1));
        }
        Err(diagnostics) => {
            // To render costs ten times as much as to find the mistakes.
            let colour = match input.len() % 16 {
                0 => Colour::Always,
                8 => Colour::Never,
                _ => return,
            };
            assert!(diagnostics.render(colour).contains("error"));
        }
    }
}
