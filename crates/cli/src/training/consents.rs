//! What stewards allowed and withdrew, signed in the project's log, and what a run used of it.

use std::{collections::BTreeMap, sync::Arc};

use counterweight_chain::{embedded::DEVELOPMENT_ACCOUNTS, keys::LocalKey, ledger::ContractLedger};
use counterweight_federated::ledger::StudyState;
use counterweight_primitives::{AssetId, ContentDigest, StudyId};
use counterweight_provenance::{
    consent::{ConsentEntry, ConsentSet, Registry},
    ledger::{ConsentEpoch, ConsentReader as _},
    statement::Subject,
};

use super::{Membership, statements};
use crate::{
    error::{CliError, Code, with_causes},
    session::{Contracts, Session},
};

/// A dataset whose steward signs here.
pub(crate) struct Stewarded {
    /// The dataset.
    pub(crate) asset: AssetId,
    /// What it is called.
    pub(crate) name: String,
    /// Digest of its bytes.
    pub(crate) content: ContentDigest,
    /// The steward's key.
    pub(crate) key: Arc<LocalKey>,
}

impl Stewarded {
    /// That of a member.
    pub(crate) fn of(member: &Membership) -> Self {
        Self {
            asset: member.asset,
            name: member.entry.name.clone(),
            content: member.data.content,
            key: Arc::clone(&member.key),
        }
    }

    fn subject(&self) -> Subject {
        Subject {
            name: self.name.clone(),
            digest: self.content,
            sha256: None,
        }
    }
}

/// The registry of consent that a deployment names.
pub(crate) fn registry<S>(ledger: &ContractLedger<S>) -> Registry {
    let deployment = ledger.deployment();
    Registry {
        chain: deployment.chain_id,
        contract: deployment.consent_registry,
    }
}

/// Signs every grant and withdrawal of these datasets that their stewards made, and appends to the log what it does not
/// hold yet: what was missed before is made up for. Gives the digest of each dataset's newest entry.
///
/// # Errors
/// Those of chain, log and store.
pub(crate) fn record_consents(
    session: &Session<'_>,
    owner: &LocalKey,
    ledger: &ContractLedger,
    datasets: &[Stewarded],
) -> Result<Vec<Option<ContentDigest>>, CliError> {
    let mut said = Vec::new();
    let mut newest = Vec::new();
    for dataset in datasets {
        let entries = sign(session, ledger, dataset)?;
        newest.push(entries.last().map(|(_, digest)| *digest));
        said.extend(
            entries
                .into_iter()
                .map(|(entry, _)| (entry.statement(), &*dataset.key)),
        );
    }
    statements::record(session, owner, ledger, said)?;
    Ok(newest)
}

/// The entries that a steward signs, in order, each kept by its digest.
fn sign(
    session: &Session<'_>,
    ledger: &ContractLedger,
    dataset: &Stewarded,
) -> Result<Vec<(ConsentEntry, ContentDigest)>, CliError> {
    let registry = registry(ledger);
    let own = |epoch: &&ConsentEpoch| epoch.steward == dataset.key.account();
    let history = ledger.consent_history(dataset.asset)?;
    let entries = history
        .iter()
        .filter(own)
        .filter_map(|epoch| ConsentEntry::of(registry, dataset.asset, dataset.subject(), epoch));
    entries
        .map(|entry| {
            // The signature follows from key and text, so these are the bytes that the log holds too.
            let bytes = entry.statement().sign(&*dataset.key)?.encode()?;
            Ok((entry, session.blobs.put(&bytes)?))
        })
        .collect()
}

/// The key that the project's log belongs to, where it is at hand: one of those given, or a development account.
/// None where there is no log, or it is somebody else's.
pub(crate) fn log_key(
    session: &Session<'_>,
    given: &[Arc<LocalKey>],
) -> Result<Option<Arc<LocalKey>>, CliError> {
    let Some(owner) = statements::log_owner(session) else {
        return Ok(None);
    };
    if let Some(key) = given.iter().find(|key| key.account() == owner) {
        return Ok(Some(Arc::clone(key)));
    }
    if session.is_development() {
        for index in 0..DEVELOPMENT_ACCOUNTS {
            let key = session.keys.development(index)?;
            if key.account() == owner {
                return Ok(Some(key));
            }
        }
    }
    Ok(None)
}

/// Gathers the consents that a study used and keeps the document; its digest.
///
/// # Errors
/// [`Code::ConsentBroken`] where a use was not allowed, and those of chain, log and store.
pub(super) fn commit(
    session: &Session<'_>,
    contracts: &Contracts,
    study: StudyId,
    state: &StudyState,
) -> Result<ContentDigest, CliError> {
    let reader = &contracts.reader;
    let registry = registry(reader);
    let histories = reader.consent_histories()?;
    let uses = reader.consent_uses(study)?;
    let block = session.network.head()?.number;
    let training = reader.deployment().training_rounds;
    let about = (training, study, state.purpose);
    let mut set = ConsentSet::gather(&registry, about, &histories, &uses, block).map_err(|error| {
        CliError::new(Code::ConsentBroken, with_causes(&error))
            .why("the chain recorded a use that its own history of consent does not allow")
            .fix(format!(
                "cw verify run {study} names each; publish nothing until it is explained"
            ))
    })?;
    let logged = logged_entries(session, registry)?;
    for used in &mut set.consents {
        let entry = logged.get(&(used.dataset, used.grant));
        used.entry = entry.map(|bytes| session.blobs.put(bytes)).transpose()?;
    }
    let bytes = set
        .encode()
        .map_err(|error| CliError::fault(with_causes(&error)))?;
    Ok(session.blobs.put(&bytes)?)
}

/// Entries about a registry in the project's log, by dataset and epoch; the first of each.
pub(crate) fn logged_entries(
    session: &Session<'_>,
    registry: Registry,
) -> Result<BTreeMap<(AssetId, u32), Vec<u8>>, CliError> {
    let mut found = BTreeMap::new();
    for (bytes, statement) in statements::all_statements(session)? {
        if let Ok(entry) = ConsentEntry::read(&statement)
            && entry.registry == registry
        {
            found.entry((entry.dataset, entry.epoch)).or_insert(bytes);
        }
    }
    Ok(found)
}
