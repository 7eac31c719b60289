use std::collections::BTreeMap;

use counterweight_primitives::{
    Address, AssetId, ContentDigest, MemberIndex, PurposeIndex, Round, Sha256Digest, StudyId, UnixSeconds,
    to_canonical_json,
};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    ledger::{ConsentChange, ConsentEpoch, Position},
    purpose::PurposeSet,
    signature::MemorySigner,
    signature::Signer as _,
    statement::{Subject, UncheckedStatement},
};

const RESEARCH: PurposeIndex = PurposeIndex(0);
const EDUCATION: PurposeIndex = PurposeIndex(9);
const STUDY: (Address, StudyId, PurposeIndex) = (Address([8; 20]), StudyId(1), RESEARCH);

fn registry() -> Registry {
    Registry {
        chain: 31_337,
        contract: Address([7; 20]),
    }
}

fn names(names: &[&str]) -> PurposeSet {
    PurposeSet::from_names(names.iter().copied()).unwrap()
}

fn at(block: u64) -> Position {
    Position { block, index: 0 }
}

/// An epoch in a block of its number times ten seconds.
fn epoch(epoch: u32, block: u64, change: ConsentChange) -> ConsentEpoch {
    let steward = MemorySigner::from_secret(&[1; 32]).unwrap().address();
    ConsentEpoch {
        epoch,
        steward,
        change,
        at: UnixSeconds(block * 10),
        position: at(block),
    }
}

fn grant(number: u32, block: u64, purposes: &[&str]) -> ConsentEpoch {
    let change = ConsentChange::Granted {
        purposes: names(purposes),
        expiry: None,
    };
    epoch(number, block, change)
}

fn withdrawal(number: u32, block: u64, purposes: &[&str]) -> ConsentEpoch {
    let change = ConsentChange::Revoked {
        purposes: names(purposes),
    };
    epoch(number, block, change)
}

fn used(dataset: u64, round: u32, epoch: u32, block: u64) -> ConsentUse {
    ConsentUse {
        member: MemberIndex(0),
        account: Address([9; 20]),
        dataset: AssetId(dataset),
        round: (round > 0).then_some(Round(round)),
        epoch,
        at: UnixSeconds(block * 10),
        position: at(block),
    }
}

/// Two datasets; the first was withdrawn long before and granted again, and is withdrawn in block 40.
fn histories() -> BTreeMap<AssetId, Vec<ConsentEpoch>> {
    BTreeMap::from([
        (
            AssetId(1),
            vec![
                grant(1, 1, &["research"]),
                withdrawal(2, 2, &["research"]),
                grant(3, 3, &["research", "education"]),
                withdrawal(4, 40, &["research"]),
            ],
        ),
        (AssetId(2), vec![grant(1, 4, &["research"])]),
    ])
}

fn uses() -> Vec<ConsentUse> {
    vec![
        used(1, 0, 3, 10),
        used(2, 0, 1, 11),
        used(1, 1, 3, 20),
        used(2, 1, 1, 21),
        used(1, 2, 3, 30),
        used(2, 2, 1, 31),
    ]
}

fn set() -> ConsentSet {
    ConsentSet::gather(&registry(), STUDY, &histories(), &uses(), 50).unwrap()
}

fn said(wrong: &[ConsentSetError]) -> Vec<String> {
    wrong.iter().map(ToString::to_string).collect()
}

#[test]
fn an_honest_set_holds_against_itself_and_against_the_chain() {
    let set = set();
    assert_eq!(set.check(&registry(), STUDY).len(), 0);
    assert_eq!(
        set.check_against(&registry(), RESEARCH, &histories(), &uses())
            .len(),
        0
    );
    let keys: Vec<_> = set
        .consents
        .iter()
        .map(|used| (used.dataset.0, used.grant))
        .collect();
    assert_eq!(keys, [(1, 3), (2, 1)]);
    assert_eq!(set.consents[0].rounds, [Round(0), Round(1), Round(2)]);
    // Withdrawn after its last use: the proof says how, and that this was later.
    assert_eq!(set.consents[0].ending.unwrap().epoch, 4);
    assert_eq!(set.consents[1].ending, None);
    assert_eq!(set.ended.count, 2);
    assert_eq!(ConsentSet::decode(&set.encode().unwrap()).unwrap(), set);
}

