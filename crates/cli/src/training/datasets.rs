//! The datasets of a project: read, registered, consented.

use std::{fs, sync::Arc};

use counterweight_chain::keys::LocalKey;
use counterweight_federated::{
    study::{DatasetEntry, Family, FileFormat, schema::Role},
    table::{Dataset, HoldoutRows, MemberRows, Source, holdout_rows, member_rows},
};
use counterweight_primitives::{AssetId, ContentDigest, PurposeIndex};
use counterweight_provenance::{
    ledger::{AssetKind, AssetLedger as _, ConsentLedger as _, ConsentReader as _, Registration},
    manifest::{Column, ColumnKind, ColumnRole, ContentRef, DatasetManifest, Manifest},
    purpose::{Purpose, PurposeSet},
};

use super::member_key;
use crate::{
    error::{CliError, Code},
    project::Project,
    session::{Asset, Assets, Contracts, Session},
};

/// A dataset's file, read.
#[derive(Debug)]
pub(crate) struct LocalData {
    /// Digest of its bytes.
    pub(crate) content: ContentDigest,
    /// Its length.
    pub(crate) bytes: u64,
    /// Its rows as numbers.
    pub(crate) rows: MemberRows,
}

/// A dataset that is registered and ready to take part.
#[derive(Debug)]
pub(crate) struct Membership {
    /// As configured.
    pub(crate) entry: DatasetEntry,
    /// The steward's key.
    pub(crate) key: Arc<LocalKey>,
    /// Its asset.
    pub(crate) asset: AssetId,
    /// The file.
    pub(crate) data: LocalData,
    /// Digest of its manifest.
    pub(crate) manifest: ContentDigest,
    /// Whether it was registered just now.
    pub(crate) registered: bool,
    /// Whether the purpose is allowed at this moment.
    pub(crate) allowed: bool,
}

/// How a file is stored: as configured, else as its name ends.
pub(crate) fn format_of(path: &std::path::Path, configured: Option<FileFormat>) -> FileFormat {
    configured.unwrap_or_else(
        || match path.extension().and_then(|extension| extension.to_str()) {
            Some("parquet") => FileFormat::Parquet,
            _ => FileFormat::Csv,
        },
    )
}

fn read_bytes(project: &Project, path: &std::path::Path) -> Result<Vec<u8>, CliError> {
    let full = project.resolve(path);
    fs::read(&full).map_err(|error| {
        CliError::new(Code::FileUnreadable, format!("{} cannot be read", full.display()))
            .fact("system", error.to_string())
            .fix("check the path in counterweight.toml; a README in the folder may say where to get the file")
    })
}

/// The hold-out, with the digest of its bytes, if the study has one.
///
/// # Errors
/// [`Code::FileUnreadable`] and those of the table.
pub(crate) fn read_holdout(project: &Project) -> Result<Option<(HoldoutRows, ContentDigest)>, CliError> {
    let study = &project.config.study;
    let Some(holdout) = &study.holdout else {
        return Ok(None);
    };
    let bytes = read_bytes(project, &holdout.path)?;
    let name = holdout.path.display().to_string();
    let format = format_of(&holdout.path, holdout.format);
    let rows = holdout_rows(
        Source {
            name: &name,
            bytes: &bytes,
            format,
        },
        &study.data,
    )?;
    Ok(Some((rows, ContentDigest::of(&bytes))))
}

/// Reads a dataset's file as the study says.
///
/// # Errors
/// [`Code::FileUnreadable`] and those of the table.
pub(crate) fn read_local(
    project: &Project,
    entry: &DatasetEntry,
    holdout: Option<&HoldoutRows>,
) -> Result<LocalData, CliError> {
    let study = &project.config.study;
    let bytes = read_bytes(project, &entry.path)?;
    let name = entry.path.display().to_string();
    let rows = if study.model.architecture == Family::Custom {
        // Only the member's own program knows how to read it.
        let none = Dataset::new(1, Vec::new(), Vec::new())?;
        MemberRows {
            train: none.clone(),
            test: none,
            dropped: 0,
        }
    } else {
        let source = Source {
            name: &name,
            bytes: &bytes,
            format: format_of(&entry.path, entry.format),
        };
        member_rows(source, &study.data, holdout, study.training.seed)?
    };
    Ok(LocalData {
        content: ContentDigest::of(&bytes),
        bytes: bytes.len() as u64,
        rows,
    })
}

/// The study's purpose.
///
/// # Errors
/// [`Code::BadValue`] with the nearest name.
pub(crate) fn purpose(project: &Project) -> Result<PurposeIndex, CliError> {
    Ok(Purpose::by_name(&project.config.study.study.purpose)?.index)
}

