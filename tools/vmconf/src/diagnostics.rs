//! What the user is told, and how it looks: an error or a warning, its place, the line with
//! carets, help. Filled by the lexer, the parser and the checks; other tools that know better add
//! theirs.
//!
//! Invariant: rendering never fails and never panics, whatever the text has in it.

use std::fmt;
use std::path::Path;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::source::{Source, Span};

/// More than this many are not shown: the first ones are the cause of the others.
const MOST_SHOWN: usize = 20;
/// More places than this of one mistake are counted instead of shown.
const MOST_PLACES: usize = 4;

/// Whether the rendered text has escape sequences for a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Never,
    /// ANSI escape sequences.
    Always,
}

/// Whether a text is refused because of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    Error,
    /// The text is compiled, and part of it means nothing here.
    Warning,
}

/// One error or warning: what, where, what it clashes with, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    severity: Severity,
    title: String,
    place: Option<Span>,
    label: String,
    others: Vec<(Span, String)>,
    /// Places of the same mistake that are not among `others`.
    unshown: usize,
    helps: Vec<String>,
}

impl Diagnostic {
    /// An error at a place of the text.
    pub fn error(place: Span, title: impl Into<String>) -> Self {
        let place = Some(place);
        Self {
            place,
            ..Self::error_without_place(title)
        }
    }

    /// Something at a place of the text that means nothing here and does no harm.
    pub fn warning(place: Span, title: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(place, title)
        }
    }

    /// An error of the file as a whole: something is missing.
    pub fn error_without_place(title: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            title: title.into(),
            place: None,
            label: String::new(),
            others: Vec::new(),
            unshown: 0,
            helps: Vec::new(),
        }
    }

    /// What to say under the carets.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// A second place that has to do with it.
    #[must_use]
    pub fn also(mut self, place: Span, label: impl Into<String>) -> Self {
        self.others.push((place, label.into()));
        self
    }

    /// The same mistake once more. Many are counted instead of shown.
    pub(crate) fn repeat(&mut self, place: Span) {
        match self.others.len() < MOST_PLACES {
            true => self.others.push((place, "and here".into())),
            false => self.unshown += 1,
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.helps.push(help.into());
        self
    }

    /// Whether the text is refused because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// It in one sentence.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Where it is, if it has a place.
    pub fn place(&self) -> Option<Span> {
        self.place
    }

    fn report<'a>(&'a self, source: &'a Source) -> Group<'a> {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let report = Group::with_title(level.primary_title(&self.title));
        let report = match self.place {
            None => report.element(Origin::path(source.file_name())),
            Some(place) => report.element(self.snippet(source, place)),
        };
        let helps = self.helps.iter().map(|help| Level::HELP.message(help));
        let unshown = (self.unshown > 0).then(|| {
            let text = format!("and in {} more places", self.unshown);
            Level::NOTE.message(text)
        });
        report.elements(unshown).elements(helps)
    }

    fn snippet<'a>(&'a self, source: &'a Source, place: Span) -> Snippet<'a, Annotation<'a>> {
        // The renderer looks at every line it gets, so it gets only those that matter.
        let place = source.clamp(place);
        let places = || {
            let others = self.others.iter().map(|other| source.clamp(other.0));
            others.chain([place])
        };
        let first = places().map(|place| place.start).min().unwrap_or_default();
        let last = places().map(|place| place.end).max().unwrap_or_default();
        let (before, from_first) = source.text().split_at(first);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest_of_line = from_first.get(last - first..).unwrap_or_default();
        let end = last + rest_of_line.find('\n').unwrap_or(rest_of_line.len());
        let within = |place: Span| {
            let place = source.clamp(place);
            place.start - start..place.end - start
        };

        let label = (!self.label.is_empty()).then_some(self.label.as_str());
        let others = self
            .others
            .iter()
            .map(|(place, label)| AnnotationKind::Context.span(within(*place)).label(label));
        Snippet::source(source.text().get(start..end).unwrap_or_default())
            .line_start(1 + before.matches('\n').count())
            .path(source.file_name())
            .annotation(AnnotationKind::Primary.span(within(place)).label(label))
            .annotations(others)
    }
}

/// Everything that is to be said of one text, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    source: Source,
    all: Vec<Diagnostic>,
}

impl Diagnostics {
    /// What was found in `source`, by this crate or by a tool that knows more: the places
    /// belong to its text.
    pub fn new(source: Source, mut found: Vec<Diagnostic>) -> Self {
        // What has no place is missing altogether, and comes last.
        found.sort_by_key(|diagnostic| diagnostic.place.map_or(usize::MAX, |place| place.start));
        Self { source, all: found }
    }

    /// What there is, in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.all.iter()
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The same with every warning as an error, for who wants a text to mean all that it says.
    #[must_use]
    pub fn strict(mut self) -> Self {
        for diagnostic in &mut self.all {
            diagnostic.severity = Severity::Error;
        }
        self
    }

    /// The text for a person, with a line end after the last line; nothing if there is nothing to
    /// say. At most 20 are shown, errors before warnings, then how many there are besides.
    pub fn render(&self, colour: Colour) -> String {
        let renderer = match colour {
            Colour::Never => Renderer::plain(),
            Colour::Always => Renderer::styled(),
        };
        let (errors, warnings) = self.all.iter().partition::<Vec<_>, _>(|it| it.is_error());
        let level = match errors.is_empty() {
            true => Level::WARNING,
            false => Level::ERROR,
        };
        let shown = errors.into_iter().chain(warnings).take(MOST_SHOWN);
        let mut text = String::new();
        for diagnostic in shown {
            text += &renderer.render(&[diagnostic.report(&self.source)]);
            text += "\n\n";
        }
        let left = self.all.len().saturating_sub(MOST_SHOWN);
        if left > 0 {
            let title = format!("and {left} more in `{}`", self.source.file_name());
            text += &renderer.render(&[Group::with_title(level.primary_title(title))]);
            text += "\n\n";
        }
        text.pop();
        text
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Colour::Never))
    }
}

impl std::error::Error for Diagnostics {}

/// `word` in backquotes, fit for a line: no control characters, not longer than a name.
pub fn quoted(word: &str) -> String {
    const MOST: usize = 40;
    let mut shown: String = word.chars().take(MOST).flat_map(printable).collect();
    if word.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// A file's name, for a message.
pub(crate) fn shown_path(path: &Path) -> String {
    path.to_string_lossy().chars().flat_map(printable).collect()
}

fn printable(character: char) -> Box<dyn Iterator<Item = char>> {
    match character {
        '"' | '\'' | '\\' => Box::new(std::iter::once(character)),
        _ => Box::new(character.escape_debug()),
    }
}

/// The one of `known` that `word` most likely was meant to be, if it is close to any: a
/// letter or two wrong, missing, doubled or swapped.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let tolerated = match word.chars().count() {
        0 | 1 => return None,
        len => (len / 3).clamp(1, 3),
    };
    known
        .into_iter()
        .filter(|name| name.len().abs_diff(word.len()) <= 2 * tolerated)
        .map(|name| (strsim::osa_distance(word, name), name))
        .filter(|&(distance, _)| distance <= tolerated)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}