#[test]
fn a_withdrawal_before_the_last_use_is_named() {
    let mut histories = histories();
    // Planted between the two rounds.
    histories.get_mut(&AssetId(1)).unwrap()[3].position = at(25);
    histories.get_mut(&AssetId(1)).unwrap()[3].at = UnixSeconds(250);
    let (_, refused) = used_consents(&histories, &uses(), RESEARCH);
    assert_eq!(
        said(&refused),
        [
            "round 2 used dataset 1 1970-01-01T00:05:00Z: research for dataset 1 was withdrawn at epoch 4, \
          1970-01-01T00:04:10Z"
        ]
    );
    assert!(ConsentSet::gather(&registry(), STUDY, &histories, &uses(), 50).is_err());
    // A set made as if it had not been is contradicted by the map that the chain's events give.
    let wrong = said(&set().check_against(&registry(), RESEARCH, &histories, &uses()));
    assert!(
        wrong
            .iter()
            .any(|said| said.contains("the map of consents that ended up to block 50")),
        "{wrong:?}"
    );
}

#[test]
fn each_way_of_not_being_allowed_is_told_apart() {
    let history = |entries: &[ConsentEpoch]| BTreeMap::from([(AssetId(1), entries.to_vec())]);
    let told = |entries: &[ConsentEpoch], epoch: u32| {
        let (_, refused) = used_consents(&history(entries), &[used(1, 1, epoch, 30)], RESEARCH);
        said(&refused).join(";")
    };
    assert!(told(&[], 0).contains("research was never allowed for dataset 1"));
    let first = grant(1, 1, &["research"]);
    assert!(
        told(&[first, grant(2, 5, &["education"])], 2).contains("was left out of a new grant at epoch 2")
    );
    let sold = epoch(1, 5, ConsentChange::Transferred);
    assert!(told(&[first, sold], 1).contains("ended with the transfer"));
    assert!(told(&[first], 2).contains("recorded under epoch 2 of dataset 1, epoch 1 was in force"));
    let short = ConsentChange::Granted {
        purposes: names(&["research"]),
        expiry: Some(UnixSeconds(300)),
    };
    assert!(told(&[epoch(1, 1, short)], 1).contains("expired 1970-01-01T00:05:00Z"));
    // What comes after the use does not touch it.
    assert_eq!(told(&[first, withdrawal(2, 31, &["research"])], 1), "");
}

#[test]
fn an_old_grant_cannot_be_named_once_a_newer_one_was_withdrawn() {
    let map = |histories: &BTreeMap<AssetId, Vec<ConsentEpoch>>| {
        let entries = histories.iter().map(|(id, history)| (*id, history.as_slice()));
        EndedConsents::gather(&registry(), entries, 50)
    };
    let renewed = BTreeMap::from([(
        AssetId(1),
        vec![
            grant(1, 1, &["research"]),
            grant(2, 2, &["research"]),
            withdrawal(3, 3, &["research"]),
        ],
    )]);
    let ended = map(&renewed);
    for number in [1, 2] {
        let id = ConsentId::of(&registry(), AssetId(1), number, RESEARCH);
        let (ending, proof) = ended.prove(&id);
        assert_eq!(ending.unwrap().epoch, 3, "grant {number}");
        assert_eq!(id.verify(&ended.root(), ending.as_ref(), &proof), Ok(()));
        // Nor can it be said not to have ended.
        assert!(id.verify(&ended.root(), None, &proof).is_err());
    }
    assert_eq!(ended.len(), 2);
}

#[test]
fn every_spoiled_part_of_a_set_is_refused() {
    let spoil = |change: &dyn Fn(&mut ConsentSet)| {
        let mut set = set();
        change(&mut set);
        let mut wrong = said(&set.check(&registry(), STUDY));
        wrong.extend(said(&set.check_against(
            &registry(),
            RESEARCH,
            &histories(),
            &uses(),
        )));
        wrong.join("; ")
    };
    let told = |change: &dyn Fn(&mut ConsentSet), part: &str| {
        let wrong = spoil(change);
        assert!(wrong.contains(part), "{part}: {wrong}");
    };
    told(&|set| set.chain = 1, "about chain 1");
    told(&|set| set.contract.0[0] ^= 1, "about registry");
    told(&|set| set.training.0[0] ^= 1, "about contract");
    told(&|set| set.study.0 = 2, "about study 2");
    told(
        &|set| set.purpose = "education".to_owned(),
        "about purpose education",
    );
    told(&|set| set.ended.root.0[0] ^= 1, "does not hold");
    told(&|set| set.ended.count = 1, "the map of consents");
    told(&|set| set.ended.block = 30, "ends with block 30");
    told(&|set| drop(set.consents.remove(1)), "leaves out dataset 2");
    told(&|set| set.consents.push(set.consents[1].clone()), "repeats");
    told(
        &|set| set.consents[1].grant = 2,
        "invents dataset 2 under grant 2",
    );
    told(
        &|set| set.consents[0].rounds.truncate(2),
        "differs in the rounds of dataset 1",
    );
    told(
        &|set| set.consents[0].last_use = at(10),
        "differs in the rounds of dataset 1",
    );
    told(&|set| set.consents[0].ending = None, "does not hold");
    told(
        &|set| set.consents[0].ending.as_mut().unwrap().at.0 += 1,
        "does not hold",
    );
    told(
        &|set| set.consents[1].ending = set.consents[0].ending,
        "does not hold",
    );
    told(&|set| set.consents[0].last_use = at(45), "was used after that");
    told(&|set| set.consents[0].proof.siblings.truncate(0), "does not hold");
    told(&|set| set.consents[0].proof.levels[0] = 256, "does not hold");
    told(
        &|set| set.consents[0].proof.siblings[0].0[0] ^= 1,
        "does not hold",
    );

    let mut value = serde_json::to_value(set()).unwrap();
    value["format"] = json!("counterweight/consent-set/v2");
    assert!(ConsentSet::decode(&to_canonical_json(&value).unwrap()).is_err());
    value["extra"] = json!(1);
    assert!(ConsentSet::decode(&to_canonical_json(&value).unwrap()).is_err());
}

