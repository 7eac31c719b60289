// Starts the node under test and gives what the tests share: its URL, funded keys, the token.

import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import path from "node:path";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");

/** Keys of the development accounts, known to everybody. */
export const keys = [
  "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
  "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
  "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
];

/** Addresses of `keys`. */
export const accounts = [
  "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
  "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
  "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
];

/** ABI and creation code of the development token: an ERC-20 whose `mint` reverts with `NotMinter(address)`. */
export const token = JSON.parse(readFileSync(path.join(root, "contracts/artifacts/DevelopmentToken.json"), "utf8"));

/** Path of a Foundry program as npm installed it for the contracts. */
export function foundry(name) {
  const arch = { x64: "amd64", arm64: "arm64" }[process.arch];
  const file = path.join(root, "contracts/node_modules/@foundry-rs", `${name}-${process.platform}-${arch}`, "bin", name);
  if (!existsSync(file)) throw new Error(`${name} is missing; run: cd contracts && npm ci`);
  return file;
}

/**
 * Starts a program and waits for the first URL it prints.
 * @returns {Promise<{url: string, ws: string, stop: () => Promise<void>}>}
 */
export function start(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise((done) => child.once("exit", done));
    const stop = async () => {
      child.kill();
      await ended;
    };
    let output = "";
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${command} ended with ${code} before it said where it listens`)));
    child.stdout.on("data", (chunk) => {
      output += chunk;
      const address = output.match(/(?:https?:\/\/|Listening on )([\d.]+:\d+)/)?.[1];
      if (address) resolve({ url: `http://${address}`, ws: `ws://${address}`, stop });
    });
  });
}

/** The program under test. `CW` names another one. */
export const binary = process.env.CW ?? path.join(process.env.CARGO_TARGET_DIR ?? path.join(root, "target"), "debug/cw");

/** Starts `cw node start` on a free port with a chain in memory. */
export function startNode() {
  return start(binary, ["node", "start", "--port", "0", "--in-memory"]);
}

/** Starts anvil, the peer whose formats clients are used to. */
export function startAnvil(...args) {
  return start(foundry("anvil"), ["--port", "0", ...args]);
}

/** One JSON-RPC request as it is. */
export async function request(url, method, ...params) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
  return response.json();
}
