use alloy_consensus::TxLegacy;
use alloy_primitives::{U64, keccak256};
use alloy_sol_types::{SolError, SolEvent};

use super::*;

#[test]
fn the_chain_introduces_itself() {
    let node = Node::new();
    assert_eq!(node.ask("eth_chainId", json!([])), "0x7a69");
    assert_eq!(node.ask("net_version", json!([])), "31337");
    assert_eq!(node.ask("eth_blockNumber", json!([])), "0x0");
    assert_eq!(node.ask("eth_syncing", json!([])), false);
    assert_eq!(node.ask("eth_accounts", json!([])), json!([]));
    assert!(
        node.ask("web3_clientVersion", json!([]))
            .as_str()
            .unwrap()
            .starts_with("Counterweight/v")
    );
}

#[test]
fn a_transaction_is_found_by_hash_and_place_with_its_receipt() {
    let node = Node::new();
    let (from, to) = (node.account(0), node.account(1));
    let hash = node.send(0, to.into(), 5, Bytes::new());
    let transaction = node.ask("eth_getTransactionByHash", json!([hash]));
    assert_eq!(transaction["from"], json!(from));
    assert_eq!(transaction["value"], "0x5");
    assert_eq!(transaction["type"], "0x2");
    assert_eq!(transaction["blockNumber"], "0x1");
    assert_eq!(
        node.ask("eth_getTransactionByBlockNumberAndIndex", json!(["0x1", "0x0"])),
        transaction
    );
    let receipt = node.receipt(hash);
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(receipt["gasUsed"], "0x5208");
    assert_eq!(receipt["to"], json!(to));
    assert_eq!(receipt["blockHash"], transaction["blockHash"]);
    let block_hash = &receipt["blockHash"];
    assert_eq!(
        node.ask(
            "eth_getTransactionByBlockHashAndIndex",
            json!([block_hash, "0x0"])
        ),
        transaction
    );
    assert_eq!(
        node.ask("eth_getBlockReceipts", json!(["latest"])),
        json!([receipt])
    );
    assert_eq!(
        node.ask("eth_getBlockTransactionCountByNumber", json!(["latest"])),
        "0x1"
    );
    assert_eq!(
        node.ask("eth_getBlockTransactionCountByHash", json!([block_hash])),
        "0x1"
    );
    let raw: Bytes = serde_json::from_value(node.ask("eth_getRawTransactionByHash", json!([hash]))).unwrap();
    assert_eq!(keccak256(raw), hash);
}

#[test]
fn a_legacy_transaction_stays_one() {
    let node = Node::new();
    let transaction = TypedTransaction::Legacy(TxLegacy {
        chain_id: Some(31_337),
        gas_limit: 21_000,
        gas_price: 10_000_000_000,
        to: node.account(1).into(),
        ..TxLegacy::default()
    });
    let signature = node.accounts[0]
        .signer
        .sign_hash_sync(&transaction.signature_hash())
        .unwrap();
    let raw = Bytes::from(TxEnvelope::from(transaction.into_signed(signature)).encoded_2718());
    let hash: B256 = serde_json::from_value(node.ask("eth_sendRawTransaction", json!([raw]))).unwrap();
    assert_eq!(node.receipt(hash)["type"], "0x0");
    let found = node.ask("eth_getTransactionByHash", json!([hash]));
    assert_eq!(found["gasPrice"], "0x2540be400");
    assert!(found.get("maxFeePerGas").is_none());
}

