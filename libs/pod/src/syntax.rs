//! How Kubernetes spells names, labels and amounts. Its own words for these rules are in the documentation of its API.

/// What a text of one kind must look like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Syntax {
    /// What it is, to end `… is no`.
    pub(crate) what: &'static str,
    /// The rule in words, to end `use …`.
    pub(crate) words: &'static str,
    allows: fn(&str) -> bool,
}

impl Syntax {
    /// Whether a text keeps to the rule.
    pub(crate) fn allows(&self, text: &str) -> bool {
        (self.allows)(text)
    }
}

/// The most characters of a name that is one part of a domain, of a label's value, and of the name in its key.
pub(crate) const LABEL_CHARS: usize = 63;

/// The most characters of a name that is a domain.
const DOMAIN_CHARS: usize = 253;

/// The most characters of the prefix of a pod's name.
pub(crate) const PREFIX_CHARS: usize = 38;

/// Names of namespaces, volumes and containers.
pub(crate) const DNS_LABEL: Syntax = Syntax {
    what: "name",
    words: "lower-case letters, digits and `-`, no `-` at either end, at most 63 characters",
    allows: is_dns_label,
};

/// Names of most other objects.
pub(crate) const DNS_SUBDOMAIN: Syntax = Syntax {
    what: "name",
    words: "lower-case letters, digits, `-` and `.`, a letter or digit at both ends of each part, at most 253 characters",
    allows: is_dns_subdomain,
};

/// The prefix of a pod's name.
pub(crate) const NAME_PREFIX: Syntax = Syntax {
    what: "prefix of a pod's name",
    words: "lower-case letters, digits and `-`, no `-` in front, at most 38 characters",
    allows: |text| is_dns_label(text.trim_end_matches('-')) && text.len() <= PREFIX_CHARS,
};

/// Keys of labels and annotations, and names of resources.
pub(crate) const QUALIFIED_NAME: Syntax = Syntax {
    what: "key",
    words: "letters, digits, `-`, `_` and `.`, a letter or digit at both ends, at most 63 characters; in front of it may stand a \
            domain and `/`",
    allows: is_qualified_name,
};

/// Values of labels.
pub(crate) const LABEL_VALUE: Syntax = Syntax {
    what: "value of a label",
    words: "letters, digits, `-`, `_` and `.`, a letter or digit at both ends, at most 63 characters",
    allows: |text| text.is_empty() || is_label(text),
};

/// Names of queues, which are values of a label.
pub(crate) const QUEUE: Syntax =
    Syntax { what: "name of a queue", words: LABEL_VALUE.words, allows: is_label };

/// Keys of entries of secrets.
pub(crate) const SECRET_KEY: Syntax = Syntax {
    what: "key of a secret",
    words: "letters, digits, `-`, `_` and `.`, at most 253 characters, neither `.` nor `..`",
    allows: |text| {
        !text.is_empty()
            && text.len() <= DOMAIN_CHARS
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            && !matches!(text, "." | "..")
    },
};

/// Amounts of resources.
pub(crate) const QUANTITY: Syntax = Syntax {
    what: "amount",
    words: "a number, with a unit where one is needed, such as `500m`, `2`, `1.5`, `512Mi` or `10G`",
    allows: is_quantity,
};

/// Amounts of resources that a container asks for.
pub(crate) const AMOUNT: Syntax = Syntax {
    what: QUANTITY.what,
    words: QUANTITY.words,
    allows: |text| !text.starts_with('-') && is_quantity(text),
};

/// What images are called. What stands in a registry is not known here.
pub(crate) const IMAGE: Syntax = Syntax {
    what: "image",
    words: "a name without spaces, such as `python:3.14` or `registry.example.com/team/train@sha256:…`",
    allows: |text| {
        !text.is_empty() && !text.chars().any(|it| it.is_whitespace() || it.is_control())
    },
};

/// When images are pulled.
pub(crate) const PULL_POLICY: Syntax = Syntax {
    what: "pull policy",
    words: "`Always`, `IfNotPresent` or `Never`",
    allows: |text| matches!(text, "Always" | "IfNotPresent" | "Never"),
};