fn entry() -> ConsentEntry {
    let subject = Subject {
        name: "clinic-b".to_owned(),
        digest: ContentDigest::of(b"rows"),
        sha256: None,
    };
    let change = ConsentChange::Granted {
        purposes: names(&["research", "model-training"]),
        expiry: Some(UnixSeconds(4_000_000_000)),
    };
    ConsentEntry::of(registry(), AssetId(2), subject, &epoch(1, 5, change)).unwrap()
}

/// The signed form: what stewards signed before must stay readable.
#[test]
fn the_signed_form_is_that_of_the_page() {
    let signer = MemorySigner::from_secret(&[1; 32]).unwrap();
    let text = String::from_utf8(entry().statement().sign(&signer).unwrap().encode().unwrap()).unwrap();
    let page = include_str!("../../../../docs/spec/consent.md");
    assert!(page.contains(&text), "{text}");
    let read = UncheckedStatement::decode(text.as_bytes(), 1 << 16)
        .unwrap()
        .verify()
        .unwrap();
    assert_eq!(ConsentEntry::read(read.statement()).unwrap(), entry());
    let id = ConsentId::of(&registry(), AssetId(2), 1, RESEARCH);
    let id = Sha256Digest(id.0).to_hex();
    assert!(page.contains(&id), "{id}");
}

#[test]
fn an_entry_must_say_what_the_chain_says() {
    let change = ConsentChange::Granted {
        purposes: names(&["research", "model-training"]),
        expiry: Some(UnixSeconds(4_000_000_000)),
    };
    let recorded = epoch(1, 5, change);
    let check = |change: &dyn Fn(&mut ConsentEntry)| {
        let mut entry = entry();
        change(&mut entry);
        entry
            .check(registry(), AssetId(2), &recorded)
            .map_or_else(|error| error.to_string(), |()| String::new())
    };
    assert_eq!(check(&|_| ()), "");
    for (change, part) in [
        (
            &(|entry: &mut ConsentEntry| entry.registry.chain = 1) as &dyn Fn(&mut ConsentEntry),
            "chain",
        ),
        (&|entry| entry.registry.contract.0[0] ^= 1, "registry"),
        (&|entry| entry.dataset = AssetId(3), "dataset"),
        (&|entry| entry.epoch = 2, "epoch"),
        (&|entry| entry.steward = Address([1; 20]), "steward"),
        (&|entry| entry.purposes = names(&["research"]), "purposes"),
        (&|entry| entry.expiry = None, "purposes"),
        (&|entry| entry.is_withdrawal = true, "purposes"),
        (&|entry| entry.at.0 += 1, "time"),
    ] {
        let told = check(change);
        assert!(
            told.starts_with(&format!("the entry says {part}")),
            "{part}: {told}"
        );
    }
    let sold = epoch(1, 5, ConsentChange::Transferred);
    assert!(entry().check(registry(), AssetId(2), &sold).is_err());
}

#[test]
fn statements_that_are_no_entries_are_refused() {
    let refuse = |change: &dyn Fn(&mut crate::statement::Statement)| {
        let mut statement = entry().statement();
        change(&mut statement);
        ConsentEntry::read(&statement).unwrap_err()
    };
    let error = refuse(&|s| s.predicate_type.push('2'));
    assert!(matches!(error, ConsentEntryError::Type { .. }));
    let error = refuse(&|s| s.subjects.push(s.subjects[0].clone()));
    assert!(matches!(error, ConsentEntryError::Subjects { got: 2 }));
    let error = refuse(&|s| s.predicate["extra"] = json!(1));
    assert!(matches!(error, ConsentEntryError::Predicate(_)));
    let error = refuse(&|s| s.predicate["permissions"][0]["purpose"] = json!("world-domination"));
    assert!(matches!(error, ConsentEntryError::Purpose(_)));
    // Another meaning under a known name.
    let error = refuse(&|s| s.predicate["permissions"][0]["duo"] = json!("DUO:0000007"));
    assert!(matches!(error, ConsentEntryError::Terms));
    let error = refuse(&|s| s.predicate["permissions"].as_array_mut().unwrap().reverse());
    assert!(matches!(error, ConsentEntryError::Terms));
    // A named purpose under its number would be the same bit in two spellings.
    let error = refuse(&|s| s.predicate["permissions"][0]["purpose"] = json!("purpose-0"));
    assert!(matches!(error, ConsentEntryError::Purpose(_)));
}

