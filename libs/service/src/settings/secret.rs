//! Values that are never shown.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A password or token. It is never shown: not by `Debug`, not in errors, and as `(set)` where settings are printed.
#[derive(Debug, Clone)]
pub struct Secret(SecretString);

/// What stands in the place of a secret that is there.
const SHOWN: &str = "(set)";

impl Secret {
    /// The secret, for whoever has to send it.
    pub fn expose(&self) -> &SecretString {
        &self.0
    }
}

impl From<Secret> for SecretString {
    fn from(secret: Secret) -> Self {
        secret.0
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let secret = SecretString::from(String::deserialize(deserializer)?);
        if secret.expose_secret().is_empty() {
            return Err(D::Error::custom("is empty"));
        }
        Ok(Self(secret))
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(SHOWN)
    }
}
