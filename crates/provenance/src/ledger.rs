//! What must be recorded about assets, consent, income and logs, and read back, whatever keeps the record.
//!
//! The `chain` crate implements these traits on the contracts `AssetRegistry`, `ConsentRegistry`, `RoyaltyVault` and
//! `LogAnchor`. A reader answers for everybody; a ledger also acts for one account, and each of its calls returns
//! once it is recorded for good.

use counterweight_primitives::{
    Address, Amount, AssetId, ContentDigest, Ppm, PurposeIndex, Sha256Digest, UnixSeconds,
};
use serde::{Deserialize, Serialize};

use crate::{log::account_signature::AccountCheckpoint, purpose::PurposeSet};

/// Why the record refused or could not be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The rules of the contract refuse: trying again will not help.
    #[error("the contract refuses: {reason}")]
    Refused {
        /// Name of the contract's error, `ConsentMissing`.
        name: String,
        /// The error with its values, `ConsentMissing(datasetId: 2, purpose: 0, epoch: 2)`.
        reason: String,
    },
    /// Nobody answered, or not in time: trying again may help.
    #[error("the ledger cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer makes no sense.
    #[error("the ledger gave an answer that cannot be read: {what}")]
    Malformed {
        /// What could not be read.
        what: String,
    },
}

impl LedgerError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}

/// What an asset is: `IAssetRegistry.Kind` without `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AssetKind {
    /// Data that somebody stewards.
    Dataset,
    /// Trained parameters.
    Model,
    /// Code that runs.
    Program,
    /// Something made with a model.
    Content,
    /// Several assets held together, such as the ninth and later datasets of a model.
    Collection,
}

impl AssetKind {
    /// Its number in the contract.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Dataset => 1,
            Self::Model => 2,
            Self::Program => 3,
            Self::Content => 4,
            Self::Collection => 5,
        }
    }

    /// The kind with a number in the contract.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        [
            Self::Dataset,
            Self::Model,
            Self::Program,
            Self::Content,
            Self::Collection,
        ]
        .into_iter()
        .find(|kind| kind.code() == code)
    }

    /// Its name, lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dataset => "dataset",
            Self::Model => "model",
            Self::Program => "program",
            Self::Content => "content",
            Self::Collection => "collection",
        }
    }
}

/// An arrow of the lineage graph: `IAssetRegistry.Parent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    /// The parent.
    pub asset: AssetId,
    /// Part of the child's income that flows to it.
    pub share: Ppm,
}

/// What to register: `IAssetRegistry.Registration`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// What it is.
    pub kind: AssetKind,
    /// Digest of its bytes.
    pub content: ContentDigest,
    /// Digest of its canonical manifest.
    pub manifest: ContentDigest,
    /// Asset of the same kind and owner that it replaces.
    pub previous: Option<AssetId>,
    /// ERC-2981 royalty on resale of the token, in ten-thousandths.
    pub resale_royalty_bps: u16,
    /// Where the manifest may be found: a hint, the digest decides.
    pub uri: String,
    /// At most eight, in strictly ascending order, shares summing to at most the whole.
    pub parents: Vec<Parent>,
}

/// What an asset commits to: `IAssetRegistry.Asset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// What it is.
    pub kind: AssetKind,
    /// Digest of its bytes.
    pub content: ContentDigest,
    /// Digest of its canonical manifest.
    pub manifest: ContentDigest,
    /// The version before this one.
    pub previous: Option<AssetId>,
    /// Position in the chain of versions, counted from 1.
    pub version: u32,
}

/// An asset as it was registered, from events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetRecord {
    /// Its number.
    pub id: AssetId,
    /// What it commits to.
    pub asset: Asset,
    /// Whose it was at first.
    pub registered_to: Address,
    /// Whose it is now.
    pub owner: Address,
    /// When it was registered.
    pub registered_at: UnixSeconds,
    /// Where its manifest may be found: a hint.
    pub uri: String,
    /// What it came from, in ascending order of id.
    pub parents: Vec<Parent>,
}

/// Reading assets back.
pub trait AssetReader {
    /// What an asset commits to.
    ///
    /// # Errors
    /// [`LedgerError::Refused`] for an unknown asset; otherwise as the trait's type says. So for all below.
    fn asset(&self, id: AssetId) -> Result<Asset, LedgerError>;
    /// What it came from, in ascending order of id.
    fn parents(&self, id: AssetId) -> Result<Vec<Parent>, LedgerError>;
    /// Whose it is now.
    fn owner(&self, id: AssetId) -> Result<Address, LedgerError>;
    /// The version after it, if there is one.
    fn replaced_by(&self, id: AssetId) -> Result<Option<AssetId>, LedgerError>;
    /// Number of assets registered: ids go from 1 to this.
    fn asset_count(&self) -> Result<u64, LedgerError>;
    /// Every asset, in ascending order of id.
    fn asset_records(&self) -> Result<Vec<AssetRecord>, LedgerError>;
}

