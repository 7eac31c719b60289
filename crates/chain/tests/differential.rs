//! The same signed transactions do the same on the embedded chain and on anvil.

mod support;

use std::sync::Arc;

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxLegacy};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex, keccak256};
use alloy_sol_types::{SolCall as _, SolValue as _};
use counterweight_chain::address::to_evm;
use counterweight_chain::contracts::{Contract, IDevelopmentToken, IERC20};
use counterweight_chain::embedded::{Config, EmbeddedChain, Genesis};
use counterweight_chain::network::{At, Network, TransactionSigner};
use serde_json::{Value, json};
use support::{Anvil, key};

/// What is compared of a transaction.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    succeeded: bool,
    gas_used: u64,
    effective_gas_price: u128,
    created: Option<Address>,
    logs: Vec<(Address, Vec<B256>, Bytes)>,
}

struct Pair {
    embedded: Arc<EmbeddedChain>,
    anvil: Anvil,
    nonces: [u64; 10],
}

const CHAIN: u64 = 31_337;
const GAS_PRICE: u128 = 20_000_000_000;

impl Pair {
    fn start() -> Self {
        let genesis = Genesis::development();
        let embedded = Arc::new(EmbeddedChain::in_memory(genesis.clone(), Config::default()).unwrap());
        // anvil takes the fee of the first block after genesis.
        let anvil = Anvil::start_with(&[
            "--hardfork",
            "osaka",
            "--gas-limit",
            &genesis.gas_limit.to_string(),
            "--block-base-fee-per-gas",
            &embedded.next_base_fee().to_string(),
            "--timestamp",
            &genesis.timestamp.to_string(),
        ]);
        Self {
            embedded,
            anvil,
            nonces: [0; 10],
        }
    }

    fn sign<T>(&self, from: u32, transaction: T) -> Bytes
    where
        T: SignableTransaction<Signature> + alloy_consensus::transaction::RlpEcdsaEncodableTx,
        alloy_consensus::Signed<T>: alloy_eips::eip2718::Encodable2718,
    {
        let signature = TransactionSigner::sign_hash(&key(from), transaction.signature_hash()).unwrap();
        transaction.into_signed(signature).encoded_2718().into()
    }

    fn next_nonce(&mut self, from: u32) -> u64 {
        let nonce = &mut self.nonces[from as usize];
        *nonce += 1;
        *nonce - 1
    }

    /// An EIP-1559 transaction.
    fn dynamic(&mut self, from: u32, to: TxKind, value: u64, input: Vec<u8>, gas_limit: u64) -> Bytes {
        let nonce = self.next_nonce(from);
        let transaction = TxEip1559 {
            chain_id: CHAIN,
            nonce,
            gas_limit,
            max_fee_per_gas: GAS_PRICE,
            max_priority_fee_per_gas: 1_000_000,
            to,
            value: U256::from(value),
            access_list: AccessList::default(),
            input: input.into(),
        };
        self.sign(from, transaction)
    }

    /// Sends to both, and gives what both did.
    fn run(&self, what: &str, raw: Bytes) -> Outcome {
        let hash = keccak256(&raw);
        self.embedded
            .submit(raw.clone())
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        let place = self.embedded.transaction(hash).unwrap().unwrap();
        let receipt = &place.block.receipts[place.index];
        let ours = Outcome {
            succeeded: receipt.succeeded,
            gas_used: receipt.gas_used,
            effective_gas_price: receipt.effective_gas_price,
            created: receipt.created,
            logs: receipt
                .logs
                .iter()
                .map(|log| (log.address, log.topics().to_vec(), log.data.data.clone()))
                .collect(),
        };
        let chain = self.anvil.chain();
        chain
            .raw_request("eth_sendRawTransaction", json!([raw]))
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        let receipt = loop {
            let receipt = chain
                .raw_request("eth_getTransactionReceipt", json!([hash]))
                .unwrap();
            if !receipt.is_null() {
                break receipt;
            }
        };
        let theirs = read(&receipt);
        assert_eq!(ours, theirs, "{what}");
        ours
    }

