//! The configuration compiler, with any file.

use vm_config::VmConfig;
use vmconf::{Colour, Diagnostic, Spanned, Vm};

pub(crate) fn run(input: &[u8]) {
    // The first byte chooses what the image's file is like.
    let (length, file) = match input.split_first() {
        Some((0xff, file)) => (None, file),
        Some((0xfe, file)) => (Some(0), file),
        Some((0xfd, file)) => (Some(1 << 32), file),
        _ => (Some(1000), input),
    };
    let image_len = |load: &Spanned<String>, _: Option<&Vm>| {
        length.ok_or_else(|| vec![Diagnostic::error(load.span, "no such file")])
    };
    let compiled = vmconf::decode("vm.conf", file)
        .and_then(|text| vmconf::compile("vm.conf", 0, text, image_len));
    match compiled {
        Ok(compiled) => {
            let config = VmConfig::parse(&compiled.blob).expect("what was compiled can be read");
            assert!(length == Some(u64::from(config.image_len_bytes())));
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
