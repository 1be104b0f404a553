//! What a supervisor tells the launcher that started it, a line each, on standard output.

use std::{
    fmt,
    io::{self, Write as _},
};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// The program runs, since this many milliseconds after 1970.
    Started(u64),
    /// There is no room on the disk to go on; told again with every try.
    Waits(String),
    /// It could not be written down.
    NotWritten(String),
}

impl Word {
    /// Tells the launcher, if it still lives.
    pub(super) fn tell(&self) {
        let mut stdout = io::stdout().lock();
        let _ = writeln!(stdout, "{self}").and_then(|()| stdout.flush());
    }

    /// Reads a line; none where it is another one's.
    pub(crate) fn read(line: &str) -> Option<Self> {
        match line.trim_end().split_once(' ')? {
            ("started", time) => time.parse().ok().map(Self::Started),
            ("waits", why) => Some(Self::Waits(why.to_owned())),
            ("not-written", why) => Some(Self::NotWritten(why.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A path may hold anything, and a line feed would end the line.
        let one_line = |text: &str| text.replace(['\n', '\r'], " ");
        match self {
            Self::Started(time) => write!(f, "started {time}"),
            Self::Waits(why) => write!(f, "waits {}", one_line(why)),
            Self::NotWritten(why) => write!(f, "not-written {}", one_line(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_one_line_and_read_as_what_it_was() {
        for word in [Word::Started(7), Word::Waits("a b".into()), Word::NotWritten("c".into())] {
            assert_eq!(Word::read(&format!("{word}\n")), Some(word));
        }
        let broken = Word::Waits("two\nlines".into()).to_string();
        assert_eq!(Word::read(&broken), Some(Word::Waits("two lines".into())));
        for strange in ["", "started", "started x", "hello world"] {
            assert_eq!(Word::read(strange), None, "{strange}");
        }
    }
}
