//! What is kept on disk, in one redb file: blocks, every version of every account and slot, code, trie branches.
//!
//! One write transaction per block makes a block either wholly there or not at all. `docs/spec/embedded-chain.md`
//! gives the tables byte by byte; they are read and written nowhere else.

mod check;
mod codec;
mod tables;
mod view;
mod write;

use std::path::Path;
use std::sync::Arc;

use alloy_consensus::{Header, Sealed};
use alloy_primitives::B256;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable};

use super::{EmbeddedError, StoredBlock};
pub(crate) use codec::receipt;
pub(crate) use view::{StateView, View, account_value};
pub(crate) use write::{BlockWrite, Meanwhile};

/// Version of the tables; another version is refused.
pub(crate) const FORMAT: u32 = 1;

/// Name of the file in the chain's directory.
const FILE: &str = "chain.redb";

/// The open database.
#[derive(Clone)]
pub(crate) struct Store {
    database: Arc<Database>,
    history_blocks: Option<u64>,
}

pub(crate) fn storage<E>(doing: &'static str) -> impl FnOnce(E) -> EmbeddedError
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |source| EmbeddedError::Storage {
        doing,
        source: source.into(),
    }
}

pub(crate) fn damaged(what: impl Into<String>) -> EmbeddedError {
    EmbeddedError::Damaged { what: what.into() }
}

/// What identifies a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) chain_id: u64,
    pub(crate) genesis: B256,
}

impl Store {
    /// Opens the file in a directory, making both where absent.
    pub(crate) fn open(
        directory: &Path,
        cache_bytes: usize,
        history_blocks: Option<u64>,
    ) -> Result<Self, EmbeddedError> {
        std::fs::create_dir_all(directory).map_err(storage("making its directory"))?;
        let database = Database::builder()
            .set_cache_size(cache_bytes)
            .create(directory.join(FILE))
            .map_err(|error| match error {
                DatabaseError::DatabaseAlreadyOpen => EmbeddedError::Locked {
                    path: directory.display().to_string(),
                },
                other => storage("opening them")(other),
            })?;
        Self::check_format(&database, directory)?;
        Ok(Self {
            database: Arc::new(database),
            history_blocks,
        })
    }

    /// A store in memory.
    pub(crate) fn in_memory(cache_bytes: usize, history_blocks: Option<u64>) -> Result<Self, EmbeddedError> {
        let database = Database::builder()
            .set_cache_size(cache_bytes)
            .create_with_backend(redb::backends::InMemoryBackend::new())
            .map_err(storage("opening them"))?;
        Self::check_format(&database, Path::new("memory"))?;
        Ok(Self {
            database: Arc::new(database),
            history_blocks,
        })
    }

    fn check_format(database: &Database, directory: &Path) -> Result<(), EmbeddedError> {
        let doing = "reading their format";
        let write = database.begin_write().map_err(storage(doing))?;
        let found = {
            let mut meta = write.open_table(tables::META).map_err(storage(doing))?;
            let found = meta
                .get(tables::FORMAT_KEY)
                .map_err(storage(doing))?
                .map(|value| value.value().to_vec());
            if found.is_none() {
                meta.insert(tables::FORMAT_KEY, &FORMAT.to_be_bytes()[..])
                    .map_err(storage(doing))?;
            }
            found
        };
        if let Some(found) = found {
            let got = found
                .try_into()
                .map(u32::from_be_bytes)
                .map_err(|_| damaged("the format is not four bytes"))?;
            if got != FORMAT {
                return Err(EmbeddedError::FormatMismatch {
                    path: directory.display().to_string(),
                    expected: FORMAT,
                    got,
                });
            }
            return Ok(());
        }
        write::create_tables(&write)?;
        write.commit().map_err(storage("writing their format"))
    }

    /// A consistent view of everything as of now.
    pub(crate) fn view(&self) -> Result<View, EmbeddedError> {
        let transaction = self.database.begin_read().map_err(storage("reading them"))?;
        View::new(&transaction)
    }

    /// Which chain is kept here, if any.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, EmbeddedError> {
        let doing = "reading their identity";
        let transaction = self.database.begin_read().map_err(storage(doing))?;
        let meta = transaction.open_table(tables::META).map_err(storage(doing))?;
        let Some(value) = meta.get(tables::IDENTITY_KEY).map_err(storage(doing))? else {
            return Ok(None);
        };
        let (chain_id, genesis) = value
            .value()
            .split_first_chunk::<8>()
            .ok_or_else(|| damaged("the identity is cut short"))?;
        Ok(Some(Identity {
            chain_id: u64::from_be_bytes(*chain_id),
            genesis: B256::try_from(genesis).map_err(|_| damaged("the identity is cut short"))?,
        }))
    }

    /// The header of a block.
    pub(crate) fn header(&self, number: u64) -> Result<Option<Sealed<Header>>, EmbeddedError> {
        self.view()?.header(number)
    }

    /// A whole block.
    pub(crate) fn block(&self, number: u64) -> Result<Option<Arc<StoredBlock>>, EmbeddedError> {
        self.view()?.block(number)
    }
}