#[test]
fn blocks_are_given_with_hashes_or_whole_transactions_by_every_name() {
    let node = Node::new();
    let hash = node.send(0, node.account(1).into(), 1, Bytes::new());
    let block = node.ask("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!(block["transactions"], json!([hash]));
    for name in ["0x1", "safe", "finalized", "pending"] {
        assert_eq!(
            node.ask("eth_getBlockByNumber", json!([name, false])),
            block,
            "{name}"
        );
    }
    let whole = node.ask("eth_getBlockByHash", json!([block["hash"], true]));
    assert_eq!(
        whole["transactions"][0],
        node.ask("eth_getTransactionByHash", json!([hash]))
    );
    assert_eq!(
        node.ask("eth_getBlockByNumber", json!(["earliest", false]))["number"],
        "0x0"
    );
    assert_eq!(
        node.ask("eth_getBlockByNumber", json!(["0x2", false])),
        Value::Null
    );
    assert_eq!(
        node.ask("eth_getBlockByHash", json!([B256::repeat_byte(7), false])),
        Value::Null
    );
}

#[test]
fn a_blocks_size_is_that_of_its_encoding() {
    use alloy_consensus::{Block, BlockBody};
    use alloy_eips::eip4895::Withdrawals;
    use alloy_rlp::Encodable;
    let node = Node::new();
    for _ in 0..3 {
        node.token();
    }
    for number in 0..=3 {
        let stored = node
            .chain
            .block(crate::embedded::BlockTag::Number(number))
            .unwrap()
            .unwrap();
        let body = BlockBody {
            transactions: stored.transactions.clone(),
            ommers: vec![],
            withdrawals: stored.header.withdrawals_root.map(|_| Withdrawals::default()),
        };
        let size = Block {
            header: stored.header.inner().clone(),
            body,
        }
        .length() as u64;
        let block = node.ask("eth_getBlockByNumber", json!([U64::from(number), false]));
        assert_eq!(quantity(&block["size"]), size);
    }
}

#[test]
fn state_is_read_at_past_blocks_by_number_and_hash() {
    let node = Node::new();
    let token = node.token();
    let holder = node.account(3);
    let first: Value = node.receipt(node.mint(token, holder, 5));
    node.mint(token, holder, 6);
    let balance = |at: Value| {
        let answer = node.ask("eth_call", json!([{"to": token, "data": balance_of(holder)}, at]));
        U256::from_str_radix(answer.as_str().unwrap().trim_start_matches("0x"), 16)
            .unwrap()
            .to::<u64>()
    };
    assert_eq!(balance(json!("latest")), 11);
    assert_eq!(balance(json!("pending")), 11);
    assert_eq!(balance(first["blockNumber"].clone()), 5);
    assert_eq!(balance(first["blockHash"].clone()), 5);
    assert_eq!(
        balance(json!({"blockHash": first["blockHash"], "requireCanonical": true})),
        5
    );
    assert_eq!(balance(json!({"blockNumber": "0x1"})), 0);
    assert_eq!(node.ask("eth_getCode", json!([token, "earliest"])), "0x");
    assert_ne!(node.ask("eth_getCode", json!([token])), "0x");
    assert_eq!(
        node.ask("eth_getTransactionCount", json!([node.account(0), "0x1"])),
        "0x1"
    );
    assert_eq!(
        node.ask("eth_getTransactionCount", json!([node.account(0)])),
        "0x3"
    );
    let supply = node.ask("eth_getStorageAt", json!([token, "0x2", "latest"]));
    assert_eq!(supply, json!(B256::with_last_byte(11)));
    let (before, after) = (
        json!([node.account(0), "0x2"]),
        json!([node.account(0), "latest"]),
    );
    assert!(node.ask("eth_getBalance", before) != node.ask("eth_getBalance", after));
}

#[test]
fn an_unknown_block_has_no_state() {
    let node = Node::new();
    for at in [json!("0x9"), json!({"blockHash": B256::repeat_byte(9)})] {
        let error = node.refusal("eth_getBalance", json!([node.account(0), at]));
        assert_eq!(error["code"], -32000, "{error}");
        assert_eq!(error["message"], "header not found");
    }
}

#[test]
fn a_revert_carries_its_data_under_code_3() {
    let node = Node::new();
    let token = node.token();
    let stranger = node.account(4);
    let input = Bytes::from(
        mintCall {
            to: stranger,
            amount: U256::from(1),
        }
        .abi_encode(),
    );
    let expected = Bytes::from(NotMinter { caller: stranger }.abi_encode());
    for method in ["eth_call", "eth_estimateGas"] {
        let error = node.refusal(method, json!([{"from": stranger, "to": token, "input": input}]));
        assert_eq!(error["code"], 3);
        assert_eq!(error["message"], "execution reverted");
        assert_eq!(error["data"], json!(expected));
    }
    // Sent all the same, it is included and fails.
    let hash = node.send(4, token.into(), 0, input);
    assert_eq!(node.receipt(hash)["status"], "0x0");
}

#[test]
fn an_estimate_is_enough() {
    let node = Node::new();
    let token = node.token();
    let input = Bytes::from(
        mintCall {
            to: node.account(1),
            amount: U256::from(1),
        }
        .abi_encode(),
    );
    let gas = quantity(&node.ask(
        "eth_estimateGas",
        json!([{"from": node.account(0), "to": token, "data": input}]),
    ));
    let used = quantity(&node.receipt(node.mint(token, node.account(1), 1))["gasUsed"]);
    assert!(gas >= used && gas < used * 3 / 2, "{gas} for {used}");
    let transfer = json!([{"from": node.account(0), "to": node.account(1), "value": "0x1"}, "latest"]);
    assert_eq!(node.ask("eth_estimateGas", transfer), "0x5208");
}

#[test]
fn a_call_can_assume_another_state() {
    let node = Node::new();
    let token = node.token();
    let question = json!({"to": token, "data": balance_of(node.account(1))});
    // PUSH1 7, PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN
    let overrides = json!({token.to_string(): {"code": "0x60075f5260205ff3"}});
    assert_eq!(
        node.ask("eth_call", json!([question, "latest", overrides])),
        json!(B256::with_last_byte(7))
    );
    assert_eq!(
        node.ask("eth_call", json!([question, "latest"])),
        json!(B256::ZERO)
    );
    let whole = json!({token.to_string(): {"state": {}}});
    assert_eq!(
        node.refusal("eth_call", json!([question, "latest", whole]))["code"],
        -32602
    );
    assert_eq!(
        node.refusal("eth_call", json!([question, "latest", {}, {"number": "0x5"}]))["code"],
        -32602
    );
}

#[test]
fn fees_follow_the_blocks() {
    let node = Node::new();
    for _ in 0..3 {
        node.send(0, node.account(1).into(), 1, Bytes::new());
    }
    let tip = quantity(&node.ask("eth_maxPriorityFeePerGas", json!([])));
    let price = quantity(&node.ask("eth_gasPrice", json!([])));
    assert_eq!(price, node.chain.next_base_fee() + tip);
    let history = node.ask("eth_feeHistory", json!(["0x2", "latest", [0, 50, 100]]));
    assert_eq!(history["oldestBlock"], "0x2");
    assert_eq!(history["baseFeePerGas"].as_array().unwrap().len(), 3);
    assert_eq!(quantity(&history["baseFeePerGas"][2]), node.chain.next_base_fee());
    assert_eq!(history["gasUsedRatio"].as_array().unwrap().len(), 2);
    assert_eq!(
        history["reward"],
        json!([
            ["0x3b9aca00", "0x3b9aca00", "0x3b9aca00"],
            ["0x3b9aca00", "0x3b9aca00", "0x3b9aca00"]
        ])
    );
    // More than there is, asked for as a number; an empty block has no tips.
    let all = node.ask("eth_feeHistory", json!([1000, "earliest", [50]]));
    assert_eq!(all["oldestBlock"], "0x0");
    assert_eq!(all["reward"], json!([["0x0"]]));
    assert!(
        node.ask("eth_feeHistory", json!(["0x1", "latest"]))
            .get("reward")
            .is_none_or(Value::is_null)
    );
    assert_eq!(
        node.refusal("eth_feeHistory", json!(["0x1", "latest", [60, 50]]))["code"],
        -32602
    );
    assert_eq!(
        node.refusal("eth_feeHistory", json!(["0x1", "latest", [101]]))["code"],
        -32602
    );
    assert_eq!(
        node.refusal("eth_feeHistory", json!(["0x1", "0x99", []]))["code"],
        -32000
    );
}

#[test]
fn a_refused_transaction_is_refused_in_words_clients_know() {
    let node = Node::new();
    let to = TxKind::from(node.account(1));
    let hash = node.send(0, to, 1, Bytes::new());
    let used = node.signed(0, 0, to, 2, Bytes::new());
    let error = node.refusal("eth_sendRawTransaction", json!([used]));
    assert_eq!(error["code"], -32000);
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("nonce too low: next nonce 1, tx nonce 0"),
        "{error}"
    );
    let known = node.ask("eth_getRawTransactionByHash", json!([hash]));
    let error = node.refusal("eth_sendRawTransaction", json!([known]));
    assert!(
        ["already known", "nonce too low: next nonce 1, tx nonce 0"]
            .contains(&error["message"].as_str().unwrap())
    );
    assert_eq!(
        node.refusal("eth_sendRawTransaction", json!(["0x0102"]))["code"],
        -32000
    );
    assert_eq!(
        node.refusal("eth_sendRawTransaction", json!(["zz"]))["code"],
        -32602
    );
}

