//! A project: a folder with a `counterweight.toml`, and what cw keeps in its `.counterweight`.

mod config;
mod document;
mod network;

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

pub(crate) use config::{Origin, ProjectConfig, Wanted};
use document::{Document, Keys};
pub(crate) use network::{NetworkEntry, NetworkKind, read_networks};

use crate::{
    arguments::Global,
    error::{CliError, Code},
};

/// Name of the configuration file.
pub(crate) const CONFIG_FILE: &str = "counterweight.toml";
/// Largest configuration that is read.
pub(crate) const LONGEST_CONFIG: u64 = 1 << 20;

/// A project on disk.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    /// Its folder.
    pub(crate) root: PathBuf,
    /// Its configuration, with everything that overrides the file.
    pub(crate) config: ProjectConfig,
}

/// Where cw keeps what it makes.
#[derive(Debug, Clone)]
pub(crate) struct Folders(PathBuf);

impl Project {
    /// Finds and reads the project: `--project` if given, else the nearest folder upwards with a
    /// configuration.
    ///
    /// # Errors
    /// [`Code::NoProject`], and those of reading the configuration.
    pub(crate) fn open(global: &Global) -> Result<Self, CliError> {
        Self::open_to_train(None, None, global)
    }

    /// As [`Project::open`], with what only training may say: another folder and another number of rounds.
    ///
    /// # Errors
    /// As [`Project::open`].
    pub(crate) fn open_to_train(
        folder: Option<&Path>,
        rounds: Option<u32>,
        global: &Global,
    ) -> Result<Self, CliError> {
        match Self::find(folder, global)? {
            Some(root) => Self::at(root, rounds, global),
            None => Err(no_project(folder.or(global.project.as_deref()))),
        }
    }

    /// The project if there is one; [`None`] where no folder was named and none is found.
    ///
    /// # Errors
    /// Those of reading the configuration, and [`Code::NoProject`] where a folder was named.
    pub(crate) fn open_if_any(global: &Global) -> Result<Option<Self>, CliError> {
        Self::find(None, global)?
            .map(|root| Self::at(root, None, global))
            .transpose()
    }

    fn find(folder: Option<&Path>, global: &Global) -> Result<Option<PathBuf>, CliError> {
        if let Some(named) = folder.or(global.project.as_deref()) {
            return if named.join(CONFIG_FILE).is_file() {
                Ok(Some(named.to_owned()))
            } else {
                Err(no_project(Some(named)))
            };
        }
        let here = env::current_dir().map_err(|error| {
            CliError::new(Code::FileUnreadable, "the current folder cannot be read")
                .fact("system", error.to_string())
        })?;
        Ok(here
            .ancestors()
            .find(|folder| folder.join(CONFIG_FILE).is_file())
            .map(Path::to_owned))
    }

    fn at(root: PathBuf, rounds: Option<u32>, global: &Global) -> Result<Self, CliError> {
        let file = root.join(CONFIG_FILE);
        let text = read_config(&file)?;
        let wanted = Wanted {
            profile: global.profile.as_deref(),
            seed: global.seed,
            rounds,
        };
        let variables = |name: &str| env::var(name).ok();
        let config = ProjectConfig::read(&text, CONFIG_FILE, &wanted, &variables)?;
        Ok(Self { root, config })
    }

    /// Where cw keeps what it makes here.
    pub(crate) fn folders(&self) -> Folders {
        Folders(self.root.join(".counterweight"))
    }

    /// A path of the configuration, which counts from the project's folder.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }
}

impl Folders {
    /// The embedded chain.
    pub(crate) fn chain(&self) -> PathBuf {
        self.0.join("chain")
    }

    /// Content-addressed bytes: updates, models, manifests.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.0.join("blobs")
    }

    /// The log of signed statements on a network.
    pub(crate) fn log(&self, network: &str) -> PathBuf {
        self.0.join("log").join(network)
    }

    /// Integer networks, their commitments and keys.
    pub(crate) fn inference(&self) -> PathBuf {
        self.0.join("inference")
    }

    /// Models on their way to and from members' own programs.
    pub(crate) fn trainers(&self) -> PathBuf {
        self.0.join("trainers")
    }

    /// What is needed to go on with an interrupted run on a network.
    pub(crate) fn runs(&self, network: &str) -> PathBuf {
        self.0.join("runs").join(network)
    }

    /// Where the contracts are on a network.
    pub(crate) fn deployment(&self, network: &str) -> PathBuf {
        self.0.join("deployments").join(format!("{network}.json"))
    }

    /// The network that `cw network use` chose.
    pub(crate) fn chosen_network(&self) -> PathBuf {
        self.0.join("network")
    }

    /// Makes the folder itself, with a note that keeps it out of version control.
    ///
    /// # Errors
    /// [`Code::FileUnreadable`].
    pub(crate) fn create(&self) -> Result<(), CliError> {
        let ignore = self.0.join(".gitignore");
        let make = || {
            fs::create_dir_all(&self.0)?;
            if !ignore.exists() {
                fs::write(&ignore, "*\n")?;
            }
            Ok(())
        };
        make().map_err(|error: io::Error| {
            CliError::new(
                Code::FileUnreadable,
                format!("{} cannot be made", self.0.display()),
            )
            .fact("system", error.to_string())
            .fix("check the folder's permissions and the disk's free space")
        })
    }
}

/// Reads a configuration file.
///
/// # Errors
/// [`Code::FileUnreadable`].
pub(crate) fn read_config(file: &Path) -> Result<String, CliError> {
    let unreadable = |why: String| {
        CliError::new(Code::FileUnreadable, format!("{} cannot be read", file.display()))
            .fact("system", why)
            .fix("check that the file is there, is text and belongs to you")
    };
    let length = fs::metadata(file)
        .map_err(|error| unreadable(error.to_string()))?
        .len();
    if length > LONGEST_CONFIG {
        return Err(unreadable(format!(
            "{length} bytes are too many for a configuration"
        )));
    }
    fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))
}

fn no_project(named: Option<&Path>) -> CliError {
    match named {
        Some(folder) => CliError::new(Code::NoProject, format!("{} is no project", folder.display()))
            .why(format!("it has no {CONFIG_FILE}"))
            .fix(format!("cw new {}", folder.display())),
        None => CliError::new(Code::NoProject, "there is no project here")
            .why(format!(
                "neither this folder nor one above it has a {CONFIG_FILE}"
            ))
            .fix("cw new my-study, or name a project with --project DIR"),
    }
}
