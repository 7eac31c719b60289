//! What belongs to the person and not to a project: networks, keys.

mod folder;
mod password;

pub(crate) use folder::UserFolder;
pub(crate) use password::{Asked, PasswordSource};
