//! The text that is compiled, and places in it. Made once per compilation; the lexer gives
//! out the places, everybody else passes them on to the diagnostics.
//!
//! Invariant: a [`Span`] belongs to the text of one [`Source`] and covers whole characters.

/// A file's name and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    file_name: String,
    text: String,
}

impl Source {
    /// The text without a byte-order mark, and with line ends `\n`: an editor on Windows may
    /// have left both. Lines and columns stay what an editor shows.
    pub(crate) fn new(file_name: &str, text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self::verbatim(file_name, &text.replace("\r\n", "\n"))
    }

    pub(crate) fn verbatim(file_name: &str, text: &str) -> Self {
        Self {
            file_name: file_name.to_owned(),
            text: text.to_owned(),
        }
    }

    /// What the diagnostics call the file.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// The text that spans refer to.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where `span` begins, as `file:line:column`, to name it in a message about another text.
    pub fn place(&self, span: Span) -> String {
        let before = self.text.get(..self.clamp(span).start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = 1 + before.matches('\n').count();
        let column = 1 + before.chars().count() - before[..line_start].chars().count();
        format!("{}:{line}:{column}", self.file_name)
    }

    /// `span`, or what of it lies in this text if it came from another.
    pub(crate) fn clamp(&self, span: Span) -> Span {
        let start = self.text.floor_char_boundary(span.start);
        Span {
            start,
            end: self.text.ceil_char_boundary(span.end).max(start),
        }
    }
}

/// A place: byte offsets into [`Source::text`], the end not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

impl Span {
    /// From `start` up to but not including `end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// From the start of this to the end of `other`, which comes later.
    pub fn to(self, other: Self) -> Self {
        Self {
            start: self.start,
            end: other.end.max(self.end),
        }
    }
}

/// A value and the place that says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where the text says it.
    pub span: Span,
}
