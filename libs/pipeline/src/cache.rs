//! Under which key the result of a task is kept: a digest of all that the result depends on, and of nothing else.
//!
//! ```text
//! digest = SHA-256(form:u8 command env working_dir outputs key salt)
//! list   = count:u64 text*                                                      all numbers big-endian
//! text   = length:u64 bytes
//!
//! only where there is an image or a secret, behind all that:
//! pod    = image args secrets        secrets: for each variable its name, the secret's, the entry's, and `optional` or nothing
//! ```
//!
//! `command` is the program with all arguments (those of an image's own program are `args`), `env` the variables in the order of their names, each with its value, and
//! `outputs` the names of the outputs in their order. Every length is told, so that no two different inputs are the same bytes.
//!
//! What is left out is on purpose: a step may get another name or place, more memory, time or retries, and keeps its results.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};
use windlass_proto::{cache_key::CacheKey, v1::SecretKey};

/// The form of what is digested. Another one leaves all results behind.
const FORM: u8 = 1;

/// What a result depends on, references replaced by their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inputs<'a> {
    /// The program and all of its arguments; empty for an image's own program.
    pub command: &'a [String],
    /// Arguments of an image's own program.
    pub args: &'a [String],
    /// The image; empty where there is none.
    pub image: &'a str,
    /// What is added to the environment.
    pub env: &'a BTreeMap<String, String>,
    /// Variables that come from secrets. What those say is not known.
    pub secrets: &'a BTreeMap<String, SecretKey>,
    /// Where the program starts; empty where that is up to the runtime.
    pub working_dir: &'a str,
    /// The names of the outputs, in any order.
    pub outputs: &'a [String],
    /// What the task declares besides.
    pub key: &'a [String],
    /// The user's own mark.
    pub salt: &'a str,
}

impl Inputs<'_> {
    /// The key.
    pub fn digest(&self) -> CacheKey {
        let mut hash = Sha256::new_with_prefix([FORM]);
        list(&mut hash, self.command.iter().map(String::as_str));
        list(&mut hash, self.env.iter().flat_map(|(name, value)| [name.as_str(), value]));
        text(&mut hash, self.working_dir);
        let outputs: BTreeSet<&str> = self.outputs.iter().map(String::as_str).collect();
        list(&mut hash, outputs.iter().copied());
        list(&mut hash, self.key.iter().map(String::as_str));
        text(&mut hash, self.salt);
        self.add_pod(&mut hash);
        CacheKey(hash.finalize().into())
    }

    /// Adds what only pods have. Results of steps that have none of it are kept under the keys that they always had.
    fn add_pod(&self, hash: &mut Sha256) {
        if self.image.is_empty() && self.secrets.is_empty() {
            return;
        }
        text(hash, self.image);
        list(hash, self.args.iter().map(String::as_str));
        let secrets = self.secrets.iter().flat_map(|(variable, secret)| {
            let optional = if secret.optional { "optional" } else { "" };
            [variable.as_str(), &secret.name, &secret.key, optional]
        });
        list(hash, secrets);
    }
}

fn list<'a>(hash: &mut Sha256, texts: impl Iterator<Item = &'a str> + Clone) {
    number(hash, texts.clone().count());
    texts.for_each(|it| text(hash, it));
}

fn text(hash: &mut Sha256, text: &str) {
    number(hash, text.len());
    hash.update(text);
}

