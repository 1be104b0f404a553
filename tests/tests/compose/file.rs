//! `compose.yaml`, with anchors and merge keys resolved. What is not known here is refused: whoever adds it says what it means.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The text of a file of the repository.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ComposeFile {
    pub(crate) services: BTreeMap<String, Service>,
    pub(crate) volumes: BTreeMap<String, Option<Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) image: String,
    pub(crate) build: Option<String>,
    pub(crate) command: Vec<String>,
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) ports: Vec<String>,
    #[serde(default)]
    pub(crate) volumes: Vec<String>,
    pub(crate) healthcheck: HealthCheck,
    #[serde(default)]
    pub(crate) depends_on: BTreeMap<String, Dependency>,
    pub(crate) restart: String,
    pub(crate) stop_grace_period: Option<String>,
    #[serde(default)]
    pub(crate) init: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read so that a misspelled key is found")]
pub(crate) struct HealthCheck {
    pub(crate) test: Vec<String>,
    interval: String,
    timeout: String,
    retries: u32,
    start_period: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dependency {
    pub(crate) condition: String,
}

impl ComposeFile {
    pub(crate) fn read() -> Self {
        let mut file: Value = serde_saphyr::from_str(&text("compose.yaml")).expect("YAML");
        // Extensions are there for their anchors alone.
        file.as_object_mut().expect("a map").retain(|key, _| !key.starts_with("x-"));
        serde_json::from_value(file).expect("every key is known here")
    }

    /// The services that run one of the programs, by their names.
    pub(crate) fn programs(&self) -> impl Iterator<Item = (&str, &Service)> {
        let services = self.services.iter().map(|(name, service)| (name.as_str(), service));
        services.filter(|(_, service)| service.build.is_some())
    }
}

impl Service {
    /// Where a volume is mounted, and whether it can be written to.
    pub(crate) fn mount(&self, volume: &str) -> Option<(&str, bool)> {
        self.volumes.iter().find_map(|mount| {
            let mut parts = mount.split(':');
            let (name, place) = (parts.next()?, parts.next()?);
            let mode = parts.next();
            assert!(matches!(mode, None | Some("ro")), "`{mount}` is mounted in an unknown way");
            (name == volume).then_some((place, mode.is_none()))
        })
    }
}
