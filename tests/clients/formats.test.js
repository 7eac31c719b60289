// Responses beside anvil's: the same fields, of the same kind. Values that depend on the chain's history may differ.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ContractFactory, Interface, JsonRpcProvider, Transaction, Wallet, getCreateAddress } from "ethers";
import { accounts, keys, request, startAnvil, startNode, token } from "./node.js";

const abi = Interface.from(token.abi);
let ours, anvil;
let hashes, address;

// Signed once, sent to both: a deployment, a mint and a legacy transfer.
before(async () => {
  ours = await startNode();
  anvil = await startAnvil("--hardfork", "osaka");
  const wallet = new Wallet(keys[0]);
  const fees = { type: 2, chainId: 31337, maxFeePerGas: 4_000_000_000n, maxPriorityFeePerGas: 1_000_000_000n };
  const deployment = await new ContractFactory(token.abi, token.bytecode).getDeployTransaction();
  const signed = [await wallet.signTransaction({ ...deployment, ...fees, nonce: 0, gasLimit: 3_000_000n })];
  address = getCreateAddress({ from: accounts[0], nonce: 0 });
  const data = abi.encodeFunctionData("mint", [accounts[1], 5n]);
  signed.push(await wallet.signTransaction({ ...fees, nonce: 1, gasLimit: 200_000n, to: address, data }));
  signed.push(await wallet.signTransaction({ type: 0, chainId: 31337, nonce: 2, gasLimit: 21_000n, gasPrice: 4_000_000_000n, to: accounts[1], value: 1n }));
  hashes = signed.map((raw) => Transaction.from(raw).hash);
  for (const { url } of [ours, anvil]) {
    for (const raw of signed) {
      const { result, error } = await request(url, "eth_sendRawTransaction", raw);
      assert.ok(result, JSON.stringify(error));
      await new JsonRpcProvider(url, 31337, { staticNetwork: true }).waitForTransaction(result);
    }
  }
});

after(() => Promise.all([ours?.stop(), anvil?.stop()]));

/** What a value looks like: field names and the kind of each. */
function shape(value) {
  if (Array.isArray(value)) return value.map(shape);
  if (value === null || typeof value !== "object") {
    if (typeof value !== "string") return value === null ? "null" : typeof value;
    if (/^0x(0|[1-9a-f][0-9a-f]*)?$/.test(value) && value.length < 40) return "quantity or short data";
    return /^0x[0-9a-f]+$/.test(value) ? `data of ${(value.length - 2) / 2} bytes` : "text";
  }
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shape(member)]).sort());
}

/** Asks both nodes and compares shapes, and the named fields by value. */
async function alike(method, params, { same = [], without = [] } = {}) {
  const [mine, theirs] = await Promise.all([request(ours.url, method, ...params), request(anvil.url, method, ...params)]);
  for (const answer of [mine, theirs]) {
    for (const field of without) if (answer.result) delete answer.result[field];
  }
  assert.deepEqual(shape(mine), shape(theirs), `${method}: ${JSON.stringify(mine)} against ${JSON.stringify(theirs)}`);
  for (const field of same) assert.deepEqual(mine.result[field], theirs.result[field], `${method}: ${field}`);
  return [mine.result, theirs.result];
}

test("receipts have the same fields, gas, status and logs", async () => {
  for (const hash of hashes) {
    const same = ["status", "gasUsed", "cumulativeGasUsed", "contractAddress", "from", "to", "type", "logsBloom", "transactionHash", "transactionIndex"];
    // Additions of anvil's, which the execution API does not know.
    const without = ["blobGasPrice", "blockTimestamp"];
    const [mine, theirs] = await alike("eth_getTransactionReceipt", [hash], { same, without });
    assert.deepEqual(mine.logs.map((log) => [log.address, log.topics, log.data, log.logIndex]), theirs.logs.map((log) => [log.address, log.topics, log.data, log.logIndex]));
  }
});

test("transactions have the same fields and values", async () => {
  const same = ["hash", "nonce", "from", "to", "value", "input", "gas", "type", "r", "s", "v", "chainId"];
  for (const hash of hashes) await alike("eth_getTransactionByHash", [hash], { same });
});

test("blocks have the same fields", async () => {
  // anvil still sends the total difficulty, which clients no longer read, and may name an empty extra field.
  const options = { same: ["gasUsed", "transactions", "transactionsRoot", "receiptsRoot", "logsBloom", "size"], without: ["totalDifficulty", "blobGasUsed", "extraData"] };
  await alike("eth_getBlockByNumber", ["0x2", false], { ...options, same: options.same.filter((field) => field !== "size") });
  await alike("eth_getBlockByNumber", ["0x3", true], { ...options, same: ["gasUsed", "transactionsRoot", "receiptsRoot"] });
});

test("logs and calls have the same values", async () => {
  const [mine, theirs] = await alike("eth_getLogs", [{ fromBlock: "0x0", toBlock: "latest", address }]);
  assert.deepEqual(mine.map((log) => [log.topics, log.data]), theirs.map((log) => [log.topics, log.data]));
  const balance = abi.encodeFunctionData("balanceOf", [accounts[1]]);
  const [a, b] = await alike("eth_call", [{ to: address, data: balance }, "latest"]);
  assert.equal(a, b);
});

test("simple answers are alike", async () => {
  for (const [method, ...params] of [
    ["eth_chainId"],
    ["net_version"],
    ["eth_blockNumber"],
    ["eth_syncing"],
    ["eth_getBalance", accounts[5 % 3], "latest"],
    ["eth_getTransactionCount", accounts[0], "pending"],
    ["eth_getCode", address, "latest"],
    ["eth_getStorageAt", address, "0x2", "latest"],
    ["eth_getTransactionReceipt", `0x${"11".repeat(32)}`],
    ["eth_getBlockByHash", `0x${"11".repeat(32)}`, false],
  ]) {
    await alike(method, params);
  }
});

test("proofs of state have the same fields and values", async () => {
  // The accounts' trie differs, as the two chains began with other accounts; the token's own storage does not.
  const same = ["address", "balance", "codeHash", "nonce", "storageHash", "storageProof"];
  await alike("eth_getProof", [address, [2, 5].map((slot) => `0x${slot.toString(16).padStart(64, "0")}`), "latest"], { same, without: ["accountProof"] });
});

test("a revert carries the same code and data", async () => {
  const call = { from: accounts[1], to: address, data: abi.encodeFunctionData("mint", [accounts[1], 1n]) };
  for (const method of ["eth_call", "eth_estimateGas"]) {
    const [mine, theirs] = await Promise.all([request(ours.url, method, call), request(anvil.url, method, call)]);
    assert.equal(mine.error.code, theirs.error.code, method);
    assert.equal(mine.error.data, theirs.error.data, method);
    assert.match(mine.error.message, /^execution reverted/);
  }
});

test("what clients must see refused is refused", async () => {
  for (const method of ["eth_fillTransaction", "eth_getAccountInfo", "anvil_nodeInfo", "eth_createAccessList", "eth_sendTransaction", "evm_mine"]) {
    const { error } = await request(ours.url, method, {});
    assert.equal(error.code, -32601, method);
  }
});
