//! Consent that can be shown: signed entries, what a run committed to, and a withdrawal that somebody hid.

mod support;

use std::{fs, path::Path, sync::Arc};

use alloy_primitives::{Address as EvmAddress, B256, Bytes, U256, b256};
use alloy_sol_types::{SolCall as _, SolEvent as _, sol};
use counterweight_chain::{
    deploy::Deployment,
    embedded::{Config, EmbeddedChain, Genesis},
    keys::development_key,
    ledger::{ContractLedger, ModelPublication},
    network::{Call, Network as _},
};
use counterweight_federated::ledger::{StudyLedger as _, StudyReader as _, StudyTerms};
use counterweight_federated::privacy::MicroEpsilon;
use counterweight_primitives::{Amount, AssetId, ContentDigest, MemberIndex, Ppm, PurposeIndex, UnixSeconds};
use counterweight_provenance::{
    ledger::{AssetKind, AssetReader as _, ConsentLedger as _, RoyaltyLedger as _},
    purpose::PurposeSet,
};
use serde_json::Value;
use support::Project;

/// The check with a name.
fn check<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let checks = answer["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["check"] == name);
    found.unwrap_or_else(|| panic!("{name}: {answer:#}"))
}

/// Blobs that hold a text, by file.
fn blobs_with(folder: &Path, text: &str) -> Vec<std::path::PathBuf> {
    let mut folders = vec![folder.join(".counterweight/blobs")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if String::from_utf8_lossy(&fs::read(&path).unwrap()).contains(text) {
                found.push(path);
            }
        }
    }
    found
}

