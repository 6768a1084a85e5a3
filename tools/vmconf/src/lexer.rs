//! From text to words: blanks, comments, double quotes, `$variable`. Called first by
//! `analyse`; the parser takes the words from there.
//!
//! Invariant: a word's place is what stands in the text, whatever variables it mentions, and
//! a word in which something was wrong says so ([`Word::broken`]), so that nobody reports the
//! consequences. What is wrong with a substitution stays with its word ([`Word::substitutions`]): it
//! is told by who wants the word's value, and of what is refused as a whole nobody does.

use crate::diagnostics::{Diagnostic, quoted};
use crate::source::Span;

/// A run of characters between blanks; quotes hold blanks together.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    /// Where it stands, quotes included.
    pub span: Span,
    /// What it is made of.
    pub pieces: Vec<Piece>,
    /// It has quotes in it, so it is no option.
    pub quoted: bool,
    /// Something is wrong in it, and was reported.
    pub broken: bool,
    /// What is wrong with what follows a `$`, and was not reported.
    pub substitutions: Vec<Diagnostic>,
}

/// A part of a word.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// Characters that stand for themselves.
    Text(String),
    /// `$name`, and where.
    Variable(String, Span),
}

impl Word {
    /// The characters of the word if it has neither quotes nor variables: only such a word
    /// can be an option.
    pub fn bare(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Text(text)] if !self.quoted && self.substitutions.is_empty() => Some(text),
            _ => None,
        }
    }
}

/// All words of `text`; what is wrong is added to `found`.
pub(crate) fn words(text: &str, found: &mut Vec<Diagnostic>) -> Vec<Word> {
    let mut lexer = Lexer {
        text,
        at: 0,
        several_lines: None,
        found,
    };
    let mut words = Vec::new();
    while let Some(character) = lexer.peek() {
        if is_blank(character) {
            lexer.next();
        } else if character == '#' {
            lexer.skip_while(|character| character != '\n');
        } else {
            words.push(lexer.word());
        }
    }
    words
}

/// Control characters separate like blanks; nobody can see them anyway.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || character.is_control()
}

fn starts_name(character: char) -> bool {
    character.is_ascii_alphabetic() || character == '_'
}

fn continues_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// Whether `text` can be the name of a variable: letters, digits and `_`, not a digit first,
/// with single `-` inside as in QNX's own names.
pub(crate) fn is_variable_name(text: &str) -> bool {
    text.starts_with(starts_name) && variable_name_len(text) == text.len()
}

fn variable_name_len(text: &str) -> usize {
    let mut len = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let joins =
            character == '-' && characters.peek().is_some_and(|next| continues_name(next.1));
        if !continues_name(character) && !joins {
            break;
        }
        len = at + character.len_utf8();
    }
    len
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// The last string that went over several lines.
    several_lines: Option<Span>,
    found: &'a mut Vec<Diagnostic>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += character.len_utf8();
        Some(character)
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.next();
        }
    }

    fn word(&mut self) -> Word {
        let start = self.at;
        let empty = Span::new(start, start);
        let mut word = Word {
            span: empty,
            pieces: Vec::new(),
            quoted: false,
            broken: false,
            substitutions: Vec::new(),
        };
        while let Some(character) = self.peek() {
            match character {
                '"' => self.string(&mut word),
                '$' => self.variable(&mut word),
                '#' => break,
                character if is_blank(character) => break,
                character => {
                    self.next();
                    word.push(character);
                }
            }
        }
        word.span.end = self.at;
        word
    }

    /// From one double quote to the next.
    fn string(&mut self, word: &mut Word) {
        let start = self.at;
        self.next();
        word.quoted = true;
        let mut first_line = None;
        loop {
            match self.peek() {
                Some('"') => {
                    self.next();
                    self.several_lines = first_line.or(self.several_lines);
                    return;
                }
                Some('$') => self.variable(word),
                Some('\\') => self.escape(word),
                Some('\n') => {
                    first_line.get_or_insert(Span::new(start, self.at));
                    self.skip_while(is_blank);
                    word.break_line();
                }
                Some(character) => {
                    self.next();
                    word.push(character);
                }
                None => break,
            }
        }
        word.broken = true;
        let place = first_line.unwrap_or(Span::new(start, self.at));
        let error = Diagnostic::error(place, "a string without an end")
            .label("no second `\"` up to the end of the file");
        self.found.push(match self.several_lines {
            Some(before) => error.also(before, "is the end of this one missing?"),
            None => error,
        });
    }

    fn escape(&mut self, word: &mut Word) {
        let start = self.at;
        self.next();
        match self.peek() {
            // A blank after it is as invisible as the line's end.
            Some(' ' | '\t' | '\n') if self.is_last_of_line() => {
                self.skip_while(|character| character != '\n');
                self.next();
            }
            Some(character @ ('"' | '\\' | '$')) => {
                self.next();
                word.push(character);
            }
            // The string has no end either, which says enough.
            None => word.broken = true,
            Some(other) => {
                self.next();
                word.broken = true;
                let escape = quoted(&format!("\\{other}"));
                let title = format!("{escape} has no meaning in a string");
                self.found.push(
                    Diagnostic::error(Span::new(start, self.at), title)
                        .help("`\\\"`, `\\\\` and `\\$` stand for the character after the `\\`"),
                );
            }
        }
    }

    fn is_last_of_line(&self) -> bool {
        let rest = self.rest().trim_start_matches([' ', '\t']);
        rest.starts_with('\n')
    }

    fn variable(&mut self, word: &mut Word) {
        let start = self.at;
        self.next();
        let rest = self.rest();
        let len = if rest.starts_with(starts_name) {
            variable_name_len(rest)
        } else {
            0
        };
        let name = rest.get(..len).unwrap_or_default();
        self.at += len;
        if self.peek() == Some('{') {
            self.skip_while(|character| !matches!(character, '}' | '"') && !is_blank(character));
            if self.peek() == Some('}') {
                self.next();
            }
            let error = braces(name, Span::new(start, self.at));
            word.substitutions.push(error);
        } else if name.is_empty() {
            let place = Span::new(start, self.at);
            let error = Diagnostic::error(place, "a `$` without the name of a variable");
            let help = "a dollar sign itself is written `\"\\$\"`";
            word.substitutions.push(error.help(help));
        } else {
            let span = Span::new(start, self.at);
            word.pieces.push(Piece::Variable(name.to_owned(), span));
        }
    }
}

