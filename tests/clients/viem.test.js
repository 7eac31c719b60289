// viem 2 against the node.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  BaseError,
  ContractFunctionRevertedError,
  InsufficientFundsError,
  createPublicClient,
  createWalletClient,
  getContract,
  http,
  parseEther,
  webSocket,
} from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { foundry as chain } from "viem/chains";
import { accounts, keys, startNode, token } from "./node.js";

const { abi, bytecode } = token;
let node, transport, client, wallet, address;

before(async () => {
  node = await startNode();
  transport = http(node.url, { batch: true });
  client = createPublicClient({ chain, transport, pollingInterval: 50 });
  wallet = createWalletClient({ chain, transport, account: privateKeyToAccount(keys[0]) });
  const hash = await wallet.deployContract({ abi, bytecode });
  const receipt = await client.waitForTransactionReceipt({ hash });
  address = receipt.contractAddress;
});

after(() => node?.stop());

/** Sends a call of the token and waits for its receipt. */
async function send(functionName, args, fields = {}) {
  const hash = await wallet.writeContract({ address, abi, functionName, args, ...fields });
  return client.waitForTransactionReceipt({ hash });
}

test("a proof of state is read", async () => {
  const key = `0x${"2".padStart(64, "0")}`;
  const proof = await client.getProof({ address, storageKeys: [key] });
  assert.equal(proof.nonce, 1);
  assert.ok(proof.accountProof.length > 0);
  assert.equal(proof.storageProof.length, 1);
  const stored = await client.getStorageAt({ address, slot: key });
  assert.equal(proof.storageProof[0].value, BigInt(stored));
});

test("a token is deployed, minted and transferred", async () => {
  const contract = getContract({ address, abi, client });
  const before = await contract.read.balanceOf([accounts[1]]);
  await send("mint", [accounts[0], 1000n]);
  const receipt = await send("transfer", [accounts[1], 40n]);
  assert.equal(receipt.status, "success");
  assert.equal(receipt.type, "eip1559");
  assert.equal(await contract.read.balanceOf([accounts[1]]), before + 40n);
});

test("requests sent together travel as one batch", async () => {
  const [id, number, balance, code] = await Promise.all([
    client.getChainId(),
    client.getBlockNumber(),
    client.getBalance({ address: accounts[0] }),
    client.getCode({ address }),
  ]);
  assert.equal(id, 31337);
  assert.ok(number > 0n && balance > 0n && code.length > 2);
});

test("events are read by getLogs, by a filter and while they come", async () => {
  const filter = await client.createContractEventFilter({ address, abi, eventName: "Transfer" });
  const seen = [];
  const told = new Promise((resolve) => {
    const stop = client.watchContractEvent({
      address,
      abi,
      eventName: "Transfer",
      args: { to: accounts[2] },
      onLogs: (logs) => {
        seen.push(...logs);
        stop();
        resolve();
      },
    });
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  const receipt = await send("mint", [accounts[2], 9n]);
  await told;
  assert.equal(seen[0].transactionHash, receipt.transactionHash);
  assert.equal(seen[0].args.value, 9n);
  const changes = await client.getFilterChanges({ filter });
  assert.equal(changes.at(-1).transactionHash, receipt.transactionHash);
  assert.deepEqual(await client.getFilterChanges({ filter }), []);
  assert.equal(await client.uninstallFilter({ filter }), true);
  const logs = await client.getContractEvents({ address, abi, eventName: "Transfer", fromBlock: 0n });
  assert.equal(logs.at(-1).transactionHash, receipt.transactionHash);
});

test("a custom error is decoded", async () => {
  await assert.rejects(
    () => client.simulateContract({ address, abi, functionName: "mint", args: [accounts[1], 1n], account: accounts[1] }),
    (error) => {
      const revert = error instanceof BaseError && error.walk((one) => one instanceof ContractFunctionRevertedError);
      assert.equal(revert.data.errorName, "NotMinter");
      assert.deepEqual(revert.data.args, [accounts[1]]);
      return true;
    },
  );
});

test("legacy and EIP-1559 transactions are included, gas is estimated and paid for", async () => {
  const gas = await client.estimateContractGas({
    address, abi, functionName: "mint", args: [accounts[1], 1n], account: accounts[0],
  });
  const receipt = await send("mint", [accounts[1], 1n], { gas });
  assert.equal(receipt.status, "success");
  assert.ok(receipt.gasUsed <= gas);
  const legacy = await send("mint", [accounts[1], 1n], { gasPrice: await client.getGasPrice() });
  assert.equal(legacy.type, "legacy");
});

test("state is read at past blocks by number, tag and hash", async () => {
  const receipt = await send("mint", [accounts[1], 2n]);
  const at = (block) => client.readContract({ address, abi, functionName: "balanceOf", args: [accounts[1]], ...block });
  const after = await at({ blockNumber: receipt.blockNumber });
  assert.equal(await at({ blockNumber: receipt.blockNumber - 1n }), after - 2n);
  assert.equal(await at({ blockTag: "finalized" }), after);
  const byHash = await client.request({
    method: "eth_getBalance",
    params: [accounts[0], { blockHash: receipt.blockHash, requireCanonical: true }],
  });
  assert.equal(BigInt(byHash), await client.getBalance({ address: accounts[0], blockNumber: receipt.blockNumber }));
});

test("fee history and block receipts are understood", async () => {
  const history = await client.getFeeHistory({ blockCount: 2, rewardPercentiles: [10, 90] });
  assert.equal(history.baseFeePerGas.length, 3);
  assert.equal(history.reward[0].length, 2);
  assert.ok((await client.estimateFeesPerGas()).maxFeePerGas > 0n);
  const block = await client.getBlock({ includeTransactions: true });
  const receipts = await client.request({ method: "eth_getBlockReceipts", params: [block.hash] });
  assert.deepEqual(receipts.map((one) => one.transactionHash), block.transactions.map((one) => one.hash));
});

test("the chain's refusals are viem's own errors", async () => {
  const account = privateKeyToAccount(generatePrivateKey());
  const poor = createWalletClient({ chain, transport, account });
  await assert.rejects(
    () => poor.sendTransaction({ to: accounts[1], value: parseEther("1"), gas: 21_000n }),
    (error) => Boolean(error.walk((one) => one instanceof InsufficientFundsError)),
  );
});

test("a WebSocket tells of heads, logs and pending transactions", async () => {
  const socket = createPublicClient({ chain, transport: webSocket(node.ws) });
  const stops = [];
  const first = (watch) => new Promise((resolve, reject) => stops.push(watch(resolve, reject)));
  try {
    const head = first((resolve, onError) => socket.watchBlocks({ onBlock: resolve, onError }));
    const logs = first((onLogs, onError) => socket.watchContractEvent({ address, abi, eventName: "Transfer", onLogs, onError }));
    const pending = first((onTransactions, onError) => socket.watchPendingTransactions({ onTransactions, onError }));
    await new Promise((resolve) => setTimeout(resolve, 200));
    const receipt = await send("mint", [accounts[1], 1n]);
    assert.equal((await head).number, receipt.blockNumber);
    assert.equal((await logs)[0].transactionHash, receipt.transactionHash);
    assert.deepEqual(await pending, [receipt.transactionHash]);
  } finally {
    stops.forEach((stop) => stop());
    (await socket.transport.getRpcClient()).close();
  }
});
