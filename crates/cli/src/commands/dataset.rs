//! `cw dataset`: the project's datasets.

use std::{
    fs,
    path::{Path, PathBuf},
};

use counterweight_federated::study::{DatasetEntry, FileFormat};
use counterweight_provenance::{
    content::{Hashes, digest_file},
    ledger::{AssetKind, ConsentReader as _},
    manifest::Manifest,
};
use counterweight_standards::export::{DatasetFile, croissant, prov, spdx, token_metadata};
use serde_json::{Value, json};

use super::{
    Context,
    model::{pretty, told_where},
};
use crate::{
    arguments::ThingName,
    error::{CliError, Code, with_causes},
    nearest::nearest,
    output::{Answer, Cell, Table, Tone},
    project::{CONFIG_FILE, Project, ProjectConfig, Wanted, read_config},
    session::{Asset, Assets, Contracts, Session},
    training::{
        Stewarded, dataset_statement, format_of, member_key, purpose, read_holdout, read_local, record,
        record_consents, register, sponsor_key,
    },
};

/// What to do with datasets.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Add a file to the project's configuration
    Add {
        /// What to call it
        name: String,
        /// The file, CSV or Parquet
        #[arg(value_name = "FILE")]
        path: PathBuf,
        /// Its licence, as an SPDX identifier
        #[arg(long, value_name = "SPDX")]
        licence: String,
        /// A purpose its steward allows; may be given several times [default: the project's purpose]
        #[arg(long, value_name = "NAME")]
        consent: Vec<String>,
        /// Name of the key that signs for it [default: a development account]
        #[arg(long, value_name = "KEY")]
        steward: Option<String>,
    },
    /// List the project's datasets
    List,
    /// Show one dataset in full
    Show {
        /// The dataset
        name: ThingName,
    },
    /// Describe a dataset in a format of others
    Export {
        /// The dataset, `name` or `name@2`
        name: ThingName,
        /// In which format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        /// The file to write; `-` for standard output [default: NAME-VERSION and the format's ending]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Say where wallets and galleries find a dataset's metadata
    Link(super::link::Arguments),
    /// Put a dataset's manifest on the chain and a signed statement into the log, and grant its consent
    Publish {
        /// The datasets; without one, all of them
        names: Vec<String>,
    },
}

/// Formats of datasets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// MLCommons Croissant 1.1 with responsible-AI metadata
    #[default]
    Croissant,
    /// SPDX 3.0.1 with its profile for datasets
    Spdx,
    /// Its lineage as PROV-JSON
    Prov,
    /// Metadata of its token as wallets and galleries read it, the picture of its lineage inside
    Nft,
}

/// Does it.
///
/// # Errors
/// Those of files, chain and contracts.
pub(crate) fn run(command: &Command, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    match command {
        Command::Add {
            name,
            path,
            licence,
            consent,
            steward,
        } => {
            let consent = if consent.is_empty() {
                vec![project.config.study.study.purpose.clone()]
            } else {
                consent.clone()
            };
            let entry = Added {
                name,
                path,
                licence,
                consent: &consent,
                steward: steward.as_deref(),
            };
            add(&project, &entry, context)
        }
        Command::List => list(&project, context),
        Command::Show { name } => show(&project, name, context),
        Command::Export { name, format, output } => {
            export(&project, name, *format, output.as_deref(), context)
        }
        Command::Link(arguments) => super::link::run(AssetKind::Dataset, arguments, context),
        Command::Publish { names } => publish(&project, names, context),
    }
}

struct Added<'a> {
    name: &'a str,
    path: &'a std::path::Path,
    licence: &'a str,
    consent: &'a [String],
    steward: Option<&'a str>,
}