#[test]
fn purposes_that_have_no_name_yet_are_carried() {
    let mut entry = entry();
    entry.purposes.insert(PurposeIndex(57)).unwrap();
    assert_eq!(ConsentEntry::read(&entry.statement()).unwrap(), entry);
}

/// A tree of depth 256, hashed in full by the definition: what the fast one must equal.
fn by_definition(values: &BTreeMap<[u8; 32], Ending>, prefix: &mut Vec<bool>) -> [u8; 32] {
    use sha2::{Digest as _, Sha256};
    let bit = |key: &[u8; 32], level: usize| key[level / 8] >> (7 - level % 8) & 1 == 1;
    let under: Vec<_> = values
        .iter()
        .filter(|(key, _)| {
            prefix
                .iter()
                .enumerate()
                .all(|(level, right)| bit(key, level) == *right)
        })
        .collect();
    if under.is_empty() {
        return [0; 32];
    }
    if prefix.len() == 256 {
        let (key, ending) = under[0];
        let mut value = vec![match ending.cause {
            Cause::Withdrawn => 1,
            Cause::Replaced => 2,
            Cause::Transferred => 3,
        }];
        value.extend(ending.epoch.to_be_bytes());
        value.extend(ending.at.0.to_be_bytes());
        value.extend(ending.position.block.to_be_bytes());
        value.extend(ending.position.index.to_be_bytes());
        return Sha256::new()
            .chain_update([2])
            .chain_update(key)
            .chain_update(value)
            .finalize()
            .into();
    }
    let mut side = |right| {
        prefix.push(right);
        let hash = by_definition(values, prefix);
        prefix.pop();
        hash
    };
    let (left, right) = (side(false), side(true));
    Sha256::new()
        .chain_update([3])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

#[test]
fn the_root_is_that_of_the_definition() {
    let histories = histories();
    let entries = histories.iter().map(|(id, history)| (*id, history.as_slice()));
    let map = EndedConsents::gather(&registry(), entries, 50);
    let values: BTreeMap<[u8; 32], Ending> = [(1, 2), (3, 4)]
        .into_iter()
        .map(|(grant, _)| {
            let id = ConsentId::of(&registry(), AssetId(1), grant, RESEARCH);
            (id.0, map.prove(&id).0.unwrap())
        })
        .collect();
    assert_eq!(map.root().0, by_definition(&values, &mut Vec::new()));
    let nothing = EndedConsents::gather(&registry(), [], 50);
    assert!(nothing.is_empty());
    assert_eq!(nothing.root(), Sha256Digest([0; 32]));
}

proptest! {
    // Each case hashes some thousand paths of 256 levels.
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever ended, each consent proves exactly one of "ended so" and "had not ended".
    #[test]
    fn every_consent_proves_one_thing_and_not_the_other(withdrawn in prop::collection::vec(any::<bool>(), 1..12)) {
        let histories: BTreeMap<AssetId, Vec<ConsentEpoch>> = (1u64..)
            .zip(&withdrawn)
            .map(|(dataset, over)| {
                let mut history = vec![grant(1, dataset, &["research", "education"])];
                if *over {
                    history.push(withdrawal(2, 100 + dataset, &["research"]));
                }
                (AssetId(dataset), history)
            })
            .collect();
        let entries = histories.iter().map(|(id, history)| (*id, history.as_slice()));
        let map = EndedConsents::gather(&registry(), entries, u64::MAX);
        let root = map.root();
        prop_assert_eq!(map.len(), withdrawn.iter().filter(|over| **over).count());
        for (dataset, over) in (1u64..).zip(&withdrawn) {
            for (purpose, ends) in [(RESEARCH, *over), (EDUCATION, false)] {
                let id = ConsentId::of(&registry(), AssetId(dataset), 1, purpose);
                let (ending, proof) = map.prove(&id);
                prop_assert_eq!(ending.is_some(), ends);
                prop_assert_eq!(id.verify(&root, ending.as_ref(), &proof), Ok(()));
                let lie = match ending {
                    Some(_) => None,
                    None => Some(Ending {
                        cause: Cause::Withdrawn,
                        epoch: 2,
                        at: UnixSeconds(1),
                        position: at(1),
                    }),
                };
                prop_assert!(id.verify(&root, lie.as_ref(), &proof).is_err());
            }
        }
    }
}
