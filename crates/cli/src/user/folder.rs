//! Where a person's own configuration and keys are.

use std::{
    env,
    path::{Path, PathBuf},
};

use counterweight_chain::keys::Keystore;

/// The folder of a person's configuration: `CW_HOME`, or `counterweight` in the platform's configuration folder.
#[derive(Debug, Clone)]
pub(crate) struct UserFolder(PathBuf);

impl UserFolder {
    /// The folder of whoever runs this. It need not exist.
    pub(crate) fn of_environment() -> Self {
        let set = |name: &str| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let home = || set("HOME").or_else(|| set("USERPROFILE")).unwrap_or_default();
        Self(set("CW_HOME").unwrap_or_else(|| {
            let platform = if cfg!(target_os = "macos") {
                home().join("Library/Application Support")
            } else if cfg!(windows) {
                set("APPDATA").unwrap_or_else(home)
            } else {
                set("XDG_CONFIG_HOME").unwrap_or_else(|| home().join(".config"))
            };
            platform.join("counterweight")
        }))
    }

    /// Its configuration file.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// Its encrypted keys.
    pub(crate) fn keystore(&self) -> Keystore {
        Keystore::new(&self.keys())
    }

    /// Folder of its encrypted keys.
    pub(crate) fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}
