//! `docs/distributed.md`: the blocks of it, and whether the programs accept its configuration files.

use std::{collections::BTreeMap, fs};

use nkeys::KeyPair;
use tempfile::TempDir;
use windlass_servers::Certificates;

use crate::{
    file::{root, text},
    program,
};

/// The blocks of the page in a language.
pub(crate) fn blocks(language: &str) -> Vec<String> {
    let page = text("docs/distributed.md");
    let begin = format!("```{language}\n");
    let blocks = page.split(&begin).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// The only block of the page in a language.
pub(crate) fn block(language: &str) -> String {
    let mut blocks = blocks(language);
    assert_eq!(blocks.len(), 1, "blocks of {language}");
    blocks.remove(0)
}

/// The directories that the page names, with the files in them that it names.
pub(crate) struct Files {
    pub(crate) dir: TempDir,
    pub(crate) nkey: KeyPair,
}

/// The password in the file for Redis.
pub(crate) const PASSWORD: &str = "a-password";

impl Files {
    pub(crate) fn make() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let certificates = Certificates::make();
        let ((tls, tls_key), (client, client_key)) = (certificates.server(), certificates.client());
        for (name, file) in [
            ("ca.crt", certificates.authority()),
            ("tls.crt", tls),
            ("tls.key", tls_key),
            ("client.crt", client),
            ("client.key", client_key),
        ] {
            fs::copy(file, dir.path().join(name)).expect("the file is copied");
        }
        let nkey = KeyPair::new_user();
        let seed = nkey.seed().expect("a key that was made has a seed");
        // Of a credentials file NATS alone looks at the JWT.
        let creds = format!(
            "-----BEGIN NATS USER JWT-----\ne30.e30.e30\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        for (name, content) in
            [("nats.seed", &*seed), ("nats.creds", &creds), ("nats", PASSWORD), ("redis", PASSWORD)]
        {
            fs::write(dir.path().join(name), format!("{content}\n")).expect("the file is written");
        }
        Self { dir, nkey }
    }

    /// A text of the page with the directories that it names replaced by this one.
    pub(crate) fn place(&self, text: &str) -> String {
        let dir = self.dir.path().display().to_string();
        ["/etc/windlass", "/run/secrets", "/var/lib/windlass"]
            .iter()
            .fold(text.to_owned(), |text, directory| text.replace(directory, &dir))
    }

    /// Writes a configuration file of the page.
    pub(crate) fn config(&self, text: &str) -> String {
        let path = self.dir.path().join("windlass.toml");
        fs::write(&path, text).expect("the file is written");
        path.display().to_string()
    }
}

#[test]
fn each_program_accepts_the_configuration_files_of_the_page() {
    let files = Files::make();
    for block in blocks("toml") {
        let config = files.config(&files.place(&block));
        for name in ["submitter", "scheduler", "launcher", "streamer"] {
            let words = [&format!("windlass-{name}"), "--config", &config, "--check-config"];
            let words = words.map(ToString::to_string);
            let output = program::command(&words, &BTreeMap::new()).output().expect("it runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}: {said}\n{block}");
        }
    }
}

#[test]
fn links_of_the_page_lead_somewhere() {
    let page = text("docs/distributed.md");
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars().filter(|char| char.is_alphanumeric() || *char == '-').collect::<String>()
    };
    let headings: Vec<String> =
        page.lines().filter_map(|line| line.strip_prefix("## ")).map(anchor).collect();
    for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        if let Some(heading) = link.strip_prefix('#') {
            assert!(headings.iter().any(|it| it == heading), "{link} leads nowhere");
        } else {
            let path = link.split('#').next().unwrap_or_default();
            assert!(root().join("docs").join(path).exists(), "{link} leads nowhere");
        }
    }
}
