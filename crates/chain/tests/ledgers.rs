//! The ledgers do the same on every chain.

mod support;

use counterweight_chain::ledger::{ContractLedger, ModelPublication};
use counterweight_federated::ledger::{Phase, StudyLedger as _, StudyReader as _, StudyTerms};
use counterweight_federated::privacy::MicroEpsilon;
use counterweight_primitives::{
    Amount, AssetId, ContentDigest, MemberIndex, Ppm, PurposeIndex, Round, Sha256Digest, StudyId, UnixSeconds,
};
use counterweight_provenance::ledger::{
    AnchorLedger as _, AnchorReader as _, AssetKind, AssetLedger as _, AssetReader as _, ConsentChange,
    ConsentLedger as _, ConsentReader as _, LedgerError, LogId, Parent, Registration, RoyaltyChange,
    RoyaltyLedger as _, RoyaltyReader as _, Settlement,
};
use counterweight_provenance::log::{
    account_signature::AccountCheckpoint, note::Checkpoint, tree::node_hash,
};
use counterweight_provenance::purpose::PurposeSet;
use support::{Deployed, TestChain};

on_every_chain! {
    a_study_runs_from_consent_to_payment
    revoked_consent_is_refused_with_the_reason
    a_study_that_never_started_gives_everything_back
    an_overdue_study_pays_for_the_rounds_that_were_survived
    an_expired_round_is_opened_again
    a_budget_of_privacy_is_kept_and_ends_a_study_early
    income_flows_up_the_lineage
    consent_ends_with_the_owner_that_gave_it
    a_log_is_anchored_and_only_grows
    an_owner_of_two_histories_loses_the_bond
    what_the_token_says_is_read
}

const RESEARCH: PurposeIndex = PurposeIndex(0);
const BUDGET: Amount = Amount(1_000_000);
const BOND: Amount = Amount(500);

fn digest(text: &str) -> ContentDigest {
    ContentDigest::of(text.as_bytes())
}

fn ppm(millionths: u32) -> Ppm {
    Ppm::new(millionths).unwrap()
}

