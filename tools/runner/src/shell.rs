//! Commands as one types them into a shell: each that is run is shown, so that it can be pasted.

use std::process::Command;

/// A command as one would type it.
pub(crate) fn pasteable(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    // No argument can hold a NUL, the one byte that has no quoted form.
    shlex::try_join(words.iter().map(AsRef::as_ref)).unwrap_or_else(|_| words.join(" "))
}