/// Registering assets for one account.
pub trait AssetLedger: AssetReader {
    /// Registers an asset owned by `owner`, who must be the acting account unless it is a first version.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn register(&self, owner: Address, registration: &Registration) -> Result<AssetId, LedgerError>;
}

/// What is allowed now: `IConsentRegistry.Consent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consent {
    /// Purposes allowed.
    pub purposes: PurposeSet,
    /// From then on nothing is allowed; absent for no end.
    pub expiry: Option<UnixSeconds>,
    /// Counts grants and revocations, from 1; 0 before the first.
    pub epoch: u32,
}

/// What a steward did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsentChange {
    /// These purposes are allowed, and nothing else.
    Granted {
        /// Purposes allowed.
        purposes: PurposeSet,
        /// From then on nothing is allowed; absent for no end.
        expiry: Option<UnixSeconds>,
    },
    /// These purposes are no longer allowed; the rest and its expiry stay.
    Revoked {
        /// Purposes withdrawn.
        purposes: PurposeSet,
    },
    /// The dataset's token was transferred: nothing is allowed until the new owner grants. The contract counts no epoch
    /// for it, so its entry carries the number of the last one, and the new owner as steward. The transfer that
    /// registration makes is not listed.
    Transferred,
}

/// Where in the history of a chain something is: times are whole seconds, this is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Height of the block.
    pub block: u64,
    /// Place of the event in the block, counted from 0.
    pub index: u64,
}

/// A grant, revocation or transfer as it was recorded, from events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsentEpoch {
    /// Its number, counted from 1.
    pub epoch: u32,
    /// Who did it.
    pub steward: Address,
    /// What was done.
    pub change: ConsentChange,
    /// When.
    pub at: UnixSeconds,
    /// Where in the chain's history.
    pub position: Position,
}

/// What a history allows after its last epoch that is no later than `time`, and no later in number than `epoch`
/// where one is given. The past keeps its answer whatever is appended. Times are whole seconds: what happened in the same
/// second counts as before.
#[must_use]
pub fn consent_at(history: &[ConsentEpoch], time: UnixSeconds, epoch: Option<u32>) -> Consent {
    let mut consent = Consent {
        purposes: PurposeSet::EMPTY,
        expiry: None,
        epoch: 0,
    };
    let past = history
        .iter()
        .filter(|e| e.at <= time && epoch.is_none_or(|last| e.epoch <= last));
    for entry in past {
        match entry.change {
            ConsentChange::Granted { purposes, expiry } => {
                (consent.purposes, consent.expiry) = (purposes, expiry)
            }
            ConsentChange::Revoked { purposes } => consent.purposes = consent.purposes.without(&purposes),
            ConsentChange::Transferred => (consent.purposes, consent.expiry) = (PurposeSet::EMPTY, None),
        }
        consent.epoch = entry.epoch;
    }
    consent
}

impl Consent {
    /// Whether it allows a purpose at a time.
    #[must_use]
    pub fn allows(&self, purpose: PurposeIndex, time: UnixSeconds) -> bool {
        self.purposes.contains(purpose) && self.expiry.is_none_or(|expiry| time < expiry)
    }
}

/// Reading consent back.
pub trait ConsentReader {
    /// What a dataset's steward allows now.
    ///
    /// # Errors
    /// [`LedgerError`]; so for all below.
    fn consent(&self, dataset: AssetId) -> Result<Consent, LedgerError>;
    /// Whether a purpose is allowed in the newest block.
    fn is_allowed(&self, dataset: AssetId, purpose: PurposeIndex) -> Result<bool, LedgerError>;
    /// Every grant, revocation and transfer, in order.
    fn consent_history(&self, dataset: AssetId) -> Result<Vec<ConsentEpoch>, LedgerError>;
}

/// Giving and withdrawing consent for one account.
pub trait ConsentLedger: ConsentReader {
    /// Allows these purposes and nothing else; the new epoch.
    ///
    /// # Errors
    /// [`LedgerError`]; so for all below.
    fn grant(
        &self,
        dataset: AssetId,
        purposes: PurposeSet,
        expiry: Option<UnixSeconds>,
    ) -> Result<u32, LedgerError>;
    /// Withdraws these purposes; the new epoch.
    fn revoke(&self, dataset: AssetId, purposes: PurposeSet) -> Result<u32, LedgerError>;
}