fn add(project: &Project, added: &Added<'_>, context: &Context) -> Result<Answer, CliError> {
    if project
        .config
        .study
        .datasets
        .iter()
        .any(|entry| entry.name == added.name)
    {
        return Err(CliError::new(
            Code::AlreadyThere,
            format!("a dataset called \"{}\" is configured already", added.name),
        )
        .fix("choose another name, or change its [[dataset]] in counterweight.toml"));
    }
    let file = project.root.join(CONFIG_FILE);
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let consent: Vec<String> = added.consent.iter().map(|purpose| quoted(purpose)).collect();
    let mut text = read_config(&file)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&format!(
        "\n[[dataset]]\nname = {}\npath = {}\nlicence = {}\nconsent = [{}]\n",
        quoted(added.name),
        quoted(&added.path.display().to_string()),
        quoted(added.licence),
        consent.join(", ")
    ));
    if let Some(steward) = added.steward {
        text.push_str(&format!("steward = {}\n", quoted(steward)));
    }
    // Read back before anything is written: the file stays as it is where the new one would not be understood.
    let config = ProjectConfig::read(&text, CONFIG_FILE, &Wanted::default(), &|_| None)?;
    let changed = Project {
        root: project.root.clone(),
        config,
    };
    let entry = entry(&changed, added.name)?;
    let holdout = read_holdout(&changed)?;
    let data = read_local(&changed, entry, holdout.as_ref().map(|(rows, _)| rows))?;
    let rows = data.rows.train.len() + data.rows.test.len() + data.rows.dropped;
    if !context.global.dry_run {
        let temporary = file.with_extension("toml.new");
        let written = fs::write(&temporary, &text).and_then(|()| fs::rename(&temporary, &file));
        written.map_err(|error| {
            CliError::new(
                Code::FileUnreadable,
                format!("{} cannot be written", file.display()),
            )
            .fact("system", error.to_string())
            .fix("check the file's permissions and the disk's free space")
        })?;
    }
    Ok(Answer::new("dataset-add/1")
        .json("name", added.name)
        .json("rows", rows)
        .json("content", data.content.to_string())
        .line(format!(
            "{}: {rows} rows, {} left out for missing values",
            added.name, data.rows.dropped
        ))
        .id(added.name)
        .next(format!("cw dataset publish {}", added.name)))
}

fn entry<'a>(project: &'a Project, name: &str) -> Result<&'a DatasetEntry, CliError> {
    let datasets = &project.config.study.datasets;
    datasets.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let error = CliError::new(Code::UnknownName, format!("no dataset is called \"{name}\""));
        let error = match nearest(name, datasets.iter().map(|entry| entry.name.as_str())) {
            Some(near) => error.fact("nearest", near),
            None => error,
        };
        error.fix("cw dataset list")
    })
}

/// What the chain knows, if there is one yet.
fn registered(project: &Project, context: &Context) -> Result<Option<(Contracts, Assets)>, CliError> {
    let session = match Session::open(project, context) {
        Ok(session) => session,
        Err(error) if error.code() == Code::NothingYet => return Ok(None),
        Err(error) => return Err(error),
    };
    if session.deployment()?.is_none() {
        return Ok(None);
    }
    let contracts = session.contracts()?;
    let assets = Assets::read(&contracts, &session.blobs)?;
    Ok(Some((contracts, assets)))
}

fn list(project: &Project, context: &Context) -> Result<Answer, CliError> {
    let known = registered(project, context)?;
    let wanted = purpose(project)?;
    let mut table = Table::new(["dataset", "file", "licence", "registered", "rows", "consent"]);
    let mut rows = Vec::new();
    let mut answer = Answer::new("dataset-list/1");
    for entry in &project.config.study.datasets {
        let asset = known.as_ref().and_then(|(_, assets)| {
            assets
                .of_kind(AssetKind::Dataset)
                .rfind(|asset| asset.name() == entry.name)
        });
        let allowed = match (&known, asset) {
            (Some((contracts, _)), Some(asset)) => {
                Some(contracts.reader.is_allowed(asset.record.id, wanted)?)
            }
            _ => None,
        };
        let count = asset.and_then(rows_of);
        table.push([
            Cell::text(&entry.name),
            Cell::text(entry.path.display().to_string()),
            Cell::text(&entry.licence),
            Cell::text(asset.map_or_else(|| "not yet".to_owned(), Asset::full_name)),
            Cell::number(count.map_or_else(|| "-".to_owned(), |rows| rows.to_string())),
            match allowed {
                Some(true) => Cell::State(Tone::Good, "yes".to_owned()),
                Some(false) => Cell::State(Tone::Bad, "no".to_owned()),
                None => Cell::text("-"),
            },
        ]);
        rows.push(json!({
            "name": entry.name, "path": entry.path, "licence": entry.licence, "consent": entry.consent,
            "asset": asset.map(|asset| asset.record.id), "version": asset.map(|asset| asset.record.asset.version),
            "content": asset.map(|asset| asset.record.asset.content), "rows": count, "allowed": allowed,
        }));
        answer = answer.id(entry.name.as_str());
    }
    Ok(answer.json("datasets", rows).table(table))
}