    fn assert_same_balances(&self, accounts: &[Address]) {
        let (ours, theirs): (&dyn Network, &dyn Network) = (&*self.embedded, self.anvil.chain());
        for account in accounts {
            assert_eq!(
                ours.balance(*account, At::Latest).unwrap(),
                theirs.balance(*account, At::Latest).unwrap(),
                "{account}"
            );
            assert_eq!(
                ours.nonce(*account).unwrap(),
                theirs.nonce(*account).unwrap(),
                "{account}"
            );
            assert_eq!(
                ours.code(*account, At::Latest).unwrap(),
                theirs.code(*account, At::Latest).unwrap(),
                "{account}"
            );
        }
    }
}

fn read(receipt: &Value) -> Outcome {
    let number = |value: &Value| {
        u128::from_str_radix(value.as_str().unwrap().strip_prefix("0x").unwrap(), 16).unwrap()
    };
    let logs = receipt["logs"].as_array().unwrap().iter().map(|log| {
        let topics = serde_json::from_value(log["topics"].clone()).unwrap();
        let address = serde_json::from_value(log["address"].clone()).unwrap();
        (
            address,
            topics,
            serde_json::from_value(log["data"].clone()).unwrap(),
        )
    });
    let succeeded = number(&receipt["status"]) == 1;
    Outcome {
        succeeded,
        gas_used: u64::try_from(number(&receipt["gasUsed"])).unwrap(),
        effective_gas_price: number(&receipt["effectiveGasPrice"]),
        // anvil names the address even where nothing was created there.
        created: serde_json::from_value::<Option<Address>>(receipt["contractAddress"].clone())
            .unwrap()
            .filter(|_| succeeded),
        logs: logs.collect(),
    }
}

fn everybody() -> Vec<Address> {
    (0..10).map(|index| to_evm(key(index).account())).collect()
}

#[test]
fn transfers_of_every_type_do_the_same() {
    let mut pair = Pair::start();
    let fresh = Address::repeat_byte(0x77);
    let nonce = pair.next_nonce(0);
    let legacy = TxLegacy {
        chain_id: Some(CHAIN),
        nonce,
        gas_price: GAS_PRICE,
        gas_limit: 21_000,
        to: fresh.into(),
        value: U256::from(5),
        input: Bytes::new(),
    };
    assert_eq!(pair.run("legacy", pair.sign(0, legacy)).gas_used, 21_000);
    let nonce = pair.next_nonce(0);
    let item = AccessListItem {
        address: fresh,
        storage_keys: vec![B256::ZERO, B256::repeat_byte(1)],
    };
    let listed = TxEip2930 {
        chain_id: CHAIN,
        nonce,
        gas_price: GAS_PRICE,
        gas_limit: 100_000,
        to: fresh.into(),
        value: U256::from(5),
        access_list: AccessList(vec![item]),
        input: Bytes::new(),
    };
    pair.run("access list", pair.sign(0, listed));
    let raw = pair.dynamic(1, fresh.into(), 7, Vec::new(), 30_000);
    pair.run("dynamic fee", raw);
    // EIP-7623: calldata has a floor price.
    let raw = pair.dynamic(1, fresh.into(), 0, vec![1; 2_000], 200_000);
    pair.run("calldata floor", raw);
    pair.assert_same_balances(&[everybody(), vec![fresh, Address::ZERO]].concat());
}