#[test]
fn a_transaction_that_waits_is_pending() {
    let node = Node::new();
    let to = TxKind::from(node.account(1));
    let later = node.signed(0, 1, to, 2, Bytes::new());
    let hash = node.ask("eth_sendRawTransaction", json!([later]));
    let found = node.ask("eth_getTransactionByHash", json!([hash]));
    assert_eq!(found["blockNumber"], Value::Null);
    assert_eq!(found["from"], json!(node.account(0)));
    assert_eq!(node.ask("eth_getTransactionReceipt", json!([hash])), Value::Null);
    node.ask(
        "eth_sendRawTransaction",
        json!([node.signed(0, 0, to, 1, Bytes::new())]),
    );
    assert_eq!(
        node.ask("eth_getTransactionReceipt", json!([hash]))["status"],
        "0x1"
    );
}

#[test]
fn receipts_hold_logs_with_their_place() {
    let node = Node::new();
    let token = node.token();
    let hash = node.mint(token, node.account(2), 9);
    let log = &node.receipt(hash)["logs"][0];
    assert_eq!(log["address"], json!(token));
    assert_eq!(log["topics"][0], json!(Transfer::SIGNATURE_HASH));
    assert_eq!(log["logIndex"], "0x0");
    assert_eq!(log["transactionHash"], json!(hash));
    assert_eq!(log["removed"], false);
}

