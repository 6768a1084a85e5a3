//! What a run shows of its console: lines as they come, and of a line that does not go on what there
//! is.
//!
//! Used by `run` and `trace`. Invariant: every line stands there whole, either where its beginning was
//! or, if another has come between, anew.

use runner::Heard;
use std::io::{self, Write};

/// Where a run is shown.
pub(crate) struct Screen<W> {
    output: W,
    /// What stands there of a line without its end.
    begun: String,
    shown: io::Result<()>,
}

impl<W: Write> Screen<W> {
    pub(crate) fn new(output: W) -> Self {
        Self {
            output,
            begun: String::new(),
            shown: Ok(()),
        }
    }

    /// Shows it, unless that has failed before.
    pub(crate) fn show(&mut self, heard: &Heard) {
        if self.shown.is_ok() {
            self.shown = self.try_show(heard);
        }
    }

    /// Ends a line that has no end. Whether all could be shown.
    pub(crate) fn end(mut self) -> io::Result<()> {
        if !self.begun.is_empty() {
            let whole = Heard::Line(self.begun.clone());
            self.show(&whole);
        }
        self.shown
    }

    fn try_show(&mut self, heard: &Heard) -> io::Result<()> {
        let (Heard::Line(text) | Heard::Beginning(text)) = heard else {
            // Nobody has asked for pieces.
            return Ok(());
        };
        match text.strip_prefix(&self.begun) {
            Some(rest) => write!(self.output, "{rest}")?,
            // A line is without the blanks at its end.
            None if self.begun.trim_end() == text => {}
            None => write!(self.output, "\n{text}")?,
        }
        match heard {
            Heard::Line(_) => {
                self.begun.clear();
                writeln!(self.output)
            }
            Heard::Printed { .. } => Ok(()),
            Heard::Beginning(text) => {
                self.begun.clone_from(text);
                self.output.flush()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(all: &[Heard]) -> String {
        let mut output = Vec::new();
        let mut screen = Screen::new(&mut output);
        all.iter().for_each(|heard| screen.show(heard));
        screen.end().unwrap();
        String::from_utf8(output).unwrap()
    }

    fn line(text: &str) -> Heard {
        Heard::Line(text.into())
    }

    fn beginning(text: &str) -> Heard {
        Heard::Beginning(text.into())
    }

    #[test]
    fn a_line_goes_on_where_it_began() {
        let all = [
            line("a"),
            beginning("> "),
            beginning("> l"),
            line("> ls"),
            line("b"),
        ];
        assert_eq!(shown(&all[..2]), "a\n> \n");
        assert_eq!(shown(&all), "a\n> ls\nb\n");
        assert_eq!(shown(&[beginning("> "), line(">"), line("b")]), "> \nb\n");
    }

    #[test]
    fn a_line_between_lets_the_other_begin_anew() {
        let all = [beginning("> "), line("[ 1.0] fatal"), line("> ls")];
        assert_eq!(shown(&all), "> \n[ 1.0] fatal\n> ls\n");
    }
}
