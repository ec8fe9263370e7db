//! Lines of text in a few styles, no longer than a terminal of 80 columns, whatever is to be told.

use std::fmt::Write as _;

/// Columns that a line may have.
pub const COLUMNS: usize = 80;

/// How a piece of text looks where there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As it comes.
    Plain,
    /// In the background.
    Faint,
    /// A heading, or what matters most.
    Strong,
    /// A step of the state machine.
    Step,
    /// All is well.
    Good,
    /// Not yet, or not to be told.
    Open,
    /// Something is wrong.
    Bad,
}

impl Style {
    /// Parameters of the escape sequence that sets it.
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Faint => "2",
            Self::Strong => "1",
            Self::Step => "36",
            Self::Good => "1;32",
            Self::Open => "33",
            Self::Bad => "1;31",
        }
    }
}

/// A line, in pieces of one style each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line(Vec<(Style, String)>);

impl Line {
    /// An empty line.
    pub fn new() -> Self {
        Self::default()
    }

    /// The line with more text at its end. Control characters are left out: what a job says may hold any, and a terminal
    /// would do as they say.
    #[must_use]
    pub fn and(mut self, style: Style, text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.retain(|character| !character.is_control());
        self.0.push((style, text));
        self
    }

    /// The text alone.
    pub fn plain(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect::<String>().trim_end().to_owned()
    }

    /// The text with escape sequences for its styles.
    pub fn coloured(&self) -> String {
        let mut line = String::new();
        for (style, text) in &self.0 {
            match style.code() {
                "" => line.push_str(text),
                // Writing to a String cannot fail.
                code => _ = write!(line, "\u{1b}[{code}m{text}\u{1b}[0m"),
            }
        }
        line
    }
}

/// Breaks a text into lines of at most `width` characters: between words where that is possible, else after a dot or
/// slash in a long one, else anywhere.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut room = width;
    for word in text.split_whitespace() {
        let mut word = word;
        loop {
            let length = word.chars().count();
            let is_first = room == width;
            let needed = if is_first { length } else { length + 1 };
            if needed > room && !is_first && length <= width {
                lines.push(String::new());
                room = width;
                continue;
            }
            if !is_first && room > 1 {
                push(&mut lines, " ");
                room -= 1;
            }
            if length <= room {
                push(&mut lines, word);
                room -= length;
                break;
            }
            let (head, tail) = split_at_most(word, room);
            push(&mut lines, head);
            lines.push(String::new());
            room = width;
            word = tail;
        }
    }
    lines
}

fn push(lines: &mut [String], text: &str) {
    if let Some(last) = lines.last_mut() {
        last.push_str(text);
    }
}

/// The longest beginning of at most `most` characters that ends with a dot or slash, or just that many characters.
fn split_at_most(word: &str, most: usize) -> (&str, &str) {
    let end = word.char_indices().nth(most).map_or(word.len(), |(index, _)| index);
    let (head, _) = word.split_at(end);
    let good_end = head.rfind(['.', '/', '-']).map_or(end, |index| index + 1);
    word.split_at(good_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_break_between_words_and_long_words_at_their_dots() {
        let cases: [(&str, usize, &[&str]); 6] = [
            ("", 10, &[""]),
            ("one two", 10, &["one two"]),
            ("one two three", 10, &["one two", "three"]),
            ("java.lang.IllegalStateException", 12, &["java.lang.", "IllegalState", "Exception"]),
            ("a java.lang.IllegalStateException", 12, &["a java.lang.", "IllegalState", "Exception"]),
            ("größer, über zehn", 7, &["größer,", "über", "zehn"]),
        ];
        for (text, width, lines) in cases {
            assert_eq!(wrap(text, width), lines, "{text}");
        }
    }

    #[test]
    fn no_line_is_longer_than_asked_for_and_no_character_is_lost() {
        let text = "org.apache.flink.client.program.ProgramInvocationException: The main method caused an error: a/b";
        for width in 4..90 {
            let lines = wrap(text, width);
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}: {lines:?}");
            let squeezed = |text: &str| text.replace(' ', "");
            assert_eq!(squeezed(&lines.concat()), squeezed(text), "{width}");
        }
    }

    #[test]
    fn what_a_text_orders_a_terminal_to_do_is_left_out() {
        let line = Line::new().and(Style::Plain, "failed: \u{1b}]0;title\u{7}\u{1b}[2J\r\u{9b}31mred\u{8}");
        assert_eq!(line.plain(), "failed: ]0;title[2J31mred");
    }

    #[test]
    fn colours_are_around_the_text_and_not_in_it() {
        let line = Line::new().and(Style::Plain, "is ").and(Style::Good, "Deployed").and(Style::Plain, "  ");
        assert_eq!(line.plain(), "is Deployed");
        assert_eq!(line.coloured(), "is \u{1b}[1;32mDeployed\u{1b}[0m  ");
    }
}
