// Foundry's cast against the node.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { accounts, foundry, keys, startNode, token } from "./node.js";

let node, address;

/** Runs cast and gives what it prints. */
async function cast(...args) {
  const [command, ...rest] = args;
  const { stdout } = await promisify(execFile)(foundry("cast"), [command, "--rpc-url", node.url, ...rest]);
  return stdout.trim();
}

async function send(...args) {
  return JSON.parse(await cast("send", "--json", "--private-key", keys[0], ...args));
}

before(async () => {
  node = await startNode();
  const receipt = await send("--create", token.bytecode);
  assert.equal(receipt.status, "0x1");
  address = receipt.contractAddress;
});

after(() => node?.stop());

test("send, call, receipt and logs agree", async () => {
  const sent = await send(address, "mint(address,uint256)", accounts[1], "12");
  assert.equal(sent.status, "0x1");
  assert.equal((await cast("call", address, "balanceOf(address)(uint256)", accounts[1])).split(" ")[0], "12");
  const receipt = JSON.parse(await cast("receipt", "--json", sent.transactionHash));
  assert.equal(receipt.blockNumber, sent.blockNumber);
  assert.equal(receipt.logs.length, 1);
  const logs = JSON.parse(
    await cast("logs", "--json", "--address", address, "--from-block", "0", "Transfer(address,address,uint256)"),
  );
  assert.equal(logs.at(-1).transactionHash, sent.transactionHash);
});

test("legacy transactions, estimates, past blocks and fees work", async () => {
  const sent = await send("--legacy", address, "mint(address,uint256)", accounts[2], "3");
  assert.equal(sent.type, "0x0");
  const before = (BigInt(sent.blockNumber) - 1n).toString();
  assert.equal(await cast("call", "--block", before, address, "balanceOf(address)(uint256)", accounts[2]), "0");
  const gas = await cast("estimate", "--from", accounts[0], address, "mint(address,uint256)", accounts[2], "3");
  assert.ok(Number(gas) > 21_000);
  assert.equal(await cast("chain-id"), "31337");
  assert.ok(BigInt(await cast("gas-price")) > 0n);
  assert.ok(BigInt(await cast("storage", address, "2")) > 0n, "the token's total supply is in slot 2");
});

test("a revert is shown with its data", async () => {
  await assert.rejects(
    () => cast("call", "--from", accounts[1], address, "mint(address,uint256)", accounts[1], "3"),
    // NotMinter(address)
    (error) => /execution reverted/.test(error.stderr) && error.stderr.toLowerCase().includes(accounts[1].slice(2).toLowerCase()),
  );
});
