//! How a text that somebody else wrote is shown in a message: between backticks, on one line, and never long.

use std::fmt;

/// Characters shown before the rest is left out.
const SHOWN: usize = 64;

/// Shows a text of any length and content.
pub fn quote(text: &str) -> Quoted<'_> {
    Quoted(text)
}

/// What [`quote`] makes of a text.
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", shown(self.0))
    }
}

/// Shows a text of any length and content within other text.
pub fn shown(text: &str) -> Shown<'_> {
    Shown(text)
}

/// What [`shown`] makes of a text.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(SHOWN) {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        f.write_str(if characters.next().is_some() { "…" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shown_on_one_line_and_cut() {
        assert_eq!(quote("a\nb\u{1b}[1m").to_string(), "`a\\nb\\u{1b}[1m`");
        assert_eq!(quote(&"é".repeat(65)).to_string(), format!("`{}…`", "é".repeat(64)));
        assert_eq!(quote(&"é".repeat(64)).to_string(), format!("`{}`", "é".repeat(64)));
    }
}
