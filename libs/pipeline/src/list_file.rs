//! Lists that lie in files: what stands for one where it is too large to travel with its run.
//!
//! A step puts out, or an argument is, `{"list_file": PATH, "items": N, "sha256": DIGEST}`. The number is all that a run needs
//! to expand a loop, so that nobody who decides about runs opens a file. Whoever needs an item reads it, and the digest tells
//! whether the file is still the one that was meant.

use std::path::PathBuf;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde_json::{Map, Value};

use crate::quote::quote;

/// The field that makes an object mean a list file.
const PATH: &str = "list_file";
const ITEMS: &str = "items";
const SHA256: &str = "sha256";

/// What a list file looks like, to end a message.
pub(crate) const FORM: &str =
    r#"{"list_file": "/PATH", "items": NUMBER OF LINES, "sha256": "64 HEXADECIMAL DIGITS"}"#;

/// A list of which each line of a file is an item, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListFile {
    /// Where it is; absolute, and without NUL.
    pub path: PathBuf,
    /// How many lines it has. May be above [`limits::ITEMS`](crate::limits::ITEMS).
    pub items: u64,
    /// The digest of the whole file.
    pub sha256: [u8; 32],
}

/// An object that means a list file and is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListFileError {
    /// It has a field that list files do not have.
    #[error("{} is no field of a list file", quote(.0))]
    UnknownField(String),
    /// The path is no text, relative, or has a NUL in it.
    #[error("`list_file` is {}, and must be an absolute path", quote(.0))]
    Path(String),
    /// There is no number of items, or it is negative, no whole number, or no number.
    #[error("`items` is {}, and must be the number of lines", quote(.0))]
    Items(String),
    /// The digest is missing, or is not 64 hexadecimal digits.
    #[error("`sha256` is {}, and must be the file's SHA-256 in 64 hexadecimal digits", quote(.0))]
    Digest(String),
}

impl ListFile {
    /// The list file that a value means; none where it means none.
    ///
    /// # Errors
    ///
    /// It has a field `list_file`, and another field is missing, unknown, or not as it must be.
    pub fn of(value: &Value) -> Option<Result<Self, ListFileError>> {
        let fields = value.as_object().filter(|fields| fields.contains_key(PATH))?;
        Some(Self::read(fields))
    }

    fn read(fields: &Map<String, Value>) -> Result<Self, ListFileError> {
        let known = |name: &&String| [PATH, ITEMS, SHA256].contains(&name.as_str());
        if let Some(name) = fields.keys().find(|name| !known(name)) {
            return Err(ListFileError::UnknownField(name.clone()));
        }
        let shown = |name| fields.get(name).map_or("missing".to_owned(), Value::to_string);
        let path = fields.get(PATH).and_then(Value::as_str).filter(|path| !path.contains('\0'));
        let path = path.map(PathBuf::from).filter(|path| path.is_absolute());
        let items = fields.get(ITEMS).and_then(Value::as_u64);
        let sha256 = fields.get(SHA256).and_then(Value::as_str).and_then(digest);
        Ok(Self {
            path: path.ok_or_else(|| ListFileError::Path(shown(PATH)))?,
            items: items.ok_or_else(|| ListFileError::Items(shown(ITEMS)))?,
            sha256: sha256.ok_or_else(|| ListFileError::Digest(shown(SHA256)))?,
        })
    }
}

/// The digest that 64 hexadecimal digits are.
fn digest(text: &str) -> Option<[u8; 32]> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
    bytes.try_into().ok()
}

/// Knows items of list files.
pub trait ListFiles {
    /// The item of an index from 0; none where it is not known.
    fn item(&self, list: &ListFile, index: u32) -> Option<Value>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_with_a_path_a_count_and_a_digest_means_a_list_file() {
        let digest = format!("{}0F", "ab".repeat(31));
        let value = json!({"list_file": "/data/list", "items": 3, "sha256": digest});
        let list = ListFile::of(&value).unwrap().unwrap();
        let mut sha256 = [0xab; 32];
        sha256[31] = 0x0f;
        assert_eq!(list, ListFile { path: "/data/list".into(), items: 3, sha256 });
        for other in [json!({"items": 3}), json!([1]), json!("/data/list"), json!(null)] {
            assert_eq!(ListFile::of(&other), None, "{other}");
        }
    }

    #[test]
    fn what_is_wrong_with_one_is_told_with_its_value() {
        let digest = "0".repeat(64);
        let cases = [
            ("list_file", json!("data/list"), "`list_file` is `\"data/list\"`"),
            ("list_file", json!(7), "`list_file` is `7`"),
            ("list_file", json!("/data\0"), "must be an absolute path"),
            ("items", json!(-1), "`items` is `-1`"),
            ("items", json!(1.5), "`items` is `1.5`"),
            ("items", json!("3"), "`items` is `\"3\"`"),
            ("sha256", json!("0".repeat(63)), "must be the file's SHA-256"),
            ("sha256", json!("é".repeat(32)), "must be the file's SHA-256"),
            ("sha256", json!("+".repeat(64)), "must be the file's SHA-256"),
            ("size", json!(1), "`size` is no field"),
        ];
        for (name, value, said) in cases {
            let mut object = json!({"list_file": "/data/list", "items": 3, "sha256": digest});
            object[name] = value;
            let error = ListFile::of(&object).unwrap().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        for name in ["items", "sha256"] {
            let mut object = json!({"list_file": "/data/list", "items": 3, "sha256": digest});
            object.as_object_mut().unwrap().remove(name);
            let error = ListFile::of(&object).unwrap().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{name}` is `missing`")), "{error}");
        }
    }
}