/// The nodes lead from the header's state root to the account, and from its storage root to the slot, as another library walks
/// them; what is not there is proved not to be.
#[test]
fn proofs_lead_from_the_state_root_to_accounts_and_slots() {
    use alloy_trie::{Nibbles, TrieAccount, proof::verify_proof};

    let node = Node::new();
    let contract = node.token();
    node.mint(contract, node.account(0), 5);
    let root: B256 = serde_json::from_value(
        node.ask("eth_getBlockByNumber", json!(["latest", false]))["stateRoot"].clone(),
    )
    .unwrap();
    let absent = Address::repeat_byte(0x77);
    for address in [node.account(0), contract, absent] {
        let proof = node.ask("eth_getProof", json!([address, ["0x2", "0x5"], "latest"]));
        let nodes: Vec<Bytes> = serde_json::from_value(proof["accountProof"].clone()).unwrap();
        let quantity = |value: &serde_json::Value| -> U256 { serde_json::from_value(value.clone()).unwrap() };
        let hash = |value: &serde_json::Value| -> B256 { serde_json::from_value(value.clone()).unwrap() };
        let account = TrieAccount {
            nonce: quantity(&proof["nonce"]).to(),
            balance: quantity(&proof["balance"]),
            storage_root: hash(&proof["storageHash"]),
            code_hash: hash(&proof["codeHash"]),
        };
        let expected = (address != absent).then(|| alloy_rlp::encode(account));
        verify_proof(root, Nibbles::unpack(keccak256(address)), expected, &nodes).unwrap();
        assert_eq!(
            proof["balance"],
            node.ask("eth_getBalance", json!([address, "latest"]))
        );
        for (place, slot) in ["0x2", "0x5"].iter().enumerate() {
            let found = &proof["storageProof"][place];
            assert_eq!(found["key"], *slot);
            let value = quantity(&found["value"]);
            let nodes: Vec<Bytes> = serde_json::from_value(found["proof"].clone()).unwrap();
            let key = Nibbles::unpack(keccak256(B256::from(quantity(&json!(slot)))));
            let value = (!value.is_zero()).then(|| alloy_rlp::encode(value));
            verify_proof(account.storage_root, key, value, &nodes).unwrap();
        }
        // One node changed, and it leads nowhere.
        let mut spoiled: Vec<Vec<u8>> = nodes.iter().map(|node| node.to_vec()).collect();
        spoiled[0][3] ^= 1;
        let spoiled: Vec<Bytes> = spoiled.into_iter().map(Bytes::from).collect();
        let expected = (address != absent).then(|| alloy_rlp::encode(account));
        assert!(verify_proof(root, Nibbles::unpack(keccak256(address)), expected, &spoiled).is_err());
        assert!(
            nodes
                .first()
                .is_some_and(|node| alloy_rlp::Header::decode(&mut &node[..]).is_ok())
        );
    }
    // Older tries are not kept.
    assert!(node.refusal("eth_getProof", json!([contract, [], "0x0"]))["message"].is_string());
}
