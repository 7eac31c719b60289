//! `cw new`: a project from a template.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::Context;
use crate::{
    error::{CliError, Code},
    nearest::nearest,
    output::Answer,
};

/// What to make.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Folder to make
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// What to start from: breast-cancer (four clinics with data) or heart-disease (four hospitals, bring the data)
    #[arg(long, value_name = "NAME", default_value = "breast-cancer")]
    template: String,
}

/// A project that comes with the program: the same files as in `examples/`.
struct Template {
    name: &'static str,
    files: &'static [(&'static str, &'static [u8])],
    said: &'static str,
}

macro_rules! files {
    ($folder:literal: $($file:literal),* $(,)?) => {
        &[$(($file, include_bytes!(concat!("../../../../examples/", $folder, "/", $file)))),*]
    };
}

const TEMPLATES: [Template; 2] = [
    Template {
        name: "breast-cancer",
        files: files!("breast-cancer": "counterweight.toml", "README.md", "data/README.md", "data/clinic-a.csv",
            "data/clinic-b.csv", "data/clinic-c.csv", "data/clinic-d.csv", "data/holdout.csv"),
        said: "4 clinics, 569 biopsies",
    },
    Template {
        name: "heart-disease",
        files: files!("heart-disease": "counterweight.toml", "README.md"),
        said: "4 hospitals; its README says where to get the data",
    },
];

/// Makes the project.
///
/// # Errors
/// [`Code::AlreadyThere`], [`Code::UnknownName`], [`Code::FileUnreadable`].
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<Answer, CliError> {
    let template = TEMPLATES
        .iter()
        .find(|template| template.name == arguments.template)
        .ok_or_else(|| {
            let error = CliError::new(
                Code::UnknownName,
                format!("there is no template \"{}\"", arguments.template),
            );
            let error = match nearest(
                &arguments.template,
                TEMPLATES.iter().map(|template| template.name),
            ) {
                Some(near) => error.fact("nearest", near),
                None => error,
            };
            error.fix(format!(
                "choose one of {}",
                TEMPLATES.map(|template| template.name).join(", ")
            ))
        })?;
    let folder = &arguments.folder;
    let used = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file();
    if used {
        return Err(CliError::new(
            Code::AlreadyThere,
            format!("{} is there and not empty", folder.display()),
        )
        .why("nothing that is there is ever replaced")
        .fix("choose another folder"));
    }
    if !context.global.dry_run {
        write(folder, template).map_err(|error| {
            CliError::new(
                Code::FileUnreadable,
                format!("{} cannot be made", folder.display()),
            )
            .fact("system", error.to_string())
            .fix("check the permissions of the folder above and the disk's free space")
        })?;
    }
    context.console.did(
        "Created",
        format!("{} from {}: {}", folder.display(), template.name, template.said),
    );
    let files: Vec<&str> = template.files.iter().map(|(name, _)| *name).collect();
    Ok(Answer::new("new/1")
        .json("folder", folder.display().to_string())
        .json("template", template.name)
        .json("files", files)
        .line(folder.display().to_string())
        .id(folder.display().to_string())
        .next(format!("cd {} && cw train", folder.display())))
}

fn write(folder: &Path, template: &Template) -> io::Result<()> {
    for (name, bytes) in template.files {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, bytes)?;
    }
    Ok(())
}