fn refused<T: std::fmt::Debug>(result: Result<T, LedgerError>) -> String {
    match result {
        Err(LedgerError::Refused { reason, .. }) => reason,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn dataset(ledger: &ContractLedger, name: &str) -> AssetId {
    let registration = Registration {
        kind: AssetKind::Dataset,
        content: digest(name),
        manifest: digest(&format!("manifest of {name}")),
        previous: None,
        resale_royalty_bps: 0,
        uri: format!("https://example.org/{name}"),
        parents: Vec::new(),
    };
    ledger.register(ledger.account(), &registration).unwrap()
}

/// Development key 0 sponsors and coordinates; keys 1 to 3 are members with a consented dataset each.
struct Study {
    deployed: Deployed,
    sponsor: ContractLedger,
    members: Vec<ContractLedger>,
    datasets: Vec<AssetId>,
    study: StudyId,
}

impl Study {
    fn enrolled(chain: &dyn TestChain) -> Self {
        let deployed = Deployed::on(chain);
        let sponsor = deployed.ledger(0);
        let token = deployed.deployment.development_token.unwrap();
        let members: Vec<_> = (1..=3).map(|index| deployed.ledger(index)).collect();
        sponsor
            .mint_development_tokens(sponsor.account(), BUDGET)
            .unwrap();
        let mut datasets = Vec::new();
        for (index, member) in members.iter().enumerate() {
            sponsor.mint_development_tokens(member.account(), BOND).unwrap();
            let id = dataset(member, &format!("clinic-{index}"));
            let purposes = PurposeSet::from_names(["research", "education"]).unwrap();
            assert_eq!(member.grant(id, purposes, None).unwrap(), 1);
            datasets.push(id);
        }
        let now = sponsor.now().unwrap().0;
        let terms = StudyTerms {
            coordinator: sponsor.account(),
            token,
            budget: BUDGET,
            bond: BOND,
            purpose: RESEARCH,
            base_model: None,
            terms: digest("terms"),
            min_members: 2,
            max_members: 8,
            rounds: 2,
            round_seconds: 600,
            close_seconds: 300,
            enrol_until: UnixSeconds(now + 1_000),
            finish_by: UnixSeconds(now + 100_000),
            member_cap: ppm(500_000),
            lineage_share: ppm(400_000),
            epsilon_budget: Some(MicroEpsilon(2_000_000)),
            invited: Vec::new(),
        };
        let study = sponsor.open_study(&terms).unwrap();
        for (index, (member, dataset)) in members.iter().zip(&datasets).enumerate() {
            assert_eq!(usize::from(member.join(study, *dataset).unwrap().0), index);
        }
        Self {
            deployed,
            sponsor,
            members,
            datasets,
            study,
        }
    }

    fn token_balance(&self, of: &ContractLedger) -> u128 {
        let token = self.deployed.deployment.development_token.unwrap();
        of.token_balance(token, of.account()).unwrap().0
    }

    /// Opens a round, commits for `who`, and closes it with them.
    fn run_round(&self, number: u32, base: &str, who: &[u8], result: &str) {
        let round = self.open_and_commit(number, base, who);
        let survivors = who.iter().map(|member| 1 << member).sum();
        self.sponsor
            .close_round(self.study, round, survivors, digest(result), MicroEpsilon::ZERO)
            .unwrap();
    }

    fn open_and_commit(&self, number: u32, base: &str, who: &[u8]) -> Round {
        let round = self.sponsor.open_round(self.study, digest(base)).unwrap();
        assert_eq!(round, Round(number));
        for member in who {
            let update = digest(&format!("update {number} of {member}"));
            self.members[usize::from(*member)]
                .commit_update(self.study, round, MemberIndex(*member), update)
                .unwrap();
        }
        round
    }
}

fn a_study_runs_from_consent_to_payment(chain: &dyn TestChain) {
    let s = Study::enrolled(chain);
    let (sponsor, study) = (&s.sponsor, s.study);
    sponsor.start(study).unwrap();
    assert_eq!(sponsor.study(study).unwrap().phase, Phase::Running);
    s.run_round(1, "initial", &[0, 1, 2], "after 1");
    s.run_round(2, "after 1", &[0, 2], "after 2");

    let rounds = sponsor.rounds(study).unwrap();
    assert_eq!(rounds.len(), 2);
    assert_eq!(rounds[0].base, digest("initial"));
    assert_eq!(rounds[0].commitments.len(), 3);
    assert_eq!(
        rounds[1].commitments[1],
        (MemberIndex(2), digest("update 2 of 2"))
    );
    let closing = rounds[1].closed.as_ref().unwrap();
    assert_eq!((closing.survivors, closing.result), (0b101, digest("after 2")));
    assert!(closing.closed_at >= rounds[1].opened_at);

    assert_eq!(sponsor.finish_record(study).unwrap(), None);
    let contributions = [ppm(600_000), ppm(0), ppm(300_000)];
    sponsor.finish(study, &contributions, digest("evidence")).unwrap();
    let record = sponsor.finish_record(study).unwrap().unwrap();
    assert_eq!(
        (record.result, record.evidence),
        (digest("after 2"), digest("evidence"))
    );
    // Member 0 is held to the cap of half the budget.
    let rewards: Vec<_> = record.contributions.iter().map(|(_, reward)| reward.0).collect();
    assert_eq!(rewards, [500_000, 0, 300_000]);

    let anyone = s.deployed.ledger(9);
    for (index, reward) in [(0, 500_000), (1, 0), (2, 300_000)] {
        assert_eq!(
            anyone.claim(study, MemberIndex(index)).unwrap(),
            Amount(reward + BOND.0)
        );
        assert_eq!(s.token_balance(&s.members[usize::from(index)]), reward + BOND.0);
    }
    assert_eq!(
        refused(anyone.claim(study, MemberIndex(1))),
        format!("AlreadyClaimed(study: {study}, member: 1)")
    );
    assert_eq!(sponsor.return_budget(study).unwrap(), Amount(200_000));
    assert_eq!(s.token_balance(sponsor), 200_000);

    let publication = ModelPublication {
        content: digest("after 2"),
        manifest: digest("manifest of the model"),
        previous: None,
        resale_royalty_bps: 250,
        uri: "model.json".to_owned(),
    };
    let model = sponsor.publish_model(study, &publication).unwrap();
    let state = sponsor.study(study).unwrap();
    assert_eq!((state.phase, state.model), (Phase::Finished, Some(model)));
    assert_eq!(state.members[0].reward, Amount(500_000));
    assert!(
        state
            .members
            .iter()
            .all(|member| member.claimed && member.consent_epoch == 1)
    );

    let records = sponsor.asset_records().unwrap();
    assert_eq!(records.len(), 4);
    let record = records.last().unwrap();
    assert_eq!((record.id, record.owner), (model, sponsor.account()));
    assert_eq!(record.asset, sponsor.asset(model).unwrap());
    assert_eq!(record.parents, sponsor.parents(model).unwrap());
    let parents = [
        Parent {
            asset: s.datasets[0],
            share: ppm(240_000),
        },
        Parent {
            asset: s.datasets[2],
            share: ppm(120_000),
        },
    ];
    assert_eq!(record.parents, parents);
    assert_eq!(sponsor.study_count().unwrap(), 1);
    assert_eq!(refused(sponsor.study(StudyId(9))), "UnknownStudy(study: 9)");
}

fn revoked_consent_is_refused_with_the_reason(chain: &dyn TestChain) {
    let s = Study::enrolled(chain);
    s.sponsor.start(s.study).unwrap();
    let round = s.sponsor.open_round(s.study, digest("initial")).unwrap();
    let research = PurposeSet::from_names(["research"]).unwrap();
    assert_eq!(s.members[1].revoke(s.datasets[1], research).unwrap(), 2);
    assert!(!s.sponsor.is_allowed(s.datasets[1], RESEARCH).unwrap());
    assert!(s.sponsor.is_allowed(s.datasets[1], PurposeIndex(9)).unwrap());

    let late = s.members[1].commit_update(s.study, round, MemberIndex(1), digest("u"));
    let expected = format!(
        "ConsentMissing(datasetId: {}, purpose: 0, epoch: 2)",
        s.datasets[1]
    );
    assert_eq!(refused(late), expected);

    assert_eq!(
        s.members[1]
            .grant(s.datasets[1], research, Some(UnixSeconds(9_999_999_999)))
            .unwrap(),
        3
    );
    s.members[1]
        .commit_update(s.study, round, MemberIndex(1), digest("u"))
        .unwrap();
    let history = s.sponsor.consent_history(s.datasets[1]).unwrap();
    let epochs: Vec<_> = history.iter().map(|entry| entry.epoch).collect();
    assert_eq!(epochs, [1, 2, 3]);
    assert_eq!(history[1].change, ConsentChange::Revoked { purposes: research });
    assert_eq!(history[1].steward, s.members[1].account());
    let expiry = Some(UnixSeconds(9_999_999_999));
    assert_eq!(
        history[2].change,
        ConsentChange::Granted {
            purposes: research,
            expiry
        }
    );
    assert_eq!(s.sponsor.consent(s.datasets[1]).unwrap().epoch, 3);

    let stranger = s.deployed.ledger(9).revoke(s.datasets[1], research);
    assert!(refused(stranger).starts_with("NotSteward(datasetId: "));
}

fn a_study_that_never_started_gives_everything_back(chain: &dyn TestChain) {
    let s = Study::enrolled(chain);
    let round = s.sponsor.open_round(s.study, digest("initial"));
    assert_eq!(
        refused(round),
        format!("WrongPhase(study: {}, phase: Enrolling)", s.study)
    );
    s.sponsor.cancel(s.study).unwrap();
    assert_eq!(s.sponsor.study(s.study).unwrap().phase, Phase::Cancelled);
    for (index, member) in s.members.iter().enumerate() {
        let index = MemberIndex(u8::try_from(index).unwrap());
        assert_eq!(member.claim(s.study, index).unwrap(), BOND);
    }
    assert_eq!(s.sponsor.return_budget(s.study).unwrap(), BUDGET);
}

fn an_overdue_study_pays_for_the_rounds_that_were_survived(chain: &dyn TestChain) {
    let s = Study::enrolled(chain);
    s.sponsor.start(s.study).unwrap();
    s.run_round(1, "initial", &[0, 1], "after 1");
    let anyone = s.deployed.ledger(9);
    assert!(refused(anyone.abandon(s.study)).starts_with("TooEarly("));
    chain.advance(100_001);
    anyone.abandon(s.study).unwrap();
    let state = s.sponsor.study(s.study).unwrap();
    assert_eq!((state.phase, state.closed_rounds), (Phase::Abandoned, 1));
    // budget * survived / (rounds * members), rounded down
    let rewards: Vec<_> = state.members.iter().map(|member| member.reward.0).collect();
    assert_eq!(rewards, [166_666, 166_666, 0]);
    assert_eq!(
        s.sponsor.return_budget(s.study).unwrap(),
        Amount(BUDGET.0 - 2 * 166_666)
    );
}

fn an_expired_round_is_opened_again(chain: &dyn TestChain) {
    let s = Study::enrolled(chain);
    s.sponsor.start(s.study).unwrap();
    let round = s.sponsor.open_round(s.study, digest("initial")).unwrap();
    s.members[0]
        .commit_update(s.study, round, MemberIndex(0), digest("lost"))
        .unwrap();
    chain.advance(901);
    s.deployed.ledger(9).expire_round(s.study).unwrap();
    s.run_round(1, "initial", &[1, 2], "after 1");
    let rounds = s.sponsor.rounds(s.study).unwrap();
    assert_eq!(rounds.len(), 1);
    let who: Vec<_> = rounds[0].commitments.iter().map(|(member, _)| member.0).collect();
    assert_eq!(who, [1, 2]);
}

fn a_budget_of_privacy_is_kept_and_ends_a_study_early(chain: &dyn TestChain) {
    let s = Study::enrolled(chain);
    let (sponsor, study) = (&s.sponsor, s.study);
    sponsor.start(study).unwrap();
    let round = s.open_and_commit(1, "initial", &[0, 1]);
    let close = |spent| sponsor.close_round(study, round, 3, digest("after 1"), MicroEpsilon(spent));
    assert_eq!(
        refused(close(2_000_001)),
        "EpsilonBudgetExceeded(budget: 2000000, spent: 2000001)"
    );
    close(1_900_000).unwrap();
    let state = sponsor.study(study).unwrap();
    assert_eq!(state.epsilon_budget, Some(MicroEpsilon(2_000_000)));
    assert_eq!(state.spent_epsilon, MicroEpsilon(1_900_000));
    let closing = sponsor.rounds(study).unwrap().remove(0).closed.unwrap();
    assert_eq!(closing.spent, MicroEpsilon(1_900_000));
    let round = s.open_and_commit(2, "after 1", &[0, 1]);
    let fallen = sponsor.close_round(study, round, 3, digest("after 2"), MicroEpsilon(1_899_999));
    assert_eq!(
        refused(fallen),
        "SpentEpsilonFell(before: 1900000, given: 1899999)"
    );
    let contributions = [ppm(300_000), ppm(200_000), ppm(0)];
    let finish = || sponsor.finish(study, &contributions, digest("evidence"));
    assert!(refused(finish()).starts_with("RoundsRemain("));
    chain.advance(901);
    sponsor.expire_round(study).unwrap();
    finish().unwrap();
    let state = sponsor.study(study).unwrap();
    assert_eq!((state.phase, state.closed_rounds), (Phase::Finished, 1));
    assert_eq!(state.members[0].reward, Amount(300_000));
}

fn income_flows_up_the_lineage(chain: &dyn TestChain) {
    let deployed = Deployed::on(chain);
    let (owner, steward, buyer) = (deployed.ledger(0), deployed.ledger(1), deployed.ledger(2));
    let token = deployed.deployment.development_token.unwrap();
    owner
        .mint_development_tokens(buyer.account(), Amount(1_001))
        .unwrap();
    let source = dataset(&steward, "source");
    let registration = Registration {
        kind: AssetKind::Model,
        content: digest("model"),
        manifest: digest("manifest"),
        previous: None,
        resale_royalty_bps: 0,
        uri: String::new(),
        parents: vec![Parent {
            asset: source,
            share: ppm(250_000),
        }],
    };
    let model = owner.register(owner.account(), &registration).unwrap();

    buyer.pay(model, token, Amount(1_001), [7; 32]).unwrap();
    assert_eq!(owner.pending(model, token).unwrap(), Amount(1_001));
    let settled = owner.settle(model, token).unwrap();
    assert_eq!(
        settled,
        Settlement {
            to_parents: Amount(250),
            to_owner: Amount(751)
        }
    );
    owner.settle_path(&[model, source], token).unwrap();
    assert_eq!(steward.claimable(source, token).unwrap(), Amount(250));
    assert_eq!(steward.claim_royalty(source, token).unwrap(), Amount(250));
    assert_eq!(owner.claim_royalty(model, token).unwrap(), Amount(751));
    assert!(refused(owner.claim_royalty(model, token)).starts_with("NothingToClaim(asset: "));

    let events = owner.royalty_events(model).unwrap();
    let changes: Vec<_> = events.iter().map(|event| event.change).collect();
    let paid = RoyaltyChange::Paid {
        payer: buyer.account(),
        amount: Amount(1_001),
        reference: [7; 32],
    };
    let claimed = RoyaltyChange::Claimed {
        owner: owner.account(),
        amount: Amount(751),
    };
    assert_eq!(changes, [paid, RoyaltyChange::Settled(settled), claimed]);
    assert!(events.iter().all(|event| event.token == token));

    let newer = Registration {
        previous: Some(model),
        content: digest("model 2"),
        ..registration
    };
    let second = owner.register(owner.account(), &newer).unwrap();
    assert_eq!(owner.replaced_by(model).unwrap(), Some(second));
    assert_eq!(owner.asset_records().unwrap().last().unwrap().asset.version, 2);
    assert_eq!(owner.asset_count().unwrap(), 3);
}

fn consent_ends_with_the_owner_that_gave_it(chain: &dyn TestChain) {
    use alloy_primitives::U256;
    use alloy_sol_types::SolCall as _;
    use counterweight_chain::{address::to_evm, contracts::IERC721, network::Call};

    let deployed = Deployed::on(chain);
    let (old, new) = (deployed.ledger(1), deployed.ledger(2));
    let id = dataset(&old, "sold");
    let research = PurposeSet::from_names(["research"]).unwrap();
    old.grant(id, research, None).unwrap();
    let transfer = IERC721::transferFromCall {
        from: to_evm(old.account()),
        to: to_evm(new.account()),
        tokenId: U256::from(id.0),
    };
    let call = Call {
        to: Some(to_evm(deployed.deployment.asset_registry)),
        data: transfer.abi_encode().into(),
        value: U256::ZERO,
    };
    deployed.network.transact(&support::key(1), &call).unwrap();
    assert_eq!(new.owner(id).unwrap(), new.account());
    assert!(!new.is_allowed(id, RESEARCH).unwrap());
    let history = new.consent_history(id).unwrap();
    assert_eq!(history.len(), 2);
    assert_eq!(
        (history[1].change, history[1].epoch),
        (ConsentChange::Transferred, 1)
    );
    assert_eq!(history[1].steward, new.account());
    let record = &new.asset_records().unwrap()[0];
    assert_eq!(
        (record.registered_to, record.owner),
        (old.account(), new.account())
    );
}

fn a_log_is_anchored_and_only_grows(chain: &dyn TestChain) {
    let deployed = Deployed::on(chain);
    let owner = deployed.ledger(1);
    let log = LogId::of_origin("example.org/log");
    assert_eq!(owner.anchored_head(owner.account(), log).unwrap(), None);
    // A tree of one leaf: the root is the leaf's hash.
    let leaf = Sha256Digest::of(b"\0entry");
    owner.anchor(log, 1, leaf, &[]).unwrap();
    let head = owner.anchored_head(owner.account(), log).unwrap().unwrap();
    assert_eq!((head.size, head.root, head.owner), (1, leaf, owner.account()));
    assert_eq!(head.anchored_at, owner.now().unwrap());
    assert!(owner.is_anchored(owner.account(), log, 0, leaf, &[]).unwrap());
    assert!(
        !owner
            .is_anchored(owner.account(), log, 0, Sha256Digest::of(b"\0other"), &[])
            .unwrap()
    );
    assert!(
        !owner
            .is_anchored(deployed.ledger(2).account(), log, 0, leaf, &[])
            .unwrap()
    );
    assert!(refused(owner.anchor(log, 1, leaf, &[])).starts_with("SizeNotGrowing(log: 0x"));
    // Only what begins with the anchored tree is taken.
    let second = Sha256Digest::of(b"\0second");
    let grown = node_hash(&leaf, &second);
    assert!(
        refused(owner.anchor(log, 2, node_hash(&second, &leaf), &[second]))
            .starts_with("Inconsistent(log: 0x")
    );
    assert!(refused(owner.anchor(log, 2, grown, &[])).starts_with("Inconsistent(log: 0x"));
    owner.anchor(log, 2, grown, &[second]).unwrap();
    assert!(
        owner
            .is_anchored(owner.account(), log, 1, second, &[leaf])
            .unwrap()
    );
}

fn an_owner_of_two_histories_loses_the_bond(chain: &dyn TestChain) {
    let deployed = Deployed::on(chain);
    let (owner, reporter) = (deployed.ledger(1), deployed.ledger(2));
    let origin = "example.org/log";
    let log = LogId::of_origin(origin);
    owner.anchor(log, 1, Sha256Digest::of(b"\0entry"), &[]).unwrap();
    owner.post_log_bond(log, Amount(1_001)).unwrap();
    let bond = owner.log_bond(owner.account(), log).unwrap();
    assert_eq!((bond.amount, bond.withdrawable_at), (Amount(1_001), None));
    let signed = |root| {
        let checkpoint = Checkpoint {
            origin: origin.to_owned(),
            size: 5,
            root: Sha256Digest::of(root),
        };
        AccountCheckpoint::sign(&checkpoint, &support::key(1)).unwrap()
    };
    let (one, other) = (signed(b"one"), signed(b"other"));
    assert!(refused(reporter.report_split_view(&one, &one)).starts_with("NoContradiction(log: 0x"));
    reporter.report_split_view(&one, &other).unwrap();
    assert_eq!(owner.log_bond(owner.account(), log).unwrap().amount, Amount(0));
    assert!(owner.anchored_head(owner.account(), log).unwrap().unwrap().forked);
    assert!(refused(owner.anchor(log, 2, Sha256Digest::of(b""), &[])).starts_with("LogForked(log: 0x"));
}

fn what_the_token_says_is_read(chain: &dyn TestChain) {
    let deployed = Deployed::on(chain);
    let (minter, other) = (deployed.ledger(0), deployed.ledger(1));
    let token = deployed.deployment.development_token.unwrap();
    let description = other.token(token).unwrap();
    assert_eq!((description.symbol.as_str(), description.decimals), ("CWD", 18));
    minter
        .mint_development_tokens(minter.account(), Amount(10))
        .unwrap();
    minter.transfer_tokens(token, other.account(), Amount(4)).unwrap();
    assert_eq!(other.token_balance(token, other.account()).unwrap(), Amount(4));
    assert!(
        refused(other.transfer_tokens(token, minter.account(), Amount(5)))
            .starts_with("ERC20InsufficientBalance(")
    );
    assert!(
        refused(other.mint_development_tokens(other.account(), Amount(1)))
            .starts_with("NotMinter(caller: 0x")
    );
    // An account without code answers nothing, which is no answer.
    assert!(matches!(
        other.token(other.account()),
        Err(LedgerError::Malformed { .. })
    ));
}
