//! Where lines go: standard output, with colours and a line that moves where it is a terminal.

use std::io::{self, Write};

use super::line::Line;

/// Begins the line anew.
const CLEAR: &str = "\r\u{1b}[2K";

/// What standard output can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Lines can be written over.
    pub is_live: bool,
    /// Colours are wanted.
    pub is_coloured: bool,
}

/// Writes lines.
pub struct Screen<Out: Write> {
    out: Out,
    abilities: Abilities,
    has_status: bool,
}

impl<Out: Write> Screen<Out> {
    /// Lines go to `out`.
    pub fn new(out: Out, abilities: Abilities) -> Self {
        Self { out, abilities, has_status: false }
    }

    /// Writes lines that stay.
    pub fn print(&mut self, lines: &[Line]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        self.clear()?;
        for line in lines {
            let text = if self.abilities.is_coloured { line.coloured() } else { line.plain() };
            writeln!(self.out, "{text}")?;
        }
        self.out.flush()
    }

    /// Writes the line that is written over by whatever comes next; only on a terminal.
    pub fn status(&mut self, line: Option<&Line>) -> io::Result<()> {
        if !self.abilities.is_live {
            return Ok(());
        }
        self.clear()?;
        if let Some(line) = line {
            let text = if self.abilities.is_coloured { line.coloured() } else { line.plain() };
            write!(self.out, "{text}")?;
            self.has_status = true;
        }
        self.out.flush()
    }

    /// Takes the moving line away.
    pub fn clear(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.has_status) {
            write!(self.out, "{CLEAR}")?;
            self.out.flush()?;
        }
        Ok(())
    }
}

impl<Out: Write> Drop for Screen<Out> {
    /// Whoever is interrupted leaves no half line behind.
    fn drop(&mut self) {
        // There is nothing to be done about it here.
        let _ = self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::line::Style;

    fn written(abilities: Abilities) -> String {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, abilities);
        screen.status(Some(&Line::new().and(Style::Faint, "waits"))).unwrap();
        screen.print(&[Line::new().and(Style::Good, "done")]).unwrap();
        drop(screen);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_a_terminal_sees_what_does_not_stay() {
        assert_eq!(written(Abilities { is_live: false, is_coloured: false }), "done\n");
        assert_eq!(written(Abilities { is_live: true, is_coloured: false }), "waits\r\u{1b}[2Kdone\n");
    }
}
