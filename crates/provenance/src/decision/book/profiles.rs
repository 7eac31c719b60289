//! The profiles that decisions of a log can be made under, as files.
//!
//! `<id>.<index>.profile` is a profile's entry in the log at that index, `<digest>.parameters` the parameters of a linear model
//! that one of them names.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use counterweight_primitives::Sha256Digest;

use super::{DecisionError, error::failed};
use crate::{
    decision::{
        linear::LinearParameters,
        profile::{Explanation, Profile},
    },
    durable::{sync_folder, write_file},
};

/// The folder, and what is in it.
pub(super) struct Profiles {
    folder: PathBuf,
    known: BTreeMap<Sha256Digest, Arc<Profile>>,
}

impl Profiles {
    /// Reads a folder; one that is not there has no profiles.
    pub(super) fn open(folder: PathBuf) -> Result<Self, DecisionError> {
        let known = read(&folder)?;
        Ok(Self { folder, known })
    }

    pub(super) fn get(&self, id: Sha256Digest) -> Result<&Arc<Profile>, DecisionError> {
        self.known.get(&id).ok_or(DecisionError::UnknownProfile { id })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.known.values()
    }

    /// Writes the parameters that a profile names, which must be there before the profile is.
    pub(super) fn write_parameters(&self, profile: &Profile) -> Result<(), DecisionError> {
        let folder = &self.folder;
        fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
        if let Some(linear) = profile.linear() {
            let bytes = linear.encode().map_err(DecisionError::Encoding)?;
            let name = format!("{}.parameters", Sha256Digest::of(&bytes).to_hex());
            write_file(&folder.join(name), &folder.join("temporary"), &bytes)
                .map_err(|e| failed(folder, e))?;
        }
        Ok(())
    }

    /// Writes a profile whose entry in the log is at an index.
    pub(super) fn insert(&mut self, profile: Profile, index: u64) -> Result<Arc<Profile>, DecisionError> {
        let folder = &self.folder;
        let name = format!("{}.{index}.profile", profile.id().to_hex());
        write_file(&folder.join(name), &folder.join("temporary"), profile.bytes())
            .and_then(|()| sync_folder(folder))
            .map_err(|e| failed(folder, e))?;
        let profile = Arc::new(profile);
        self.known.insert(profile.id(), Arc::clone(&profile));
        Ok(profile)
    }

    /// Place of a profile's entry in the log.
    pub(super) fn index_of(&self, id: Sha256Digest) -> Result<u64, DecisionError> {
        let folder = &self.folder;
        for entry in fs::read_dir(folder).map_err(|e| failed(folder, e))? {
            let name = entry.map_err(|e| failed(folder, e))?.file_name();
            let index = name.to_str().and_then(|name| {
                let rest = name.strip_prefix(&id.to_hex())?.strip_prefix('.')?;
                rest.strip_suffix(".profile")?.parse().ok()
            });
            if let Some(index) = index {
                return Ok(index);
            }
        }
        Err(DecisionError::UnknownProfile { id })
    }
}

fn read(folder: &Path) -> Result<BTreeMap<Sha256Digest, Arc<Profile>>, DecisionError> {
    let mut profiles = BTreeMap::new();
    let names = match fs::read_dir(folder) {
        Ok(names) => names,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(profiles),
        Err(e) => return Err(failed(folder, e)),
    };
    for name in names {
        let path = name.map_err(|e| failed(folder, e))?.path();
        if path.extension().is_none_or(|extension| extension != "profile") {
            continue;
        }
        let bytes = fs::read(&path).map_err(|e| failed(&path, e))?;
        let mut profile = Profile::decode(&bytes, None)?;
        if let Some(Explanation::Linear(digest)) = profile.explanation() {
            let path = folder.join(format!("{}.parameters", digest.to_hex()));
            let parameters = fs::read(&path).map_err(|e| failed(&path, e))?;
            let parameters = LinearParameters::decode(&parameters).map_err(DecisionError::Encoding)?;
            profile = Profile::decode(&bytes, parameters)?;
        }
        profiles.insert(profile.id(), Arc::new(profile));
    }
    Ok(profiles)
}