fn replace(path: &Path, bytes: &[u8]) {
    // The store keeps its files read-only.
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_run_commits_to_consents_that_anyone_can_check() {
    let project = Project::new();
    project.json(&["train"]);
    for target in [["verify", "run", "1"], ["verify", "model", "tumour@1"]] {
        let answer = project.json(&target);
        let consents = check(&answer, "consents");
        assert_eq!(consents["verdict"], "yes", "{answer:#}");
        let sentence = consents["sentence"].as_str().unwrap();
        // Four clinics, each joining and committing three times.
        assert!(
            sentence.starts_with("16 uses under 4 signed and 0 unsigned grants"),
            "{sentence}"
        );
        assert_eq!(check(&answer, "withdrawals")["verdict"], "yes");
    }

    // Withdrawing later rewrites nothing, and is signed beside the chain's epoch.
    let revoked = project.json(&["consent", "revoke", "clinic-c"]);
    assert_eq!(revoked["epoch"], 2);
    assert!(
        revoked["entry"].as_str().unwrap().starts_with("blake3:"),
        "{revoked:#}"
    );
    assert_eq!(project.json(&["verify", "log"])["verdict"], "yes");
    assert_eq!(project.json(&["verify", "run", "1"])["verdict"], "yes");
    let consent = project.json(&["verify", "consent", "clinic-c"]);
    assert_eq!(consent["verdict"], "yes", "{consent:#}");
    let entries = check(&consent, "entries")["sentence"].as_str().unwrap();
    assert_eq!(
        entries,
        "2 of 2 grants and withdrawals are signed entries of the log"
    );
    assert_eq!(check(&consent, "run 1: withdrawals")["verdict"], "yes");

    // A second run, in whose map the withdrawal is.
    project.json(&["train"]);
    let second = project.json(&["verify", "run", "2"]);
    let proved = check(&second, "withdrawals")["sentence"].as_str().unwrap();
    assert!(proved.contains("in the map of 1 ended consents"), "{proved}");

    let sets = blobs_with(&project.path(), "counterweight/consent-set/v1");
    assert_eq!(sets.len(), 2);
    for set in sets {
        let bytes = fs::read(&set).unwrap();
        let run = if String::from_utf8_lossy(&bytes).contains("\"study\":1") {
            "1"
        } else {
            "2"
        };
        let mut spoiled = bytes.clone();
        spoiled[bytes.len() / 2] ^= 1;
        replace(&set, &spoiled);
        let told = project.run(&["verify", "run", run, "--json"]).ends(1).json();
        assert_eq!(check(&told, "consents")["verdict"], "no", "{told:#}");
        fs::remove_file(&set).unwrap();
        let told = project.run(&["verify", "run", run, "--json"]).ends(1).json();
        assert_eq!(told["verdict"], "unknown", "{told:#}");
        fs::write(&set, &bytes).unwrap();
    }
    // An entry that another hand changed.
    let entry = blobs_with(&project.path(), "\"name\":\"clinic-b\"")
        .into_iter()
        .find(|path| fs::read_to_string(path).is_ok_and(|text| text.contains("consent-granted")))
        .unwrap();
    let text = fs::read_to_string(&entry).unwrap();
    replace(&entry, text.replace("\"epoch\":1", "\"epoch\":2").as_bytes());
    let told = project.run(&["verify", "run", "1", "--json"]).ends(1).json();
    let findings = check(&told, "consents")["findings"].to_string();
    assert!(findings.contains("entry of dataset 2"), "{told:#}");
}

sol! {
    function schedule(address target, uint256 value, bytes data, bytes32 predecessor, bytes32 salt, uint256 delay);
    function execute(address target, uint256 value, bytes data, bytes32 predecessor, bytes32 salt);
    function upgradeToAndCall(address implementation, bytes data);
    event Upgraded(address indexed implementation);
}

/// Where a proxy keeps its implementation (ERC-1967).
const IMPLEMENTATION: B256 = b256!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");

/// Code that answers every question with (1, 0, 1): purpose 0 is allowed, without end, since epoch 1. It lets itself be
/// installed and replaced.
fn lying_registry() -> Vec<u8> {
    let mut code = vec![0x5f, 0x35, 0x60, 0xe0, 0x1c];
    let jump_if = |code: &mut Vec<u8>, selector: [u8; 4], to: u8| {
        code.extend([0x80, 0x63]);
        code.extend(selector);
        code.extend([0x14, 0x60, to, 0x57]);
    };
    // Two jumps of ten bytes and the answer of eighteen come before the first target.
    let (uuid, upgrade) = (5 + 10 + 10 + 17, 5 + 10 + 10 + 17 + 40);
    jump_if(&mut code, [0x52, 0xd1, 0x90, 0x2d], uuid);
    jump_if(&mut code, upgradeToAndCallCall::SELECTOR, upgrade);
    code.extend([
        0x60, 1, 0x5f, 0x52, 0x5f, 0x60, 0x20, 0x52, 0x60, 1, 0x60, 0x40, 0x52, 0x60, 0x60, 0x5f, 0xf3,
    ]);
    assert_eq!(code.len(), usize::from(uuid));
    code.extend([0x5b, 0x7f]);
    code.extend(IMPLEMENTATION);
    code.extend([0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3]);
    assert_eq!(code.len(), usize::from(upgrade));
    code.extend([0x5b, 0x60, 4, 0x35, 0x7f]);
    code.extend(IMPLEMENTATION);
    // Says so as ERC-1967 asks, which is how a deployment is checked.
    code.extend([0x55, 0x60, 4, 0x35, 0x7f]);
    code.extend(Upgraded::SIGNATURE_HASH);
    code.extend([0x5f, 0x5f, 0xa2, 0x00]);
    let mut creation = vec![0x60, code.len() as u8, 0x80, 0x60, 9, 0x5f, 0x39, 0x5f, 0xf3];
    creation.extend(code);
    creation
}

/// Whoever governs the registry swaps its code for one that denies a withdrawal, lets a study use the data, and puts
/// the right code back: every contract is as it should be, and only the history tells.
#[test]
fn a_withdrawal_that_the_registry_denied_for_a_while_is_found_and_named() {
    let project = Project::new();
    project.json(&["dataset", "publish"]);
    let state = project.path().join(".counterweight");
    {
        let chain =
            EmbeddedChain::open(&state.join("chain"), Genesis::development(), Config::default()).unwrap();
        let network: Arc<EmbeddedChain> = Arc::new(chain);
        let deployment = Deployment::load(&state.join("deployments/local.json")).unwrap();
        let key = |index| Arc::new(development_key(index, 31_337).unwrap());
        let ledger = |index| ContractLedger::new(Arc::clone(&network) as _, deployment.clone(), key(index));
        let governor = key(0);
        let call = |to: Option<EvmAddress>, data: Vec<u8>| {
            let call = Call {
                to,
                data: data.into(),
                value: U256::ZERO,
            };
            network.transact(&*governor, &call).unwrap()
        };
        let install = |implementation: EvmAddress, salt: u8| {
            let target = EvmAddress::from(deployment.consent_registry.0);
            let data: Bytes = upgradeToAndCallCall {
                implementation,
                data: Bytes::new(),
            }
            .abi_encode()
            .into();
            let (timelock, salt) = (
                Some(EvmAddress::from(deployment.timelock.0)),
                B256::repeat_byte(salt),
            );
            let predecessor = B256::ZERO;
            let (value, delay) = (U256::ZERO, U256::ZERO);
            let scheduled = scheduleCall {
                target,
                value,
                data: data.clone(),
                predecessor,
                salt,
                delay,
            };
            call(timelock, scheduled.abi_encode());
            let executed = executeCall {
                target,
                value,
                data,
                predecessor,
                salt,
            };
            call(timelock, executed.abi_encode());
        };

        // Dataset 3 is clinic-c's, whose steward is development account 3.
        let research = PurposeSet::from_names(["research"]).unwrap();
        assert_eq!(ledger(3).revoke(AssetId(3), research).unwrap(), 2);
        let liar = call(None, lying_registry()).created.unwrap();
        install(liar, 1);

        let sponsor = ledger(0);
        let token = deployment.development_token.unwrap();
        let now = sponsor.now().unwrap().0;
        sponsor
            .mint_development_tokens(sponsor.account(), Amount(1_000))
            .unwrap();
        let digest = |text: &str| ContentDigest::of(text.as_bytes());
        let study = sponsor
            .open_study(&StudyTerms {
                coordinator: sponsor.account(),
                token,
                budget: Amount(1_000),
                bond: Amount(0),
                purpose: PurposeIndex(0),
                base_model: None,
                terms: digest("terms"),
                min_members: 2,
                max_members: 2,
                rounds: 1,
                round_seconds: 600,
                close_seconds: 300,
                enrol_until: UnixSeconds(now + 1_000),
                finish_by: UnixSeconds(now + 100_000),
                member_cap: Ppm::WHOLE,
                lineage_share: Ppm::ZERO,
                epsilon_budget: None,
                invited: Vec::new(),
            })
            .unwrap();
        let members = [ledger(1), ledger(3)];
        for (member, dataset) in members.iter().zip([1, 3]) {
            member.join(study, AssetId(dataset)).unwrap();
        }
        sponsor.start(study).unwrap();
        let round = sponsor.open_round(study, digest("start")).unwrap();
        for (index, member) in (0u8..).zip(&members) {
            member
                .commit_update(
                    study,
                    round,
                    MemberIndex(index),
                    digest(&format!("update {index}")),
                )
                .unwrap();
        }
        sponsor
            .close_round(study, round, 3, digest("result"), MicroEpsilon::ZERO)
            .unwrap();
        let half = Ppm::new(500_000).unwrap();
        sponsor.finish(study, &[half, half], digest("evidence")).unwrap();
        install(EvmAddress::from(deployment.consent_registry_implementation.0), 2);
        let publication = ModelPublication {
            content: digest("result"),
            manifest: digest("manifest"),
            previous: None,
            resale_royalty_bps: 0,
            uri: String::new(),
        };
        sponsor.publish_model(study, &publication).unwrap();
    }

    let told = project.run(&["verify", "run", "1", "--json"]).ends(1).json();
    let consents = check(&told, "consents");
    assert_eq!(consents["verdict"], "no", "{told:#}");
    assert_eq!(
        consents["sentence"],
        "2 of 4 uses were not allowed when they were made"
    );
    let findings = consents["findings"].as_array().unwrap();
    for finding in findings {
        let finding = finding.as_str().unwrap();
        assert!(finding.starts_with("clinic-c@1: "), "{finding}");
        assert!(
            finding.contains("research for dataset 3 was withdrawn at epoch 2, 20"),
            "{finding}"
        );
    }
    // Asked about the one clinic alone, the answer is the same.
    let told = project
        .run(&["verify", "consent", "clinic-c", "--json"])
        .ends(1)
        .json();
    assert_eq!(told["codes"][0], "CW2107", "{told:#}");
}

/// Amounts of a report's only token.
fn earned(report: &Value) -> (Value, impl Fn(&str) -> u128) {
    let income = report["income"].as_array().unwrap();
    assert_eq!(income.len(), 1, "{report:#}");
    let income = income[0].clone();
    let of = income.clone();
    (income, move |name: &str| {
        of[name].as_str().unwrap().parse().unwrap()
    })
}

/// What a report says is what was paid: to the last unit, before and after it moves, and over JSON-RPC.
#[test]
fn a_report_says_who_used_the_data_for_what_and_what_it_earned() {
    let project = Project::new();
    project.json(&["dataset", "publish"]);
    let nothing = project.json(&["consent", "report", "clinic-a"]);
    assert_eq!(nothing["runs"], Value::Array(Vec::new()));
    assert_eq!(nothing["income"], Value::Array(Vec::new()));

    let trained = project.json(&["train"]);
    let report = project.json(&["consent", "report", "clinic-a"]);
    let run = &report["runs"][0];
    assert_eq!((&run["run"], &run["purpose"]), (&1.into(), &"research".into()));
    assert_eq!(
        (&run["model"], &run["not_allowed"]),
        (&"tumour@1".into(), &0.into())
    );
    assert_eq!(run["reward"], trained["members"][0]["reward"]);
    let rounds: Vec<&Value> = run["uses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|used| &used["round"])
        .collect();
    assert_eq!(rounds, [&Value::Null, &1.into(), &2.into(), &3.into()]);
    assert_eq!(report["models"], serde_json::json!(["tumour@1"]));
    let (income, amount) = earned(&report);
    assert_eq!(income["rewards"], trained["members"][0]["reward"]);
    assert_eq!((amount("rewards_paid"), amount("royalties")), (0, 0));
    project.json(&["claim"]);

    // An odd amount, so that every share is rounded.
    pay_for_use(&project, Amount(999_999_999_999_999_937));
    let clinics = ["clinic-a", "clinic-b", "clinic-c", "clinic-d"];
    let reports = || clinics.map(|clinic| project.json(&["consent", "report", clinic]));
    let coming: Vec<u128> = reports()
        .iter()
        .map(|report| earned(report).1("royalties_on_their_way"))
        .collect();
    let claims = project.json(&["claim"]);
    let paid = |name: &str| -> u128 {
        let claims = claims["claims"].as_array().unwrap();
        let claim = claims.iter().find(|claim| claim["to"] == name);
        claim.map_or(0, |claim| claim["amount"].as_str().unwrap().parse().unwrap())
    };
    for ((clinic, report), coming) in clinics.iter().zip(reports()).zip(coming) {
        let (income, amount) = earned(&report);
        assert_eq!(income["balances"], true, "{report:#}");
        assert_eq!(amount("rewards"), amount("rewards_paid"));
        assert_eq!(amount("royalties"), paid(clinic), "{report:#}");
        assert_eq!(amount("royalties_paid"), paid(clinic));
        assert_eq!(coming, paid(clinic));
        assert_eq!(
            (amount("royalties_on_their_way"), amount("royalties_pending")),
            (0, 0)
        );
        // A clinic that contributed nothing is no parent of the model.
        let through = income["royalties_through"].as_array().unwrap();
        assert!(
            through
                .iter()
                .all(|one| one["name"] == "tumour@1" && one["settlements"] == 1)
        );
        assert_eq!(through.is_empty(), paid(clinic) == 0);
    }
    assert!(clinics.iter().map(|clinic| paid(clinic)).sum::<u128>() > 0);

    let here = project.json(&["consent", "report", "clinic-a"]);
    let table = project.run(&["consent", "report", "clinic-a"]).ends(0).stdout;
    assert!(
        table.contains("research") && table.contains("tumour@1"),
        "{table}"
    );
    let (node, line) = project.start(&["node", "start", "--port", "0"]);
    let url = line
        .split_whitespace()
        .find(|word| word.starts_with("http://"))
        .unwrap()
        .to_owned();
    let there = project.json(&["consent", "report", "clinic-a", "--network", &url]);
    drop(node);
    assert_eq!(there, here);
}

fn pay_for_use(project: &Project, amount: Amount) {
    let state = project.path().join(".counterweight");
    let chain = EmbeddedChain::open(&state.join("chain"), Genesis::development(), Config::default()).unwrap();
    let deployment = Deployment::load(&state.join("deployments/local.json")).unwrap();
    let token = deployment.development_token.unwrap();
    let deployer = Arc::new(development_key(0, 31_337).unwrap());
    let payer = ContractLedger::new(Arc::new(chain), deployment, deployer);
    let mut assets = payer.asset_records().unwrap().into_iter();
    let model = assets
        .rfind(|record| record.asset.kind == AssetKind::Model)
        .unwrap();
    payer.mint_development_tokens(payer.account(), amount).unwrap();
    payer.pay(model.id, token, amount, [0; 32]).unwrap();
}

/// A token's metadata is a file like any other; the chain says where it is, and tells galleries when to look again.
#[test]
fn a_token_shows_its_lineage_and_points_where_it_is_told() {
    let project = Project::new();
    project.edit("rounds = 3", "rounds = 1");
    project.json(&["train"]);
    let exported = project.json(&["model", "export", "tumour", "--format", "nft"]);
    let file = exported["file"].as_str().unwrap();
    let bytes = fs::read(project.path().join(file)).unwrap();
    let metadata: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(metadata["name"], "tumour@1");
    assert_eq!(
        metadata["properties"]["content"],
        project.json(&["model", "show", "tumour"])["content"]
    );
    project.json(&["model", "export", "tumour", "--format", "svg"]);
    let svg = fs::read_to_string(project.path().join("tumour-1.svg")).unwrap();
    assert!(svg.contains(">clinic-a<") && svg.ends_with("</svg>\n"), "{svg}");

    let address = exported["ipfs"].as_str().unwrap();
    assert!(address.starts_with("ipfs://bafkrei"), "{address}");
    assert_eq!(project.json(&["model", "link", "tumour", address])["sent"], true);
    assert_eq!(project.json(&["model", "show", "tumour"])["uri"], address);
    project.json(&["dataset", "link", "clinic-b", "https://example.com/clinic-b.json"]);
    for (uri, status) in [("ftp://example.com/1", 2), ("https://example.com/a b", 2)] {
        assert_eq!(
            project.error(&["model", "link", "tumour", uri], status)["code"],
            "CW1004"
        );
    }
    // Nobody but the owner: development account 2 is clinic-b's.
    let refused = project.error(&["model", "link", "tumour", address, "--key", "dev-2"], 4);
    assert!(
        refused["message"]
            .to_string()
            .contains("ERC721InsufficientApproval"),
        "{refused:#}"
    );
}
