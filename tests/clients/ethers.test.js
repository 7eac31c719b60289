// ethers 6 against the node.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Contract, ContractFactory, Interface, JsonRpcProvider, Wallet, WebSocketProvider, isError, keccak256, parseEther } from "ethers";
import { accounts, keys, startNode, token } from "./node.js";

let node, provider, wallet, contract, deployed;

before(async () => {
  node = await startNode();
  // Without a cache, since a block is made for each transaction: ethers would reuse a nonce for 250 ms.
  provider = new JsonRpcProvider(node.url, undefined, { cacheTimeout: -1, pollingInterval: 50 });
  wallet = new Wallet(keys[0], provider);
  contract = await new ContractFactory(token.abi, token.bytecode, wallet).deploy();
  deployed = await contract.deploymentTransaction().wait();
});

after(async () => {
  provider?.destroy();
  await node?.stop();
});

test("a token is deployed and its receipt says where", async () => {
  assert.equal(deployed.status, 1);
  assert.equal(deployed.contractAddress, await contract.getAddress());
  assert.equal(await contract.minter(), accounts[0]);
  assert.notEqual(await provider.getCode(deployed.contractAddress), "0x");
});

test("a transfer is waited for and its event is in the receipt", async () => {
  await (await contract.mint(accounts[0], 1000n)).wait();
  const receipt = await (await contract.transfer(accounts[1], 250n)).wait();
  assert.equal(receipt.logs.length, 1);
  assert.equal(receipt.logs[0].fragment.name, "Transfer");
  assert.deepEqual([...receipt.logs[0].args], [accounts[0], accounts[1], 250n]);
  assert.equal(await contract.balanceOf(accounts[1]), 250n);
  const sent = await provider.getTransaction(receipt.hash);
  assert.equal(sent.from, accounts[0]);
  assert.equal(sent.blockNumber, receipt.blockNumber);
});

test("a proof of state begins at the block's state root", async () => {
  const address = await contract.getAddress();
  const proof = await provider.send("eth_getProof", [address, ["0x0", "0x1"], "latest"]);
  const block = await provider.send("eth_getBlockByNumber", ["latest", false]);
  assert.equal(keccak256(proof.accountProof[0]), block.stateRoot);
  assert.equal(keccak256(await provider.getCode(address)), proof.codeHash);
  for (const { key, value, proof: nodes } of proof.storageProof) {
    assert.equal(keccak256(nodes[0]), proof.storageHash);
    assert.equal(BigInt(value), BigInt(await provider.getStorage(address, key)));
  }
});

test("events are found by query, and a filter tells of new ones", async () => {
  await (await contract.mint(accounts[0], 10n)).wait();
  const told = new Promise((resolve) => contract.once("Transfer", (from, to, value) => resolve([from, to, value])));
  // `once` installs its filter asynchronously.
  await provider.getBlockNumber();
  await new Promise((resolve) => setTimeout(resolve, 100));
  const receipt = await (await contract.transfer(accounts[2], 7n)).wait();
  assert.deepEqual(await told, [accounts[0], accounts[2], 7n]);
  const found = await contract.queryFilter(contract.filters.Transfer(null, accounts[2]), 0, "latest");
  assert.equal(found.at(-1).transactionHash, receipt.hash);
  const inBlock = await provider.getLogs({ blockHash: receipt.blockHash, address: await contract.getAddress() });
  assert.equal(inBlock.length, 1);
});

test("a custom error is decoded from a call, an estimate and a sent transaction", async () => {
  const other = contract.connect(new Wallet(keys[1], provider));
  for (const attempt of [
    () => other.mint.staticCall(accounts[1], 1n),
    () => other.mint.estimateGas(accounts[1], 1n),
    () => other.mint(accounts[1], 1n),
  ]) {
    await assert.rejects(attempt, (error) => {
      assert.ok(isError(error, "CALL_EXCEPTION"));
      assert.equal(error.revert?.name ?? Interface.from(token.abi).parseError(error.data).name, "NotMinter");
      return true;
    });
  }
  const sent = await other.mint(accounts[1], 1n, { gasLimit: 100_000n });
  await assert.rejects(() => sent.wait(), (error) => isError(error, "CALL_EXCEPTION") && error.receipt.status === 0);
});

test("legacy, access-list and EIP-1559 transactions are included as what they are", async () => {
  for (const fields of [
    { type: 0, gasPrice: (await provider.getFeeData()).gasPrice },
    { type: 1, gasPrice: (await provider.getFeeData()).gasPrice, accessList: [] },
    { type: 2 },
  ]) {
    const receipt = await (await wallet.sendTransaction({ to: accounts[1], value: 1n, ...fields })).wait();
    assert.equal(receipt.type, fields.type);
    assert.equal(receipt.gasUsed, 21_000n);
    assert.equal((await provider.getTransaction(receipt.hash)).type, fields.type);
  }
});

test("a call at a past block sees the past", async () => {
  const mint = await (await contract.mint(accounts[2], 5n)).wait();
  const before = await contract.balanceOf(accounts[2], { blockTag: mint.blockNumber - 1 });
  assert.equal(await contract.balanceOf(accounts[2], { blockTag: mint.blockNumber }), before + 5n);
  const balance = await provider.getBalance(accounts[0], mint.blockNumber - 1);
  assert.ok(balance > (await provider.getBalance(accounts[0], mint.blockNumber)));
});

test("fees, the network and blocks are understood", async () => {
  assert.equal((await provider.getNetwork()).chainId, 31337n);
  const fees = await provider.getFeeData();
  assert.ok(fees.maxFeePerGas > 0n && fees.gasPrice > 0n);
  const history = await provider.send("eth_feeHistory", ["0x2", "latest", [25, 75]]);
  assert.equal(history.baseFeePerGas.length, 3);
  assert.equal(history.reward.length, 2);
  const block = await provider.getBlock("latest", true);
  assert.equal(block.prefetchedTransactions.length, block.length);
  for (const tag of ["earliest", "safe", "finalized", "pending"]) assert.ok(await provider.getBlock(tag), tag);
});

test("the chain's refusals have ethers' own codes", async () => {
  const nonce = await wallet.getNonce();
  await assert.rejects(
    () => wallet.sendTransaction({ to: accounts[1], nonce: nonce - 1, gasLimit: 21_000n }),
    (error) => isError(error, "NONCE_EXPIRED"),
  );
  const poor = Wallet.createRandom(provider);
  await assert.rejects(
    () => poor.sendTransaction({ to: accounts[1], value: parseEther("1"), gasLimit: 21_000n }),
    (error) => isError(error, "INSUFFICIENT_FUNDS"),
  );
});

test("a WebSocket tells of heads, logs and pending transactions", async () => {
  const socket = new WebSocketProvider(node.ws);
  try {
    const listening = new Contract(await contract.getAddress(), token.abi, socket);
    const head = new Promise((resolve) => socket.once("block", resolve));
    const pending = new Promise((resolve) => socket.once("pending", resolve));
    const event = new Promise((resolve) => listening.once("Transfer", (...args) => resolve(args.at(-1).log)));
    await new Promise((resolve) => setTimeout(resolve, 200));
    const receipt = await (await contract.mint(accounts[1], 3n)).wait();
    assert.equal(await head, receipt.blockNumber);
    assert.equal((await event).transactionHash, receipt.hash);
    assert.equal(await pending, receipt.hash);
    // ethers unsubscribes in the background; requests are answered in order, so after these two that is done.
    await socket.send("eth_chainId", []);
    await socket.send("eth_chainId", []);
  } finally {
    await socket.destroy();
  }
});
