// What `cw` makes for other contracts, read by ethers: attestations of EAS (EIP-712), calls of EAS and ERC-7007.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { AbiCoder, Interface, ZeroAddress, ZeroHash, hexlify, keccak256, solidityPacked, solidityPackedKeccak256, toUtf8Bytes, verifyTypedData } from "ethers";
import { accounts, binary, root } from "./node.js";

const eas = "0xA1207F3BBa224E2c9c3c6D5aF63D0eb1582Ce587";
let folder, study;

function cw(...args) {
  const env = { ...process.env, CW_HOME: path.join(folder, "home") };
  return execFileSync(binary, args, { cwd: study, env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

before(() => {
  folder = mkdtempSync(path.join(tmpdir(), "cw-attest-"));
  study = path.join(folder, "study");
  cpSync(path.join(root, "examples/breast-cancer"), study, { recursive: true, filter: (from) => !from.includes(".counterweight") });
  const config = path.join(study, "counterweight.toml");
  writeFileSync(config, readFileSync(config, "utf8").replace("rounds = 15", "rounds = 1"));
  cw("train");
});

after(() => rmSync(folder, { recursive: true, force: true }));

test("an attestation off the chain is signed as EIP-712 says, and has EAS's identifier", () => {
  const { attestation, schema } = JSON.parse(cw("model", "attest", "tumour", "--eas", eas, "--output", "-"));
  const { domain, types, message, signature, uid, version } = attestation.sig;
  assert.equal(verifyTypedData(domain, types, message, signature), accounts[0]);
  assert.equal(attestation.signer, accounts[0]);
  assert.equal(domain.verifyingContract, eas);
  // EAS SDK: Offchain.getOffchainUID of version 2.
  const packed = [
    ["uint16", version], ["bytes", hexlify(toUtf8Bytes(message.schema))], ["address", message.recipient], ["address", ZeroAddress],
    ["uint64", message.time], ["uint64", message.expirationTime], ["bool", message.revocable], ["bytes32", message.refUID],
    ["bytes", message.data], ["bytes32", message.salt], ["uint32", 0],
  ];
  assert.equal(uid, solidityPackedKeccak256(packed.map(([type]) => type), packed.map(([, value]) => value)));
  assert.equal(message.schema, schema.id);
  assert.notEqual(verifyTypedData(domain, types, { ...message, time: 1 }, signature), accounts[0]);
});

test("its data are what the schema says, and what the chain holds", () => {
  const { attestation, schema } = JSON.parse(cw("model", "attest", "tumour", "--eas", eas, "--output", "-"));
  const model = JSON.parse(cw("model", "show", "tumour", "--json"));
  const types = schema.text.split(",").map((member) => member.split(" ")[0]);
  const [content, manifest, chain, , asset, version, name] = AbiCoder.defaultAbiCoder().decode(types, attestation.sig.message.data);
  assert.equal(`blake3:${content.slice(2)}`, model.content);
  assert.equal(`blake3:${manifest.slice(2)}`, model.manifest);
  assert.deepEqual([chain, asset, version, name], [31337n, BigInt(model.asset), 1n, "tumour"]);
  assert.equal(schema.id, keccak256(solidityPacked(["string", "address", "bool"], [schema.text, ZeroAddress, true])));
});

test("the calls are those of EAS and its schema registry", () => {
  const { attestation, schema, on_chain: call } = JSON.parse(cw("model", "attest", "tumour", "--eas", eas, "--output", "-"));
  const service = new Interface([
    "function attest((bytes32 schema,(address recipient,uint64 expirationTime,bool revocable,bytes32 refUID,bytes data,uint256 value) data) request)",
    "function register(string schema,address resolver,bool revocable)",
  ]);
  assert.equal(call.to, eas);
  const [request] = service.decodeFunctionData("attest", call.data);
  assert.deepEqual(
    [request.schema, ...request.data],
    [schema.id, ZeroAddress, 0n, true, ZeroHash, attestation.sig.message.data, 0n],
  );
  assert.equal(service.encodeFunctionData("attest", [request]), call.data);
  assert.equal(service.encodeFunctionData("register", [schema.text, ZeroAddress, true]), schema.register_call);
});

test("a proven answer becomes the call of ERC-7007", () => {
  cw("model", "publish", "tumour", "--yes");
  cw("prove", "tumour@1", "--input", "patient.json", "--output", "answer.cwp");
  const exported = JSON.parse(cw("proof", "export", "answer.cwp", "--token", "7", "--json"));
  const token = new Interface(["function addAigcData(uint256 tokenId, bytes prompt, bytes aigcData, bytes proof)"]);
  const args = token.decodeFunctionData("addAigcData", exported.data);
  assert.equal(args.tokenId, 7n);
  assert.equal(args.prompt, exported.prompt);
  assert.equal(args.proof, hexlify(readFileSync(path.join(study, "answer.cwp"))));
  assert.equal(token.encodeFunctionData("addAigcData", args), exported.data);
});
