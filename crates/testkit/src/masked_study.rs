//! A small masked study on contracts that a test deployed, taken step by step with real records.

use std::collections::{BTreeMap, BTreeSet};

use counterweight_chain::ledger::ContractLedger;
use counterweight_federated::{
    blobs::Blobs,
    ledger::{
        StudyLedger as _, StudyReader as _, StudyTerms,
        masking::{MaskDealing, MaskLedger as _, MaskReader as _, MaskRound, MaskSetting},
    },
    masked::{
        record::{encode_dealing, encode_unmasking, encode_upload},
        turn::DrawnGroup,
    },
    masking::{
        Announcement, Dealing, Group, Member, Place, Unmasking, recover,
        roots::{shares_root, vector_root},
    },
    member_set::MemberSet,
    privacy::MicroEpsilon,
};
use counterweight_primitives::{
    Address, Amount, AssetId, ContentDigest, MemberIndex, Ppm, PurposeIndex, Round, StudyId, UnixSeconds,
};
use counterweight_provenance::{
    ledger::{AssetKind, AssetLedger as _, ConsentLedger as _, Registration},
    purpose::PurposeSet,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

/// Members, all in one group. The last one drops out of each round after it dealt.
pub const MASKED_MEMBERS: usize = 5;
/// Seconds in which members commit.
const ROUND_SECONDS: u64 = 600;

/// How such a study masks.
#[derive(Debug, Clone, Copy)]
pub struct MaskedStudyOptions {
    /// ERC-20 of its bond; the coordinator holds enough of it.
    pub token: Address,
    /// The bond behind its sums.
    pub bond: Amount,
    /// How long demands wait and the bond stays.
    pub dispute_seconds: u32,
    /// Words of a vector.
    pub coordinates: usize,
    /// Rounds.
    pub rounds: u32,
}

/// A study of five members that masks, running.
pub struct MaskedStudy {
    /// Acts for its coordinator.
    pub coordinator: ContractLedger,
    /// Act for its members, in the order of their indices.
    pub members: Vec<ContractLedger>,
    /// Its number.
    pub study: StudyId,
    /// How it masks.
    pub setting: MaskSetting,
}

/// What everyone knows of a round before its sum is posted.
pub struct MaskedOpening {
    /// The round.
    pub round: Round,
    /// Its one group.
    pub group: Group,
    /// Keys.
    pub announced: Vec<Announcement>,
    /// Dealings.
    pub dealings: Vec<Dealing>,
    /// Vectors of those that survived.
    pub masked: BTreeMap<Place, Vec<u32>>,
    /// What they published.
    pub unmaskings: Vec<Unmasking>,
    /// The right sum.
    pub sum: Vec<i32>,
}

impl MaskedStudy {
    /// Opens a study, lets everyone join with a dataset of its own and starts it.
    ///
    /// # Panics
    /// Where the chain refuses.
    pub fn start(
        coordinator: ContractLedger,
        members: Vec<ContractLedger>,
        options: &MaskedStudyOptions,
    ) -> Self {
        let now = coordinator.now().expect("the chain answers").0;
        let terms = StudyTerms {
            coordinator: coordinator.account(),
            token: options.token,
            budget: Amount(0),
            bond: Amount(0),
            purpose: PurposeIndex(0),
            base_model: None,
            terms: ContentDigest::of(b"terms"),
            min_members: 2,
            max_members: 8,
            rounds: options.rounds,
            round_seconds: ROUND_SECONDS as u32,
            close_seconds: 300,
            enrol_until: UnixSeconds(now + 1_000),
            finish_by: UnixSeconds(now + 100_000),
            member_cap: Ppm::new(500_000).expect("at most a million"),
            lineage_share: Ppm::new(400_000).expect("at most a million"),
            epsilon_budget: None,
            invited: Vec::new(),
        };
        let study = coordinator.open_study(&terms).expect("the study opens");
        let setting = MaskSetting {
            group_size: MASKED_MEMBERS as u8,
            threshold_percent: 51,
            fewest_survivors: 3,
            coordinates: options.coordinates as u32,
            bond_token: options.token,
            bond: options.bond,
            dispute_seconds: options.dispute_seconds,
        };
        assert_eq!(coordinator.mask_setting(study).expect("the chain answers"), None);
        coordinator
            .configure_masking(study, &setting)
            .expect("the bond is taken");
        for (index, member) in members.iter().enumerate() {
            let dataset = register_dataset(member, &format!("clinic-{index}"));
            let purposes = PurposeSet::from_names(["research"]).expect("a purpose");
            member.grant(dataset, purposes, None).expect("its steward");
            member.join(study, dataset).expect("it may join");
        }
        coordinator.start(study).expect("enough members");
        Self {
            coordinator,
            members,
            study,
            setting,
        }
    }

    /// The masking of a round as it is on record.
    ///
    /// # Panics
    /// Where there is none.
    pub fn record(&self, round: Round) -> MaskRound {
        let record = self.coordinator.mask_round(self.study, round);
        record.expect("the chain answers").expect("it was opened")
    }

    /// A round up to its sum, with its records in `blobs`; `pass` moves the chain's clock. What each member does follows from its
    /// index.
    ///
    /// # Panics
    /// Where the chain refuses.
    pub fn up_to_sums(&self, blobs: &dyn Blobs, pass: &dyn Fn(u64)) -> MaskedOpening {
        let (study, members) = (self.study, &self.members);
        let random = |member: usize| ChaCha20Rng::seed_from_u64(member as u64);
        let base = ContentDigest::of(b"base");
        let round = self.coordinator.open_round(study, base).expect("none is open");
        // Keys are made before places are known; a member's randomness is its own all through.
        let draft = Group {
            context: [0; 32],
            size: MASKED_MEMBERS as u16,
            degree: MASKED_MEMBERS as u16 - 1,
            threshold: self.setting.threshold(MASKED_MEMBERS) as u16,
            fewest_survivors: 3,
            coordinates: self.setting.coordinates as usize,
        };
        for (index, ledger) in members.iter().enumerate() {
            let member = Member::new(&draft, Place(0), &mut random(index)).expect("a member");
            let key = member.announcement().key;
            ledger
                .announce_key(study, round, at(index), &key)
                .expect("it may announce");
        }
        self.coordinator.draw_groups(study, round).expect("all announced");
        let domain = self.coordinator.mask_domain().expect("the chain answers");
        let drawn = DrawnGroup::of_round(study, &self.record(round), &self.setting, &domain);
        let drawn = drawn.expect("the same draw").remove(0);
        let group = drawn.group.clone();
        let place = |index| drawn.place_of(at(index)).expect("in the group");
        let mut randoms: Vec<_> = (0..members.len()).map(random).collect();
        let mut actors = Vec::new();
        for (index, random) in randoms.iter_mut().enumerate() {
            actors.push(Member::new(&group, place(index), random).expect("a member"));
        }
        let announced: Vec<_> = actors.iter().map(Member::announcement).collect();
        let mut dealings = Vec::new();
        for (index, actor) in actors.iter_mut().enumerate() {
            let dealing = actor
                .share(&announced, &mut randoms[index])
                .expect("it shares once");
            let record = MaskDealing {
                member: at(index),
                record: keep(blobs, &encode_dealing(&group, &dealing)),
                shares_root: shares_root(dealing.from, &dealing.sharing),
            };
            members[index]
                .commit_dealing(study, round, &record)
                .expect("its time to deal");
            dealings.push(dealing);
        }
        let staying = members.len() - 1;
        let mut masked = BTreeMap::new();
        for (index, actor) in actors.iter_mut().enumerate().take(staying) {
            let words = actor
                .mask(&self.vector(index), &dealings)
                .expect("right dealings");
            let update = keep(blobs, &encode_upload(&group, place(index), &words));
            let ledger = &members[index];
            ledger
                .commit_update(study, round, at(index), update)
                .expect("its time to commit");
            ledger
                .commit_upload(study, round, at(index), vector_root(&words))
                .expect("its time to commit");
            masked.insert(place(index), words);
        }
        pass(ROUND_SECONDS + 1);
        self.coordinator
            .fix_survivors(study, round, MemberSet::first(staying))
            .expect("enough survivors");
        let places: BTreeSet<Place> = masked.keys().copied().collect();
        let mut unmaskings = Vec::new();
        for (index, actor) in actors.iter_mut().enumerate().take(staying) {
            let unmasking = actor.unmask(&places).expect("enough survivors");
            let record = keep(blobs, &encode_unmasking(&group, &unmasking));
            members[index]
                .commit_unmasking(study, round, at(index), record)
                .expect("its time to publish");
            unmaskings.push(unmasking);
        }
        let sum = recover(&group, &announced, &dealings, &masked, &unmaskings).expect("enough shares");
        let plain = |word| (0..staying).map(|index| self.vector(index)[word]).sum::<i32>();
        assert_eq!(sum, (0..sum.len()).map(plain).collect::<Vec<_>>());
        MaskedOpening {
            round,
            group,
            announced,
            dealings,
            masked,
            unmaskings,
            sum,
        }
    }

    /// Posts a sum of a round's group.
    ///
    /// # Panics
    /// Where the chain refuses.
    pub fn post(&self, round: Round, sum: &[i32]) {
        let words: Vec<u32> = sum.iter().map(|word| *word as u32).collect();
        self.coordinator
            .post_sums(self.study, round, &[vector_root(&words)])
            .expect("its time to post");
    }

    /// Closes the open round with those that stayed.
    ///
    /// # Panics
    /// Where the chain refuses.
    pub fn close(&self, round: Round) {
        let survivors = MemberSet::first(self.members.len() - 1).0;
        self.coordinator
            .close_round(
                self.study,
                round,
                survivors,
                ContentDigest::of(b"result"),
                MicroEpsilon::ZERO,
            )
            .expect("the sums are posted");
    }

    /// Ends the study after its last round.
    ///
    /// # Panics
    /// Where the chain refuses.
    pub fn finish(&self) {
        let nothing = vec![Ppm::new(0).expect("at most a million"); self.members.len()];
        self.coordinator
            .finish(self.study, &nothing, ContentDigest::of(b"evidence"))
            .expect("all rounds are closed");
    }

    fn vector(&self, member: usize) -> Vec<i32> {
        let words = 0..self.setting.coordinates as i32;
        words.map(|word| word * 1_000 - member as i32).collect()
    }
}

/// Registers a dataset of an account.
///
/// # Panics
/// Where the chain refuses.
pub fn register_dataset(ledger: &ContractLedger, name: &str) -> AssetId {
    let digest = |text: &str| ContentDigest::of(text.as_bytes());
    let registration = Registration {
        kind: AssetKind::Dataset,
        content: digest(name),
        manifest: digest(&format!("manifest of {name}")),
        previous: None,
        resale_royalty_bps: 0,
        uri: format!("https://example.org/{name}"),
        parents: Vec::new(),
    };
    ledger
        .register(ledger.account(), &registration)
        .expect("not registered yet")
}

fn keep(blobs: &dyn Blobs, bytes: &[u8]) -> ContentDigest {
    blobs.put(bytes).expect("they are kept")
}

fn at(index: usize) -> MemberIndex {
    MemberIndex(index as u8)
}