#[test]
fn deployments_calls_events_and_reverts_do_the_same() {
    let mut pair = Pair::start();
    for contract in Contract::ALL {
        // These are made by others with arguments; here only creation itself is of interest, be it refused.
        let creation = contract.artifact().creation.to_vec();
        let raw = pair.dynamic(2, TxKind::Create, 0, creation, 8_000_000);
        pair.run(contract.name(), raw);
    }
    let creation = Contract::DevelopmentToken.artifact().creation.to_vec();
    let raw = pair.dynamic(0, TxKind::Create, 0, creation, 3_000_000);
    let token = pair.run("token", raw).created.unwrap();
    let other = to_evm(key(1).account());
    let mint = IDevelopmentToken::mintCall {
        to: to_evm(key(0).account()),
        value: U256::from(100),
    };
    let raw = pair.dynamic(0, token.into(), 0, mint.abi_encode(), 200_000);
    assert_eq!(pair.run("mint", raw).logs.len(), 1);
    let raw = pair.dynamic(1, token.into(), 0, mint.abi_encode(), 200_000);
    assert!(!pair.run("mint by a stranger", raw).succeeded);
    for (what, value) in [
        ("transfer", 40_u64),
        ("transfer the rest", 60),
        ("transfer too much", 1),
    ] {
        let call = IERC20::transferCall {
            to: other,
            value: U256::from(value),
        };
        let raw = pair.dynamic(0, token.into(), 0, call.abi_encode(), 200_000);
        assert_eq!(pair.run(what, raw).succeeded, value > 1);
    }
    // Clearing a slot gives gas back.
    let back = IERC20::transferCall {
        to: to_evm(key(3).account()),
        value: U256::from(100),
    };
    let raw = pair.dynamic(1, token.into(), 0, back.abi_encode(), 200_000);
    assert!(pair.run("clear a slot", raw).succeeded);
    let raw = pair.dynamic(1, token.into(), 1, back.abi_encode(), 200_000);
    assert!(!pair.run("wei to what takes none", raw).succeeded);
    let raw = pair.dynamic(1, token.into(), 0, back.abi_encode(), 24_000);
    assert!(!pair.run("out of gas", raw).succeeded);
    pair.assert_same_balances(&[everybody(), vec![token]].concat());
}

/// Creation code for a contract with the given code of at most 255 bytes.
fn creation_of(runtime: &[u8]) -> Vec<u8> {
    let size = u8::try_from(runtime.len()).unwrap();
    // PUSH1 size DUP1 PUSH1 11 PUSH1 0 CODECOPY PUSH1 0 RETURN
    let mut code = vec![0x60, size, 0x80, 0x60, 11, 0x60, 0, 0x39, 0x60, 0, 0xf3];
    code.extend(runtime);
    code
}

#[test]
fn creation_destruction_and_new_instructions_do_the_same() {
    let mut pair = Pair::start();
    let mut accounts = everybody();
    for (what, code) in [
        // CREATE2 of nothing, and its address as an event.
        ("create2", hex!("6000600060006000f560005260206000a000").to_vec()),
        ("create", hex!("600060006000f060005260206000a000").to_vec()),
        // CALLER SELFDESTRUCT in the transaction that creates.
        ("selfdestruct at birth", hex!("33ff").to_vec()),
        ("invalid instruction", hex!("fe").to_vec()),
        ("stack underflow", hex!("01").to_vec()),
        // EIP-3541: no code may begin with 0xef.
        ("code that begins with ef", creation_of(&[0xef, 0])),
        // TSTORE, TLOAD, MCOPY, PUSH0 and CLZ, with what they give as an event.
        (
            "transient storage",
            hex!("602a60015d60015c60005260206000a000").to_vec(),
        ),
        (
            "memory copy",
            hex!("602a6000526020600060205e60406000a000").to_vec(),
        ),
        ("count leading zeros", hex!("60011e60005260206000a000").to_vec()),
        (
            "chain id and base fee",
            hex!("46600052486020526040600060005ea000").to_vec(),
        ),
        ("store and clear", hex!("6001600055600060005500").to_vec()),
    ] {
        let raw = pair.dynamic(4, TxKind::Create, 3, code, 1_000_000);
        accounts.extend(pair.run(what, raw).created);
    }
    let raw = pair.dynamic(5, TxKind::Create, 9, creation_of(&hex!("33ff")), 1_000_000);
    let mortal = pair.run("a contract that can be destroyed", raw).created.unwrap();
    let raw = pair.dynamic(6, mortal.into(), 1, Vec::new(), 100_000);
    assert!(pair.run("selfdestruct later", raw).succeeded);
    accounts.push(mortal);
    pair.assert_same_balances(&accounts);
}