/// What is wrong with `$name{…}` or `${…}`.
fn braces(name: &str, span: Span) -> Diagnostic {
    if name.is_empty() {
        let error = Diagnostic::error(span, "a variable's name stands without braces");
        return error.help("write `$name`");
    }
    let call = quoted(&format!("${name}{{…}}"));
    let title =
        format!("{call} is a substitution of the QNX hypervisor that this project does not have");
    Diagnostic::error(span, title)
        .help("write the value, or give it a name: `set name value`, then `$name`")
}

impl Word {
    /// A line ended inside a string: the blanks around its end are one.
    fn break_line(&mut self) {
        if let Some(Piece::Text(text)) = self.pieces.last_mut() {
            text.truncate(text.trim_end().len());
        }
        self.push(' ');
    }

    fn push(&mut self, character: char) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.push(character),
            _ => self.pieces.push(Piece::Text(character.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare_words(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        let words = words(text, &mut found);
        assert!(found.is_empty(), "{found:?}");
        words
            .iter()
            .map(|word| word.bare().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn blanks_of_all_kinds_separate_and_comments_vanish() {
        let text = "system demo # not this\n\tcpu\r\n#nor this\n\n vdev\u{a0}trace#nor this";
        assert_eq!(bare_words(text), ["system", "demo", "cpu", "vdev", "trace"]);
    }

    #[test]
    fn a_string_keeps_its_blanks_its_hash_and_its_escapes() {
        let words = words(r#""a # \"b\" \\ \$c" x"#, &mut Vec::new());
        let [string, x] = words.as_slice() else {
            panic!("{words:?}")
        };
        assert!(matches!(&string.pieces[..], [Piece::Text(text)] if text == r#"a # "b" \ $c"#));
        assert_eq!(string.bare(), None);
        assert_eq!(x.bare(), Some("x"));
    }

    #[test]
    fn a_backslash_at_the_end_of_the_line_joins_the_next() {
        let words = words("\"one \\\ntwo\"", &mut Vec::new());
        assert!(matches!(&words[0].pieces[..], [Piece::Text(text)] if text == "one two"));
    }

    #[test]
    fn a_variable_ends_where_its_name_ends() {
        let words = words("mem:$trace-loc,$b- \"$c\"d", &mut Vec::new());
        let shown: Vec<String> = words
            .iter()
            .flat_map(|word| &word.pieces)
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Variable(name, span) => format!("<{name} {}..{}>", span.start, span.end),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "mem:",
                "<trace-loc 4..14>",
                ",",
                "<b 15..17>",
                "-",
                "<c 20..22>",
                "d"
            ]
        );
    }
}
