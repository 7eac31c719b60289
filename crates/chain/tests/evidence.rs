//! What a record of a chain answers is what the chain answered, and nothing else is believed.

mod support;

use std::sync::Arc;

use counterweight_chain::evidence::{Evidence, RecordedChain};
use counterweight_chain::ledger::ContractReader;
use counterweight_chain::network::Network;
use counterweight_primitives::{AssetId, ContentDigest, PurposeIndex};
use counterweight_provenance::ledger::{
    AnchorLedger as _, AnchorReader as _, AssetKind, AssetLedger as _, AssetReader as _, ConsentLedger as _,
    ConsentReader as _, LedgerError, LogId, Registration,
};
use counterweight_provenance::log::tree::leaf_hash;
use counterweight_provenance::purpose::PurposeSet;
use support::{Deployed, TestChain};

on_every_chain! {
    a_record_answers_like_the_chain
    a_record_knows_nothing_that_was_not_asked
}

const LOG: &str = "example.org/log";

/// A dataset with a consent that was revoked, and an anchored log, on a chain with blocks about other things.
fn history(chain: &dyn TestChain) -> Deployed {
    let deployed = Deployed::on(chain);
    let steward = deployed.ledger(1);
    let registration = Registration {
        kind: AssetKind::Dataset,
        content: ContentDigest::of(b"rows"),
        manifest: ContentDigest::of(b"manifest"),
        previous: None,
        resale_royalty_bps: 0,
        uri: String::new(),
        parents: Vec::new(),
    };
    let id = steward.register(steward.account(), &registration).unwrap();
    let purposes = PurposeSet::from_names(["research", "education"]).unwrap();
    steward.grant(id, purposes, None).unwrap();
    deployed
        .ledger(0)
        .mint_development_tokens(steward.account(), counterweight_primitives::Amount(5))
        .unwrap();
    steward
        .revoke(id, PurposeSet::from_names(["education"]).unwrap())
        .unwrap();
    steward
        .anchor(LogId::of_origin(LOG), 1, leaf_hash(b"entry"), &[])
        .unwrap();
    deployed
}

/// Everything a reader says about it, with its errors in words.
fn answers(reader: &ContractReader, owner: counterweight_primitives::Address) -> String {
    let id = AssetId(1);
    let research = PurposeIndex(0);
    let education = PurposeIndex(9);
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        reader.asset_records().unwrap(),
        reader.asset(id).unwrap(),
        reader.owner(id).unwrap(),
        reader.consent_history(id).unwrap(),
        reader.is_allowed(id, research).unwrap(),
        reader.is_allowed(id, education).unwrap(),
        reader.anchored_head(owner, LogId::of_origin(LOG)).unwrap(),
        reader.asset(AssetId(2)).unwrap_err().to_string(),
    )
}

fn record(deployed: &Deployed) -> RecordedChain {
    RecordedChain::begin(Arc::clone(&deployed.network), deployed.deployment.block).unwrap()
}

fn reader(chain: Arc<dyn Network>, deployed: &Deployed) -> ContractReader {
    ContractReader::read_only(chain, deployed.deployment.clone())
}

/// Through the bytes of a file.
fn replayed(evidence: &Evidence) -> RecordedChain {
    let evidence = Evidence::decode(
        &evidence.encode_headers(),
        &evidence.encode_receipts(),
        &evidence.encode_nodes(),
        &evidence.encode_codes(),
    )
    .unwrap();
    RecordedChain::replay(31_337, evidence).unwrap()
}

fn a_record_answers_like_the_chain(chain: &dyn TestChain) {
    let deployed = history(chain);
    let owner = deployed.ledger(1).account();
    let live = answers(&reader(chain.network(), &deployed), owner);
    let recording = Arc::new(record(&deployed));
    deployed.deployment.check(&*recording).unwrap();
    assert_eq!(answers(&reader(recording.clone(), &deployed), owner), live);

    let alone = Arc::new(replayed(&recording.evidence()));
    assert_eq!(alone.head().unwrap(), recording.head().unwrap());
    deployed.deployment.check(&*alone).unwrap();
    assert_eq!(answers(&reader(alone.clone(), &deployed), owner), live);
    // The same questions again need nothing more.
    assert_eq!(recording.evidence(), alone.evidence());
}

fn a_record_knows_nothing_that_was_not_asked(chain: &dyn TestChain) {
    let deployed = history(chain);
    let recording = Arc::new(record(&deployed));
    reader(recording.clone(), &deployed).asset(AssetId(1)).unwrap();
    let whole = recording.evidence();
    let alone = reader(Arc::new(replayed(&whole)), &deployed);
    alone.asset(AssetId(1)).unwrap();
    assert!(matches!(
        alone.consent(AssetId(1)),
        Err(LedgerError::Malformed { .. })
    ));
    assert!(matches!(
        alone.asset_records(),
        Err(LedgerError::Malformed { .. })
    ));

    // Leaving anything out is noticed, and so is anything in its place.
    for hash in whole.nodes.keys() {
        let mut less = whole.clone();
        let mut node = less.nodes.remove(hash).unwrap().to_vec();
        node[0] ^= 1;
        less.nodes.insert(alloy_primitives::keccak256(&node), node.into());
        let chain = reader(Arc::new(RecordedChain::replay(31_337, less).unwrap()), &deployed);
        assert!(
            matches!(chain.asset(AssetId(1)), Err(LedgerError::Malformed { .. })),
            "{hash}"
        );
    }
}

#[test]
fn headers_and_receipts_are_held_to_the_last_hash() {
    let chain = support::Embedded::start();
    let deployed = history(&chain);
    let recording = Arc::new(record(&deployed));
    reader(recording.clone(), &deployed).asset_records().unwrap();
    let whole = recording.evidence();
    let head = recording.head().unwrap().hash;
    assert!(!whole.receipts.is_empty());

    for place in 0..whole.headers.len() {
        let mut other = whole.clone();
        let mut header = other.headers[place].to_vec();
        // A bit of the beneficiary: the header still reads well.
        header[3 + 33 + 33 + 10] ^= 1;
        other.headers[place] = header.into();
        let replayed = RecordedChain::replay(31_337, other);
        assert!(
            replayed.is_err() || replayed.unwrap().head().unwrap().hash != head,
            "header {place}"
        );
    }
    for number in whole.receipts.keys() {
        let mut other = whole.clone();
        other.receipts.get_mut(number).unwrap().pop();
        assert!(
            RecordedChain::replay(31_337, other).is_err(),
            "receipts of {number}"
        );
        let mut less = whole.clone();
        less.receipts.remove(number);
        let chain = reader(Arc::new(RecordedChain::replay(31_337, less).unwrap()), &deployed);
        assert!(chain.asset_records().is_err(), "without receipts of {number}");
    }
    let mut short = whole.clone();
    short.headers.pop();
    assert_ne!(
        RecordedChain::replay(31_337, short).unwrap().head().unwrap().hash,
        head
    );
    assert!(RecordedChain::replay(31_337, Evidence::default()).is_err());
}