/// What a settlement moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// To the pending income of the parents.
    pub to_parents: Amount,
    /// To what the owner may claim.
    pub to_owner: Amount,
}

/// Something that happened to an asset's income.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoyaltyChange {
    /// Somebody paid.
    Paid {
        /// Who.
        payer: Address,
        /// How much.
        amount: Amount,
        /// What for: chosen by the payer.
        reference: [u8; 32],
    },
    /// Pending income was split.
    Settled(Settlement),
    /// The owner was paid.
    Claimed {
        /// The owner at that time.
        owner: Address,
        /// How much.
        amount: Amount,
    },
}

/// An event of `RoyaltyVault`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoyaltyEvent {
    /// The asset whose income changed.
    pub asset: AssetId,
    /// ERC-20 it is paid in.
    pub token: Address,
    /// What happened.
    pub change: RoyaltyChange,
    /// When.
    pub at: UnixSeconds,
}

/// Reading income back.
pub trait RoyaltyReader {
    /// Income not split yet.
    ///
    /// # Errors
    /// [`LedgerError`]; so for all below.
    fn pending(&self, asset: AssetId, token: Address) -> Result<Amount, LedgerError>;
    /// What the owner may claim.
    fn claimable(&self, asset: AssetId, token: Address) -> Result<Amount, LedgerError>;
    /// What happened to an asset's income, in order.
    fn royalty_events(&self, asset: AssetId) -> Result<Vec<RoyaltyEvent>, LedgerError>;
}

/// Paying and being paid for one account.
pub trait RoyaltyLedger: RoyaltyReader {
    /// Pays for an asset; approves the amount first where needed.
    ///
    /// # Errors
    /// [`LedgerError`]; so for all below.
    fn pay(
        &self,
        asset: AssetId,
        token: Address,
        amount: Amount,
        reference: [u8; 32],
    ) -> Result<(), LedgerError>;
    /// Splits pending income between parents and owner.
    fn settle(&self, asset: AssetId, token: Address) -> Result<Settlement, LedgerError>;
    /// Settles several assets in the order given, children first; skips those with nothing pending.
    fn settle_path(&self, assets: &[AssetId], token: Address) -> Result<(), LedgerError>;
    /// Pays the owner; what was paid.
    fn claim_royalty(&self, asset: AssetId, token: Address) -> Result<Amount, LedgerError>;
}

/// Names a log: the SHA-256 of its origin line, without the newline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(pub Sha256Digest);

impl LogId {
    /// The name of the log with an origin.
    #[must_use]
    pub fn of_origin(origin: &str) -> Self {
        Self(Sha256Digest::of(origin.as_bytes()))
    }
}

/// The newest anchored checkpoint of a log: `ILogAnchor.Head`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnchoredHead {
    /// Who anchored it.
    pub owner: Address,
    /// When.
    pub anchored_at: UnixSeconds,
    /// Number of entries it commits to.
    pub size: u64,
    /// RFC 6962 root of those entries.
    pub root: Sha256Digest,
    /// Whether its owner was shown to have signed two histories: then the chain takes no more of it.
    pub forked: bool,
}

/// What stands behind a log: `ILogAnchor.Bond`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBond {
    /// Wei posted.
    pub amount: Amount,
    /// When the owner may take it back, if that was asked for.
    pub withdrawable_at: Option<UnixSeconds>,
}

/// The size to anchor of a log with so many entries: rounded down so that the proof has some twenty hashes for a tree of
/// any size, at the price of leaving less than two in a million entries to the next time.
#[must_use]
pub fn anchor_size(entries: u64) -> u64 {
    let below = (u64::BITS - entries.leading_zeros()).saturating_sub(20);
    entries >> below << below
}

/// Reading anchored checkpoints back.
pub trait AnchorReader {
    /// The newest checkpoint of a log by one owner, if it anchored one. Anyone may anchor under any name, so a log is
    /// told by both.
    ///
    /// # Errors
    /// [`LedgerError`]; so for all below.
    fn anchored_head(&self, owner: Address, log: LogId) -> Result<Option<AnchoredHead>, LedgerError>;
    /// Asks the contract whether a leaf hash is entry `index` of the newest tree that the owner anchored.
    fn is_anchored(
        &self,
        owner: Address,
        log: LogId,
        index: u64,
        leaf: Sha256Digest,
        path: &[Sha256Digest],
    ) -> Result<bool, LedgerError>;
    /// What stands behind a log.
    fn log_bond(&self, owner: Address, log: LogId) -> Result<LogBond, LedgerError>;
}

