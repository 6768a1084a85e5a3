//! The configuration compiler, with any file.

use vm_config::VmConfig;
use vmconf::Colour;

pub(crate) fn run(input: &[u8]) {
    // The first byte chooses what the image's file is like.
    let (length, file) = match input.split_first() {
        Some((0xff, file)) => (Err("no such file"), file),
        Some((0xfe, file)) => (Ok(0), file),
        Some((0xfd, file)) => (Ok(1 << 32), file),
        _ => (Ok(1000), input),
    };
    let compiled = vmconf::decode("vm.conf", file)
        .and_then(|text| vmconf::compile("vm.conf", 0, text, |_| length));
    match compiled {
        Ok(compiled) => {
            let config = VmConfig::parse(&compiled.blob).expect("what was compiled can be read");
            assert!(length == Ok(u64::from(config.image_len_bytes())));
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
