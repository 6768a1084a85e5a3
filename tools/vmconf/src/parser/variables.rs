//! `set`, and the variables in the words after it.
//!
//! Invariant: what a word grows to is bounded, whatever its variables hold.

use std::collections::btree_map::Entry;

use super::Parser;
use super::argument::Argument;
use crate::diagnostics::{Diagnostic, nearest, quoted};
use crate::lexer::{self, Piece, Word};
use crate::qnx;
use crate::source::Span;

/// More than that no argument needs: the longest text of a VM has 1023 characters.
pub(crate) const MAX_ARGUMENT_BYTES: usize = 4096;

/// What a `set` says of a name; without a value if that was wrong.
pub(super) struct Variable {
    pub(super) set: Span,
    pub(super) value: Option<String>,
    pub(super) is_used: bool,
}

impl Parser<'_> {
    pub(super) fn set(&mut self, at: Span) {
        let Some(name) = self.argument("set", at, "a variable and its value", "set loc 0xfa000000")
        else {
            return;
        };
        let value = self.argument("set", at.to(name.span), "a value", "set loc 0xfa000000");
        if let Some(absent) = qnx::find(qnx::VARIABLES, &name.text) {
            let help = "`set` here gives a name to a value, for use as `$name`";
            return self.absent(absent, name.span, "a configuration variable", Some(help));
        }
        if !lexer::is_variable_name(&name.text) {
            let title = format!("{} cannot be the name of a variable", quoted(&name.text));
            let help = "a name has letters, digits, `_` and `-`, and begins with a letter";
            return self.found.push(name.error(title).help(help));
        }
        match self.variables.entry(name.text.clone()) {
            Entry::Occupied(first) => {
                let title = format!("the variable {} is set twice", quoted(&name.text));
                let error = name.error(title).label("again here");
                self.found.push(error.also(first.get().set, "first here"));
            }
            Entry::Vacant(vacant) => {
                let value = value.map(|value| value.text);
                vacant.insert(Variable {
                    set: name.span,
                    value,
                    is_used: false,
                });
            }
        }
    }

    /// The text of `word` with variables replaced; `None` if it is broken or a variable has
    /// no value.
    pub(super) fn expand(&mut self, word: &Word) -> Option<Argument> {
        let mut argument = Argument {
            text: String::new(),
            span: word.span,
            from: Vec::new(),
        };
        let mut complete = !word.broken && word.substitutions.is_empty();
        self.found.extend_from_slice(&word.substitutions);
        for piece in &word.pieces {
            let (name, at) = match piece {
                Piece::Text(text) => {
                    argument.text.push_str(text);
                    continue;
                }
                Piece::Variable(name, at) => (name, *at),
            };
            let Some(variable) = self.variables.get_mut(name) else {
                complete = false;
                self.undefined(name, at);
                continue;
            };
            variable.is_used = true;
            match &variable.value {
                Some(value) => {
                    argument.from.push(variable.set);
                    argument.text.push_str(value);
                }
                // Its `set` was wrong, which was reported there.
                None => complete = false,
            }
            // Each variable may hold two of the one before it.
            if argument.text.len() > MAX_ARGUMENT_BYTES {
                break;
            }
        }
        if argument.text.len() > MAX_ARGUMENT_BYTES {
            complete = false;
            let error = Diagnostic::error(word.span, "this is too long");
            self.found.push(error.label(format!(
                "more than {MAX_ARGUMENT_BYTES} characters, when the variables in it are replaced"
            )));
        }
        complete.then_some(argument)
    }

    /// QNX's `set` knows only its own variables; what nobody here uses may have been meant for one.
    pub(super) fn unused_variables(&mut self) {
        let unused = self.variables.iter().filter(|(_, it)| !it.is_used);
        self.found.extend(unused.map(|(name, variable)| {
            let title = format!("nothing uses the variable {}", quoted(name));
            Diagnostic::warning(variable.set, title)
                .label(format!("no `${name}` comes after this"))
                .help("`set` here gives a name to a value; it configures nothing by itself")
        }));
    }

    fn undefined(&mut self, name: &str, at: Span) {
        let error = Diagnostic::error(at, format!("the variable {} has no value", quoted(name)));
        let known = self.variables.keys().map(String::as_str);
        self.found.push(match nearest(name, known) {
            Some(near) => error.help(format!("did you mean `${near}`?")),
            None => error.help(format!("give it one in front of this: `set {name} VALUE`")),
        });
    }
}