/// Anchoring checkpoints for one account.
pub trait AnchorLedger: AnchorReader {
    /// Anchors a checkpoint. The contract takes it only with the proof that the tree begins with the one it has: an RFC
    /// 6962 consistency proof, empty for the first checkpoint.
    ///
    /// # Errors
    /// [`LedgerError`]; so for all below.
    fn anchor(
        &self,
        log: LogId,
        size: u64,
        root: Sha256Digest,
        proof: &[Sha256Digest],
    ) -> Result<(), LedgerError>;
    /// Adds wei to the bond of the account's own log.
    fn post_log_bond(&self, log: LogId, amount: Amount) -> Result<(), LedgerError>;
    /// Shows that an owner signed two trees of one size: marks the log as forked and destroys its bond, half of which is
    /// paid to this account.
    fn report_split_view(
        &self,
        one: &AccountCheckpoint,
        other: &AccountCheckpoint,
    ) -> Result<(), LedgerError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> PurposeSet {
        PurposeSet::from_names(names.iter().copied()).unwrap()
    }

    #[test]
    fn what_is_anchored_lags_by_less_than_two_in_a_million() {
        for entries in [
            0,
            1,
            999_999,
            (1 << 20) - 1,
            1 << 20,
            17_000_001,
            (1 << 40) - 1,
            u64::MAX,
        ] {
            let size = anchor_size(entries);
            assert!(
                size <= entries && entries - size <= entries / (1 << 19),
                "{entries}"
            );
            // As many levels as the tree has above what is left out.
            assert!(
                size.checked_ilog2().unwrap_or(0) <= 20 + size.trailing_zeros(),
                "{entries}"
            );
        }
        assert_eq!(anchor_size(999_999), 999_999);
        assert_eq!(anchor_size(17_000_001), 17_000_000 / 32 * 32);
    }

    #[test]
    fn revocation_stops_the_future_and_leaves_the_past() {
        let steward = Address([7; 20]);
        let both = names(&["research", "education"]);
        let history = [
            ConsentEpoch {
                epoch: 1,
                steward,
                change: ConsentChange::Granted {
                    purposes: both,
                    expiry: Some(UnixSeconds(500)),
                },
                at: UnixSeconds(100),
                position: Position { block: 1, index: 0 },
            },
            ConsentEpoch {
                epoch: 2,
                steward,
                change: ConsentChange::Revoked {
                    purposes: names(&["research"]),
                },
                at: UnixSeconds(200),
                position: Position { block: 2, index: 0 },
            },
        ];
        let research = PurposeIndex(0);
        let allowed =
            |time| consent_at(&history, UnixSeconds(time), None).allows(research, UnixSeconds(time));
        assert!(!allowed(99));
        assert!(allowed(100));
        assert!(allowed(199));
        assert!(!allowed(200));
        let after = consent_at(&history, UnixSeconds(300), None);
        assert_eq!(
            after,
            Consent {
                purposes: names(&["education"]),
                expiry: Some(UnixSeconds(500)),
                epoch: 2
            }
        );
        assert!(after.allows(PurposeIndex(9), UnixSeconds(499)));
        assert!(!after.allows(PurposeIndex(9), UnixSeconds(500)));
        assert_eq!(consent_at(&history, UnixSeconds(300), Some(1)).epoch, 1);
    }

    #[test]
    fn a_transfer_ends_consent_until_the_new_owner_grants() {
        let education = names(&["education"]);
        let entry = |epoch, owner, change, at| ConsentEpoch {
            epoch,
            steward: Address([owner; 20]),
            change,
            at: UnixSeconds(at),
            position: Position { block: at, index: 0 },
        };
        let granted = |purposes| ConsentChange::Granted {
            purposes,
            expiry: None,
        };
        let history = [
            entry(1, 7, granted(names(&["research"])), 100),
            entry(1, 8, ConsentChange::Transferred, 200),
            entry(2, 8, granted(education), 300),
        ];
        let at = |time| consent_at(&history, UnixSeconds(time), None);
        assert!(at(199).allows(PurposeIndex(0), UnixSeconds(199)));
        assert_eq!((at(200).purposes, at(200).epoch), (PurposeSet::EMPTY, 1));
        assert_eq!((at(300).purposes, at(300).epoch), (education, 2));
    }

    #[test]
    fn kinds_have_the_numbers_of_the_contract() {
        for code in 1..=5 {
            assert_eq!(AssetKind::from_code(code).unwrap().code(), code);
        }
        assert_eq!(AssetKind::from_code(0), None);
        assert_eq!(AssetKind::from_code(6), None);
    }
}
