use super::*;

fn node() -> Node {
    Node::with(Options {
        development: true,
        ..Options::default()
    })
}

#[test]
fn development_accounts_sign_and_send() {
    let node = node();
    let accounts = node.ask("eth_accounts", json!([]));
    assert_eq!(accounts.as_array().unwrap().len(), 20);
    assert_eq!(accounts[0], json!(node.account(0)));
    for extra in [
        json!({}),
        json!({"gasPrice": "0x77359400"}),
        json!({"maxFeePerGas": "0x77359400"}),
        json!({"gas": "0x5208"}),
    ] {
        let mut transaction = json!({"from": node.account(0), "to": node.account(1), "value": "0x1"});
        transaction
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let hash = serde_json::from_value(node.ask("eth_sendTransaction", json!([transaction]))).unwrap();
        assert_eq!(node.receipt(hash)["status"], "0x1", "{transaction}");
    }
    let signature: Bytes =
        serde_json::from_value(node.ask("personal_sign", json!(["0x6869", node.account(0)]))).unwrap();
    let signature = alloy_primitives::Signature::from_raw(&signature).unwrap();
    assert_eq!(signature.recover_address_from_msg("hi").unwrap(), node.account(0));
    let stranger = json!([{"from": Address::repeat_byte(9), "to": node.account(1)}]);
    assert_eq!(node.refusal("eth_sendTransaction", stranger)["code"], -32000);
}

#[test]
fn a_transaction_that_would_revert_is_not_sent() {
    let node = node();
    let token = node.token();
    let data = Bytes::from(
        mintCall {
            to: token,
            amount: U256::from(1),
        }
        .abi_encode(),
    );
    let error = node.refusal(
        "eth_sendTransaction",
        json!([{"from": node.account(1), "to": token, "data": data}]),
    );
    assert_eq!(error["code"], 3);
}

#[test]
fn blocks_and_time_move_on_demand() {
    let node = node();
    node.ask("evm_mine", json!([]));
    node.ask("anvil_mine", json!(["0x3", "0xa"]));
    assert_eq!(node.ask("eth_blockNumber", json!([])), "0x4");
    let time = |name: &str| quantity(&node.ask("eth_getBlockByNumber", json!([name, false]))["timestamp"]);
    assert_eq!(time("0x4"), time("0x3") + 10);
    let next = time("latest") + 100_000;
    node.ask("evm_setNextBlockTimestamp", json!([next]));
    node.ask("evm_mine", json!([]));
    assert_eq!(time("latest"), next);
    node.ask("evm_increaseTime", json!([1_000]));
    node.ask("evm_mine", json!([]));
    assert!(time("latest") >= next + 1_000);
    assert_eq!(
        node.refusal("evm_setNextBlockTimestamp", json!([1]))["code"],
        -32000
    );
    assert_eq!(node.refusal("anvil_mine", json!([1_000_000]))["code"], -32005);
    assert_eq!(
        node.refusal("anvil_setBalance", json!([node.account(0), "0x1"]))["code"],
        -32601
    );
}