/// Reads every dataset, registers what is not registered as it is now, and grants its consent where its steward
/// never decided about it.
///
/// # Errors
/// Those of files, tables, chain and contracts.
pub(crate) fn prepare(
    session: &Session<'_>,
    contracts: &Contracts,
    holdout: Option<&HoldoutRows>,
) -> Result<Vec<Membership>, CliError> {
    let assets = Assets::read(contracts, &session.blobs)?;
    let datasets = &session.project.config.study.datasets;
    datasets
        .iter()
        .map(|entry| {
            let data = read_local(session.project, entry, holdout)?;
            register(
                session,
                contracts,
                &assets,
                entry,
                data,
                &member_key(session, entry)?,
            )
        })
        .collect()
}

/// The registered asset of a dataset as it is now, if there is one.
fn find_registered(
    assets: &Assets,
    manifest: ContentDigest,
    owner: counterweight_primitives::Address,
) -> Option<&Asset> {
    let own = |asset: &&Asset| asset.record.owner == owner && asset.record.asset.manifest == manifest;
    assets.of_kind(AssetKind::Dataset).rfind(own)
}

/// Registers a dataset unless it is, and grants its consent where its steward never decided about it.
///
/// # Errors
/// Those of chain and contracts.
pub(crate) fn register(
    session: &Session<'_>,
    contracts: &Contracts,
    assets: &Assets,
    entry: &DatasetEntry,
    data: LocalData,
    key: &Arc<LocalKey>,
) -> Result<Membership, CliError> {
    let purposes = PurposeSet::from_names(entry.consent.iter().map(String::as_str))?;
    let manifest = Manifest::Dataset(manifest(session.project, entry, &data, purposes, key.account()));
    let bytes = manifest.encode()?;
    let digest = session.blobs.put(&bytes)?;
    let ledger = contracts.acting_for(key);
    let wanted = purpose(session.project)?;
    let (asset, registered) = match find_registered(assets, digest, key.account()) {
        Some(asset) => (asset.record.id, false),
        None => {
            let previous = assets
                .newest(AssetKind::Dataset, key.account(), &entry.name)
                .map(|asset| asset.record.id);
            let registration = Registration {
                kind: AssetKind::Dataset,
                content: data.content,
                manifest: digest,
                previous,
                resale_royalty_bps: 0,
                uri: digest.to_string(),
                parents: Vec::new(),
            };
            let id = ledger.register(key.account(), &registration)?;
            // A steward who withdrew consent for the last version has not given it for this one.
            let withdrawn = match previous {
                Some(previous) => {
                    let consent = ledger.consent(previous)?;
                    consent.epoch > 0 && consent.purposes.is_empty()
                }
                None => false,
            };
            if !withdrawn && !purposes.is_empty() {
                ledger.grant(id, purposes, None)?;
            }
            (id, true)
        }
    };
    // Interrupted between registration and consent: nobody has decided yet.
    if !registered && ledger.consent(asset)?.epoch == 0 && !purposes.is_empty() {
        ledger.grant(asset, purposes, None)?;
    }
    let allowed = ledger.is_allowed(asset, wanted)?;
    Ok(Membership {
        entry: entry.clone(),
        key: Arc::clone(key),
        asset,
        data,
        manifest: digest,
        registered,
        allowed,
    })
}

fn manifest(
    project: &Project,
    entry: &DatasetEntry,
    data: &LocalData,
    purposes: PurposeSet,
    steward: counterweight_primitives::Address,
) -> DatasetManifest {
    let schema = &project.config.study.data;
    let mut columns: Vec<Column> = schema
        .columns
        .iter()
        .map(|column| Column {
            name: column.name.clone(),
            kind: if column.levels.is_some() {
                ColumnKind::Category
            } else {
                ColumnKind::Number
            },
            role: match column.role {
                Role::Feature => ColumnRole::Feature,
                Role::Label => ColumnRole::Target,
                Role::Ignore => ColumnRole::Ignored,
            },
        })
        .collect();
    let is_read = project.config.study.model.architecture != Family::Custom;
    if is_read && !columns.iter().any(|column| column.name == schema.label.column) {
        let name = schema.label.column.clone();
        columns.push(Column {
            name,
            kind: ColumnKind::Category,
            role: ColumnRole::Target,
        });
    }
    DatasetManifest {
        name: entry.name.clone(),
        description: entry.description.clone().unwrap_or_default(),
        content: ContentRef {
            digest: data.content,
            size: data.bytes,
        },
        rows: (data.rows.train.len() + data.rows.test.len() + data.rows.dropped) as u64,
        columns,
        licence: entry.licence.clone(),
        purposes,
        steward,
    }
}