fn rows_of(asset: &Asset) -> Option<u64> {
    match &asset.manifest {
        Some(Manifest::Dataset(manifest)) => Some(manifest.rows),
        _ => None,
    }
}

fn show(project: &Project, name: &ThingName, context: &Context) -> Result<Answer, CliError> {
    let Some((contracts, assets)) = registered(project, context)? else {
        let entry = entry(project, &name.0)?;
        return Ok(Answer::new("dataset/1")
            .json("name", entry.name.as_str())
            .json("registered", false)
            .fields([
                ("dataset", Cell::text(&entry.name)),
                ("file", Cell::text(entry.path.display().to_string())),
                ("licence", Cell::text(&entry.licence)),
                ("registered", Cell::text("not yet")),
            ])
            .next(format!("cw dataset publish {}", entry.name)));
    };
    let asset = assets.find(AssetKind::Dataset, &name.0)?;
    let consent = contracts.reader.consent(asset.record.id)?;
    let allowed = consent.purposes.names();
    let mut fields = vec![
        ("dataset", Cell::text(asset.full_name())),
        ("content", Cell::Digest(asset.record.asset.content)),
        ("manifest", Cell::Digest(asset.record.asset.manifest)),
        ("steward", Cell::Account(asset.record.owner)),
        ("registered", Cell::text(asset.record.registered_at.to_rfc3339())),
        (
            "allowed for",
            Cell::text(if allowed.is_empty() {
                "nothing".to_owned()
            } else {
                allowed.join(", ")
            }),
        ),
    ];
    let mut card = Value::Null;
    if let Some(manifest @ Manifest::Dataset(dataset)) = &asset.manifest {
        fields.push(("rows", Cell::text(dataset.rows.to_string())));
        fields.push(("columns", Cell::text(dataset.columns.len().to_string())));
        fields.push(("licence", Cell::text(&dataset.licence)));
        card = serde_json::to_value(manifest).unwrap_or(Value::Null);
    }
    let users: Vec<String> = assets
        .of_kind(AssetKind::Model)
        .filter(|model| {
            model
                .record
                .parents
                .iter()
                .any(|parent| parent.asset == asset.record.id)
        })
        .map(Asset::full_name)
        .collect();
    fields.push((
        "used by",
        Cell::text(if users.is_empty() {
            "nothing yet".to_owned()
        } else {
            users.join(", ")
        }),
    ));
    Ok(Answer::new("dataset/1")
        .json("name", asset.name())
        .json("version", asset.record.asset.version)
        .json("registered", true)
        .json("asset", asset.record.id.0)
        .json("content", asset.record.asset.content.to_string())
        .json("manifest", asset.record.asset.manifest.to_string())
        .json("steward", asset.record.owner.to_string())
        .json("allowed", allowed)
        .json("consent_epoch", consent.epoch)
        .json("card", card)
        .json("used_by", users)
        .fields(fields)
        .id(asset.full_name()))
}

fn export(
    project: &Project,
    name: &ThingName,
    format: Format,
    output: Option<&Path>,
    context: &Context,
) -> Result<Answer, CliError> {
    let session = Session::open(project, context)?;
    let contracts = session.contracts()?;
    let assets = Assets::read(&contracts, &session.blobs)?;
    let asset = assets.find(AssetKind::Dataset, &name.0)?;
    let graph = assets.lineage()?;
    let dossier = super::export::dossier(&session, &contracts, &graph, asset, context)?;
    let (document, ending) = match format {
        Format::Spdx => (spdx(&dossier)?, ".spdx.json"),
        Format::Prov => (prov(&dossier), ".prov.json"),
        Format::Nft => (token_metadata(&dossier, &graph)?, ".nft.json"),
        Format::Croissant => {
            let file = local_file(project, asset, context)?;
            (croissant(&dossier, file.as_ref())?, ".croissant.json")
        }
    };
    let name = format!("{}-{}{ending}", asset.name(), asset.record.asset.version);
    let path = output.map_or_else(|| PathBuf::from(name), Path::to_owned);
    let bytes = pretty(&document)?;
    let answer = super::export::write("dataset-export/1", &bytes, &path, true, context)?;
    if answer.is_empty() {
        return Ok(answer);
    }
    let answer = if format == Format::Nft {
        told_where(answer, "dataset", asset, &bytes)
    } else {
        answer
    };
    Ok(answer
        .json("dataset", asset.full_name())
        .json("content", asset.record.asset.content.to_string()))
}