#[test]
fn precompiles_do_the_same() {
    let mut pair = Pair::start();
    // Calls the address in the first word of calldata with the rest; logs what comes back, and as topic whether it
    // succeeded.
    let caller = hex!("60203603806020600037600060008260006000355afa3d600060003e3d6000a100");
    let raw = pair.dynamic(7, TxKind::Create, 0, creation_of(&caller), 1_000_000);
    let caller = pair.run("caller", raw).created.unwrap();
    let hash = keccak256(b"hello");
    let signature = TransactionSigner::sign_hash(&key(7), hash).unwrap();
    let recover = (
        hash,
        U256::from(27 + u8::from(signature.v())),
        signature.r(),
        signature.s(),
    )
        .abi_encode();
    let g1 = (U256::from(1), U256::from(2)).abi_encode();
    let modexp = [
        (U256::from(1), U256::from(1), U256::from(1)).abi_encode(),
        vec![3, 5, 7],
    ]
    .concat();
    let blake = [&[0, 0, 0, 12][..], &[0; 208], &[1]].concat();
    for (address, input) in [
        (0x01_u64, recover),
        (0x02, b"hello".to_vec()),
        (0x03, b"hello".to_vec()),
        (0x04, b"hello".to_vec()),
        (0x05, modexp),
        (0x06, [g1.clone(), g1.clone()].concat()),
        (0x07, [g1.clone(), U256::from(9).abi_encode()].concat()),
        (0x08, Vec::new()),
        (0x08, vec![1; 192]),
        (0x09, blake),
        (0x09, vec![0; 3]),
        (0x0a, vec![0; 192]),
        (0x0b, vec![0; 256]),
        (0x0c, vec![0; 160]),
        (0x0d, vec![0; 512]),
        (0x0e, vec![0; 288]),
        (0x0f, vec![0; 384]),
        (0x10, vec![0; 64]),
        (0x11, vec![0; 128]),
        (0x12, vec![0; 32]),
        (0x100, vec![0; 160]),
        (0x100, vec![1; 159]),
    ] {
        let calldata = [U256::from(address).abi_encode(), input].concat();
        let raw = pair.dynamic(7, caller.into(), 0, calldata, 2_000_000);
        let outcome = pair.run(&format!("precompile {address:#x}"), raw);
        assert_eq!(outcome.logs.len(), 1, "{address:#x}");
    }
}

#[test]
fn what_one_refuses_the_other_refuses_too() {
    let mut pair = Pair::start();
    let raw = pair.dynamic(0, Address::ZERO.into(), 1, Vec::new(), 21_000);
    pair.run("first", raw.clone());
    pair.nonces[0] = 0;
    let used = pair.dynamic(0, Address::ZERO.into(), 2, Vec::new(), 21_000);
    let little = pair.dynamic(1, Address::ZERO.into(), 1, Vec::new(), 20_999);
    let mut rich = pair.next_nonce(2);
    let poor = TxEip1559 {
        chain_id: CHAIN,
        nonce: std::mem::take(&mut rich),
        gas_limit: 21_000,
        max_fee_per_gas: GAS_PRICE,
        max_priority_fee_per_gas: 0,
        to: Address::ZERO.into(),
        value: U256::MAX >> 8,
        access_list: AccessList::default(),
        input: Bytes::new(),
    };
    let elsewhere = pair.sign(
        3,
        TxEip1559 {
            chain_id: 1,
            value: U256::ZERO,
            ..poor.clone()
        },
    );
    let upside_down = pair.sign(
        3,
        TxEip1559 {
            max_priority_fee_per_gas: 2 * GAS_PRICE,
            value: U256::ZERO,
            ..poor.clone()
        },
    );
    let poor = pair.sign(2, poor);
    for (what, raw) in [
        ("sent before", raw),
        ("used nonce", used),
        ("too little gas", little),
        ("too little wei", poor),
        ("another chain", elsewhere),
        ("a tip above the fee", upside_down),
        ("no transaction", vec![0x02, 0xc0].into()),
        ("nothing", Bytes::new()),
    ] {
        let theirs = pair
            .anvil
            .chain()
            .raw_request("eth_sendRawTransaction", json!([raw]));
        assert!(theirs.is_err(), "{what}");
        assert!(pair.embedded.submit(raw).is_err(), "{what}");
    }
}
