//! Where Kubernetes' programs are.

use std::{env, path::PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::program::{cache, is_program};

/// What `tests/kubernetes/install` names its result for.
const SOURCES: [&str; 3] = [
    include_str!("../../../kubernetes/go.mod"),
    include_str!("../../../kubernetes/go.sum"),
    include_str!("../../../kubernetes/main.go"),
];

/// The variable that names the directory with the programs.
const VARIABLE: &str = "WINDLASS_KUBERNETES";

/// The directory with the programs: the one that the variable names, or where `tests/kubernetes/install` puts it. Not
/// `PATH`, which might have programs of several versions.
///
/// # Errors
///
/// Says what to do if it is nowhere.
///
/// # Panics
///
/// If the variable names something else.
pub(super) fn find() -> Result<PathBuf, String> {
    if let Some(directory) = env::var_os(VARIABLE).filter(|it| !it.is_empty()).map(PathBuf::from) {
        let server = directory.join("kube-apiserver");
        assert!(is_program(&server), "{VARIABLE}: {} is no program", server.display());
        return Ok(directory);
    }
    cache()
        .map(|cache| cache.join(format!("windlass/kubernetes-{}", digest())))
        .filter(|directory| is_program(&directory.join("kube-apiserver")))
        .ok_or_else(|| {
            format!("Kubernetes is missing: run tests/kubernetes/install, or set {VARIABLE} to its directory")
        })
}

/// The first 16 hexadecimal digits of the SHA-256 of the sources.
fn digest() -> String {
    let mut digest = Sha256::new();
    for source in SOURCES {
        digest.update(source);
    }
    let mut digits = HEXLOWER.encode(&digest.finalize());
    digits.truncate(16);
    digits
}