/// The dataset's file, where it is configured here and is there: its name alone, since the description goes beside it.
fn local_file(project: &Project, asset: &Asset, context: &Context) -> Result<Option<DatasetFile>, CliError> {
    let datasets = &project.config.study.datasets;
    let entry = datasets.iter().find(|entry| entry.name == asset.name());
    let path = entry
        .map(|entry| (entry, project.resolve(&entry.path)))
        .filter(|(_, path)| path.is_file());
    let Some((entry, path)) = path else {
        context
            .console
            .note("its file is not here: the description has no columns");
        return Ok(None);
    };
    let file = digest_file(&path, Hashes::ContentAndSha256).map_err(|error| {
        CliError::new(Code::FileUnreadable, with_causes(&error)).fix("check that the file belongs to you")
    })?;
    let media_type = match format_of(&path, entry.format) {
        FileFormat::Parquet => "application/vnd.apache.parquet",
        _ => "text/csv",
    };
    let sha256 = file
        .sha256
        .ok_or_else(|| CliError::fault("a file was hashed without SHA-256"))?;
    Ok(Some(DatasetFile {
        name: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        digest: file.digest,
        sha256,
        media_type: media_type.to_owned(),
    }))
}

fn publish(project: &Project, names: &[String], context: &Context) -> Result<Answer, CliError> {
    let entries: Vec<&DatasetEntry> = if names.is_empty() {
        project.config.study.datasets.iter().collect()
    } else {
        names
            .iter()
            .map(|name| entry(project, name))
            .collect::<Result<_, _>>()?
    };
    let holdout = read_holdout(project)?;
    let rows = holdout.as_ref().map(|(rows, _)| rows);
    let read = entries
        .into_iter()
        .map(|entry| Ok((entry, read_local(project, entry, rows)?)))
        .collect::<Result<Vec<_>, CliError>>()?;
    let mut table = Table::new(["dataset", "asset", "new", "content"]);
    let mut published = Vec::new();
    let mut answer = Answer::new("dataset-publish/1");
    if context.global.dry_run {
        for (entry, data) in &read {
            table.push([
                Cell::text(&entry.name),
                Cell::text("-"),
                Cell::text("-"),
                Cell::Digest(data.content),
            ]);
        }
        return Ok(answer
            .json("sent", false)
            .line("Nothing was sent: --dry-run")
            .gap()
            .table(table));
    }
    let session = Session::begin(project, context)?;
    let key = sponsor_key(&session, context.global.key.as_ref())?;
    let contracts = session.deploy(&key)?;
    let mut members = Vec::new();
    for (entry, data) in read {
        let assets = Assets::read(&contracts, &session.blobs)?;
        let member = register(
            &session,
            &contracts,
            &assets,
            entry,
            data,
            &member_key(&session, entry)?,
        )?;
        table.push([
            Cell::text(&entry.name),
            Cell::number(member.asset),
            Cell::text(if member.registered { "yes" } else { "no" }),
            Cell::Digest(member.data.content),
        ]);
        published.push(json!({
            "name": entry.name, "asset": member.asset, "new": member.registered,
            "content": member.data.content, "manifest": member.manifest,
        }));
        answer = answer.id(entry.name.as_str());
        members.push(member);
    }
    let sponsor = contracts.acting_for(&key);
    let statements = members
        .iter()
        .map(|member| Ok((dataset_statement(&sponsor, member)?, &*member.key)))
        .collect::<Result<Vec<_>, CliError>>()?;
    record(&session, &key, &sponsor, statements)?;
    let stewarded: Vec<Stewarded> = members.iter().map(Stewarded::of).collect();
    record_consents(&session, &key, &sponsor, &stewarded)?;
    Ok(answer.json("sent", true).json("datasets", published).table(table))
}