fn number(hash: &mut Sha256, number: usize) {
    hash.update((number as u64).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same as [`Inputs`], but whole.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Owned {
        command: Vec<String>,
        args: Vec<String>,
        image: String,
        env: BTreeMap<String, String>,
        secrets: BTreeMap<String, SecretKey>,
        working_dir: String,
        outputs: Vec<String>,
        key: Vec<String>,
        salt: String,
    }

    impl Owned {
        fn digest(&self) -> CacheKey {
            let Self { command, args, image, env, secrets, working_dir, outputs, key, salt } = self;
            Inputs { command, args, image, env, secrets, working_dir, outputs, key, salt }.digest()
        }
    }

    /// Short texts of few letters, so that parts of different inputs are often the same.
    fn inputs() -> impl Strategy<Value = Owned> {
        let texts = || prop::collection::vec("[ab]{0,2}", 0..3);
        let env = prop::collection::btree_map("[ab]{0,2}", "[ab]{0,2}", 0..3);
        let outputs = prop::collection::btree_set("[ab]{0,2}", 0..3);
        let secret = ("[ab]", "[ab]", any::<bool>()).prop_map(|(name, key, optional)| SecretKey {
            name,
            key,
            optional,
        });
        let secrets = prop::collection::btree_map("[ab]{0,2}", secret, 0..2);
        let pod = ("[ab]{0,2}", texts(), secrets);
        (texts(), env, "[ab]{0,2}", outputs, texts(), "[ab]{0,2}", pod).prop_map(
            |(command, env, working_dir, outputs, key, salt, (image, args, secrets))| {
                let outputs = outputs.into_iter().collect();
                // Only an image's own program has arguments apart.
                let args = if image.is_empty() { Vec::new() } else { args };
                Owned { command, args, image, env, secrets, working_dir, outputs, key, salt }
            },
        )
    }

    fn some() -> Owned {
        Owned {
            command: ["train", "--rate", "0.1"].map(str::to_owned).to_vec(),
            args: Vec::new(),
            image: String::new(),
            secrets: BTreeMap::new(),
            env: BTreeMap::from([("A".to_owned(), "1".to_owned())]),
            working_dir: "/data".to_owned(),
            outputs: vec!["loss".to_owned(), "model".to_owned()],
            key: vec!["sha256:12".to_owned()],
            salt: "v1".to_owned(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn two_keys_are_the_same_where_all_inputs_are_and_nowhere_else(one in inputs(), other in inputs()) {
            prop_assert_eq!(one.digest() == other.digest(), one == other);
        }
    }

    #[test]
    fn whatever_is_changed_changes_the_key() {
        let secret = |it: &mut Owned, optional| {
            let secret = SecretKey { name: "db".to_owned(), key: "user".to_owned(), optional };
            it.secrets.insert("A".to_owned(), secret);
        };
        let changes: [&dyn Fn(&mut Owned); 16] = [
            &|it| it.command[2].push('0'),
            &|it| it.command.push(String::new()),
            &|it| it.command = vec!["train --rate 0.1".to_owned()],
            &|it| it.command.swap(1, 2),
            &|it| drop(it.env.insert("A".to_owned(), "2".to_owned())),
            &|it| drop(it.env.insert("B".to_owned(), String::new())),
            &|it| it.working_dir.push('/'),
            &|it| drop(it.outputs.pop()),
            &|it| it.key.push(String::new()),
            &|it| it.key[0].push('3'),
            &|it| it.salt = "v2".to_owned(),
            &|it| it.image = "python".to_owned(),
            &|it| secret(it, false),
            &|it| secret(it, true),
            &|it| (it.image, it.args) = ("python".to_owned(), vec![String::new()]),
            // What moves from one part to the next.
            &|it| (it.salt, it.working_dir) = (it.working_dir.clone(), it.salt.clone()),
        ];
        let mut keys = BTreeSet::from([some().digest()]);
        for (at, change) in changes.into_iter().enumerate() {
            let mut other = some();
            change(&mut other);
            assert!(keys.insert(other.digest()), "change {at}");
        }
    }

    #[test]
    fn a_key_is_the_same_for_ever_and_the_order_of_outputs_does_not_matter() {
        let shown = some().digest().to_string();
        assert_eq!(shown, "ea0a867d3240426ec0ab3611b381b6d60a66375973791efe56de85b91059e216");
        let mut turned = some();
        turned.outputs.reverse();
        assert_eq!(turned.digest(), some().digest());
    }
}