/// Why a container waits.
pub(crate) const WAITING_REASON: Syntax = Syntax {
    what: "reason for which a container waits",
    words: "letters and digits, such as `ImagePullBackOff`, at most 63 characters",
    allows: |text| {
        (1..=LABEL_CHARS).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    },
};

/// Whether a text is letters and digits, with these others only between them, so long at most.
fn is_word(text: &str, most: usize, is_inner: fn(u8) -> bool, is_outer: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    bytes.len() <= most
        && is_outer(*first)
        && is_outer(*last)
        && bytes.iter().all(|byte| is_outer(*byte) || is_inner(*byte))
}

fn is_lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_dns_label(text: &str) -> bool {
    is_word(text, LABEL_CHARS, |byte| byte == b'-', is_lower_alphanumeric)
}

fn is_dns_subdomain(text: &str) -> bool {
    let is_part =
        |part: &str| is_word(part, DOMAIN_CHARS, |byte| byte == b'-', is_lower_alphanumeric);
    text.len() <= DOMAIN_CHARS && text.split('.').all(is_part)
}

/// A label's value that is not empty, or the name in a label's key.
fn is_label(text: &str) -> bool {
    let is_outer = |byte: u8| byte.is_ascii_alphanumeric();
    is_word(text, LABEL_CHARS, |byte| b"-_.".contains(&byte), is_outer)
}

fn is_qualified_name(text: &str) -> bool {
    match text.split_once('/') {
        Some((domain, name)) => is_dns_subdomain(domain) && is_label(name),
        None => is_label(text),
    }
}

fn is_quantity(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let has_digit = number.bytes().any(|byte| byte.is_ascii_digit());
    let points = number.bytes().filter(|byte| *byte == b'.').count();
    has_digit && points <= 1 && (is_unit(suffix) || is_exponent(suffix))
}

fn is_unit(text: &str) -> bool {
    const UNITS: [&str; 16] =
        ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    UNITS.contains(&text)
}

fn is_exponent(text: &str) -> bool {
    let Some(exponent) = text.strip_prefix(['e', 'E']) else { return false };
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(syntax: &Syntax, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(syntax.allows(text), "{text}");
        }
        for text in bad {
            assert!(!syntax.allows(text), "{text}");
        }
    }

    #[test]
    fn names_are_those_that_kubernetes_takes() {
        let long = "a".repeat(64);
        check(&DNS_LABEL, &["a", "team-1", "1"], &["", "-a", "a-", "A", "a.b", "a_b", "ü", &long]);
        check(&DNS_SUBDOMAIN, &["a", "a.b-c.1", &long], &["", ".a", "a.", "a..b", "a.-b", "A"]);
        check(&NAME_PREFIX, &["a", "team-", "1"], &["", "-", "-a", "a.b", &long[..39]]);
        check(
            &QUALIFIED_NAME,
            &["cpu", "nvidia.com/gpu", "hugepages-2Mi", "example.com/A_b.c"],
            &["", "/", "a/", "/a", "a/b/c", "Example.com/a", "-a", &long],
        );
        check(&LABEL_VALUE, &["", "a", "A_b.c-1"], &["-", "a b", "a/b", "a-", &long]);
        check(&SECRET_KEY, &["a", "tls.crt", ".netrc", "-"], &["", ".", "..", "a b", "a/b"]);
        check(&IMAGE, &["a", "a/b:c@sha256:00"], &["", "a b", " a", "a\n"]);
        check(&WAITING_REASON, &["ErrImagePull"], &["", "a,b", "a b", &long]);
    }

    #[test]
    fn amounts_are_those_that_kubernetes_takes() {
        check(
            &QUANTITY,
            &[
                "0", "1", "-1", "+1.5", ".5", "5.", "500m", "1Ki", "2Ei", "3E", "1e3", "1E-3",
                "100n",
            ],
            &["", ".", "m", "1.2.3", "1 Gi", "1KB", "1K", "1e", "1e+", "1mi", "--1", "1Gi2", "NaN"],
        );
        check(&AMOUNT, &["0", "+1", "1e3"], &["-1", "-0.5Gi"]);
    }
}
