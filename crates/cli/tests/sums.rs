//! Wrong sums of masked rounds, disputed from the command line, on a chain whose clock the test moves.

mod support;

use std::{collections::BTreeMap, sync::Arc};

use counterweight_chain::{
    deploy::{DeployOptions, deploy},
    embedded::DEVELOPMENT_CHAIN_ID,
    keys::development_key,
    ledger::ContractLedger,
    remote::{RemoteChain, RemoteOptions},
};
use counterweight_federated::{
    ledger::{
        StudyLedger as _, StudyReader as _, StudyTerms,
        masking::{MaskDealing, MaskLedger as _, MaskReader as _, MaskSetting},
    },
    masked::{
        record::{encode_dealing, encode_unmasking, encode_upload},
        turn::DrawnGroup,
    },
    masking::{
        Group, Member, Place,
        refutation::open_block,
        roots::{shares_root, vector_root},
    },
    member_set::MemberSet,
};
use counterweight_primitives::{
    Amount, ContentDigest, MemberIndex, Ppm, PurposeIndex, Round, Sha256Digest, StudyId, UnixSeconds,
};
use counterweight_provenance::{
    blobs::BlobStore,
    ledger::{AssetKind, AssetLedger as _, ConsentLedger as _, Registration},
    purpose::PurposeSet,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use serde_json::Value;
use support::{Project, Running};

const COORDINATES: usize = 100;
const DISPUTE_SECONDS: u64 = 3_600;

/// A project beside a node, and a study of five members that masks; key 0 coordinates, keys 1 to 5 are members.
struct Trial {
    project: Project,
    url: String,
    coordinator: ContractLedger,
    members: Vec<ContractLedger>,
    study: StudyId,
    _node: Running,
}

impl Trial {
    fn new() -> Self {
        let project = Project::new();
        let (node, url) = project.start(&["node", "start", "--port", "0", "--in-memory", "--development"]);
        let chain = RemoteChain::connect(&url, Some(DEVELOPMENT_CHAIN_ID), RemoteOptions::default()).unwrap();
        let folder = project.path().join(".counterweight/deployments");
        std::fs::create_dir_all(&folder).unwrap();
        let key = |index| Arc::new(development_key(index, DEVELOPMENT_CHAIN_ID).unwrap());
        let steps = project.path().join("deployment-steps");
        let deployment = deploy(&chain, &*key(0), &DeployOptions::default(), &steps).unwrap();
        deployment.save(&folder.join("node.json")).unwrap();
        let chain = Arc::new(chain);
        let ledger = |index| ContractLedger::new(Arc::clone(&chain) as _, deployment.clone(), key(index));
        let coordinator = ledger(0);
        let members: Vec<_> = (1..=5).map(ledger).collect();
        let token = deployment.development_token.unwrap();
        for account in [&coordinator, &ledger(6)] {
            coordinator
                .mint_development_tokens(account.account(), Amount(1_000_000))
                .unwrap();
        }
        let study = open(&coordinator, &members, token);
        Self {
            project,
            url,
            coordinator,
            members,
            study,
            _node: node,
        }
    }

    fn json(&self, arguments: &[&str], key: &str) -> Value {
        self.project
            .json(&[arguments, &["--network", &self.url, "--key", key]].concat())
    }

    /// The one sum of the run, and what was done about it.
    fn dispute(&self) -> (String, String) {
        let answer = self.json(&["run", "dispute-sums"], "dev-6");
        let text = |name: &str| answer["sums"][0][name].as_str().unwrap().to_owned();
        assert_eq!(answer["sums"].as_array().unwrap().len(), 1);
        (text("sum"), text("done"))
    }

    /// A round as members and the coordinator run it, with their records in the project; the root that is posted is made of the right
    /// sum by `post`.
    fn round(&self, post: impl Fn(&[i32]) -> Sha256Digest) -> (Round, Vec<i32>) {
        let (study, members) = (self.study, &self.members);
        let blobs = BlobStore::open(self.project.path().join(".counterweight/blobs")).unwrap();
        let round = self
            .coordinator
            .open_round(study, ContentDigest::of(b"base"))
            .unwrap();
        let random = |member: usize| ChaCha20Rng::seed_from_u64(member as u64);
        let draft = Group {
            context: [0; 32],
            size: 5,
            degree: 4,
            threshold: 3,
            fewest_survivors: 3,
            coordinates: COORDINATES,
        };
        for (index, ledger) in members.iter().enumerate() {
            let member = Member::new(&draft, Place(0), &mut random(index)).unwrap();
            ledger
                .announce_key(study, round, at(index), &member.announcement().key)
                .unwrap();
        }
        self.coordinator.draw_groups(study, round).unwrap();
        let record = self.coordinator.mask_round(study, round).unwrap().unwrap();
        let setting = self.coordinator.mask_setting(study).unwrap().unwrap();
        let domain = self.coordinator.mask_domain().unwrap();
        let drawn = DrawnGroup::of_round(study, &record, &setting, &domain)
            .unwrap()
            .remove(0);
        let group = &drawn.group;
        let mut randoms: Vec<_> = (0..5).map(random).collect();
        let mut actors: Vec<_> = (0..5)
            .map(|index| Member::new(group, drawn.place_of(at(index)).unwrap(), &mut randoms[index]).unwrap())
            .collect();
        let announced: Vec<_> = actors.iter().map(Member::announcement).collect();
        let mut dealings = Vec::new();
        for (index, actor) in actors.iter_mut().enumerate() {
            let dealing = actor.share(&announced, &mut randoms[index]).unwrap();
            let record = MaskDealing {
                member: at(index),
                record: blobs.put(&encode_dealing(group, &dealing)).unwrap(),
                shares_root: shares_root(dealing.from, &dealing.sharing),
            };
            members[index].commit_dealing(study, round, &record).unwrap();
            dealings.push(dealing);
        }
        let mut places = std::collections::BTreeSet::new();
        for (index, actor) in actors.iter_mut().enumerate().take(4) {
            let words = actor.mask(&vector(index), &dealings).unwrap();
            let place = drawn.place_of(at(index)).unwrap();
            places.insert(place);
            let update = blobs.put(&encode_upload(group, place, &words)).unwrap();
            members[index]
                .commit_update(study, round, at(index), update)
                .unwrap();
            members[index]
                .commit_upload(study, round, at(index), vector_root(&words))
                .unwrap();
        }
        self.pass(601);
        self.coordinator
            .fix_survivors(study, round, MemberSet::first(4))
            .unwrap();
        for (index, actor) in actors.iter_mut().enumerate().take(4) {
            let unmasking = actor.unmask(&places).unwrap();
            let record = blobs.put(&encode_unmasking(group, &unmasking)).unwrap();
            members[index]
                .commit_unmasking(study, round, at(index), record)
                .unwrap();
        }
        let sum: Vec<i32> = (0..COORDINATES)
            .map(|word| (0..4).map(|index| vector(index)[word]).sum())
            .collect();
        self.coordinator.post_sums(study, round, &[post(&sum)]).unwrap();
        (round, sum)
    }

    fn pass(&self, seconds: u64) {
        support::pass(&self.url, seconds);
    }
}

fn open(
    coordinator: &ContractLedger,
    members: &[ContractLedger],
    token: counterweight_primitives::Address,
) -> StudyId {
    let now = coordinator.now().unwrap().0;
    let terms = StudyTerms {
        coordinator: coordinator.account(),
        token,
        budget: Amount(0),
        bond: Amount(0),
        purpose: PurposeIndex(0),
        base_model: None,
        terms: ContentDigest::of(b"terms"),
        min_members: 2,
        max_members: 8,
        rounds: 2,
        round_seconds: 600,
        close_seconds: 300,
        enrol_until: UnixSeconds(now + 1_000),
        finish_by: UnixSeconds(now + 100_000),
        member_cap: Ppm::new(500_000).unwrap(),
        lineage_share: Ppm::new(400_000).unwrap(),
        epsilon_budget: None,
        invited: Vec::new(),
    };
    let study = coordinator.open_study(&terms).unwrap();
    let setting = MaskSetting {
        group_size: 5,
        threshold_percent: 51,
        fewest_survivors: 3,
        coordinates: COORDINATES as u32,
        bond_token: token,
        bond: Amount(10_000),
        dispute_seconds: DISPUTE_SECONDS as u32,
    };
    coordinator.configure_masking(study, &setting).unwrap();
    for (index, member) in members.iter().enumerate() {
        let registration = Registration {
            kind: AssetKind::Dataset,
            content: ContentDigest::of(&[index as u8]),
            manifest: ContentDigest::of(b"manifest"),
            previous: None,
            resale_royalty_bps: 0,
            uri: "https://example.org/rows".to_owned(),
            parents: Vec::new(),
        };
        let dataset = member.register(member.account(), &registration).unwrap();
        let purposes = PurposeSet::from_names(["research"]).unwrap();
        member.grant(dataset, purposes, None).unwrap();
        member.join(study, dataset).unwrap();
    }
    coordinator.start(study).unwrap();
    study
}

fn at(index: usize) -> MemberIndex {
    MemberIndex(index as u8)
}

fn vector(index: usize) -> Vec<i32> {
    (0..COORDINATES as i32)
        .map(|word| word * 1_000 - index as i32)
        .collect()
}

fn root(sum: &[i32]) -> Sha256Digest {
    let words: Vec<u32> = sum.iter().map(|word| *word as u32).collect();
    vector_root(&words)
}

#[test]
fn a_lying_coordinator_is_driven_to_the_wrong_block_and_refuted() {
    let trial = Trial::new();
    let lie = |sum: &[i32]| {
        let mut wrong = sum.to_vec();
        wrong[50] += 1;
        wrong
    };
    let (round, sum) = trial.round(|sum| root(&lie(sum)));
    let wrong = lie(&sum);
    let record = trial.coordinator.mask_round(trial.study, round).unwrap().unwrap();
    let mut refuted = None;
    for _ in 0..6 {
        let (verdict, done) = trial.dispute();
        assert_eq!(verdict, "wrong");
        if !done.starts_with("demanded block ") {
            refuted = Some(done);
            break;
        }
        let (_, waits) = trial.dispute();
        assert!(waits.starts_with("waits for block "), "{waits}");
        // The coordinator shows what it posted, hoping that nobody looks further.
        for demand in trial.coordinator.block_demands(trial.study).unwrap() {
            if demand.open {
                let block = open_block(&wrong, demand.number);
                trial
                    .coordinator
                    .answer_block(trial.study, &record, 0, demand.number, &block)
                    .unwrap();
            }
        }
    }
    assert!(refuted.unwrap().starts_with("refuted at block 3, paid "));
    assert_eq!(trial.dispute(), ("wrong".to_owned(), "refuted".to_owned()));
    assert_eq!(trial.coordinator.mask_bond(trial.study).unwrap().1, Amount(0));
}

#[test]
fn a_root_of_nothing_is_refuted_by_silence() {
    let trial = Trial::new();
    trial.round(|_| Sha256Digest::of(b"nothing"));
    let told = trial.json(&["run", "dispute-sums", "--dry-run"], "dev-6");
    assert_eq!(told["sums"][0]["done"], "block 0 is to be demanded");
    assert!(trial.dispute().1.starts_with("demanded block 0 until "));
    let answer = trial.json(&["run", "answer-sums"], "dev-0");
    assert_eq!(answer["sums"][0]["done"], "there is nothing to answer with");
    trial.pass(DISPUTE_SECONDS + 1);
    assert_eq!(trial.dispute().1, "refuted: block 0 was not shown");
    assert_eq!(trial.dispute().1, "refuted");
}

#[test]
fn an_honest_coordinator_answers_and_keeps_its_bond() {
    let trial = Trial::new();
    let (round, _) = trial.round(root);
    assert_eq!(trial.dispute(), ("right".to_owned(), "-".to_owned()));
    let record = trial.coordinator.mask_round(trial.study, round).unwrap().unwrap();
    trial.members[0]
        .demand_block(trial.study, &record, 0, 2)
        .unwrap_err();
    trial
        .coordinator
        .demand_block(trial.study, &record, 0, 2)
        .unwrap();
    let answer = trial.json(&["run", "answer-sums"], "dev-0");
    assert_eq!(answer["sums"][0]["done"], "showed block 2");
    assert_eq!(
        trial.coordinator.mask_bond(trial.study).unwrap().1,
        Amount(10_000)
    );
    let shown: BTreeMap<u32, bool> = trial
        .coordinator
        .block_demands(trial.study)
        .unwrap()
        .iter()
        .map(|demand| (demand.number, demand.shown.is_some()))
        .collect();
    assert_eq!(shown, BTreeMap::from([(2, true)]));
}
