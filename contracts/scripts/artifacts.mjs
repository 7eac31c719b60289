#!/usr/bin/env node
// Writes artifacts/*.json, or with --check tells whether they are what the sources compile to (and fit on a chain).
import fs from 'node:fs';
import path from 'node:path';
import { artifactText, compile, root } from './solidity.mjs';

// EIP-170 and EIP-3860, bytes.
const CODE_LIMIT = 24_576;
const INIT_CODE_LIMIT = 49_152;

const check = process.argv.includes('--check');
const folder = path.join(root, 'artifacts');
const { artifacts, partSizes } = compile();
const problems = [];

for (const [name, artifact] of Object.entries(artifacts)) {
  const code = artifact.deployedBytecode.length / 2 - 1;
  const initCode = artifact.bytecode.length / 2 - 1;
  if (code > CODE_LIMIT) problems.push(`${name} has ${code} bytes of code, at most ${CODE_LIMIT} fit (EIP-170)`);
  if (initCode > INIT_CODE_LIMIT) problems.push(`${name} has ${initCode} bytes of creation code, at most ${INIT_CODE_LIMIT} fit (EIP-3860)`);
  const file = path.join(folder, `${name}.json`);
  const text = artifactText(artifact);
  if (!check) {
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(file, text);
  } else if (!fs.existsSync(file)) {
    problems.push(`artifacts/${name}.json is missing`);
  } else if (fs.readFileSync(file, 'utf8') !== text) {
    problems.push(`artifacts/${name}.json is not what the sources compile to`);
  }
  console.log(`${name.padEnd(20)} ${String(code).padStart(6)} of ${CODE_LIMIT} bytes`);
}
for (const [name, code] of Object.entries(partSizes)) {
  if (code > CODE_LIMIT) problems.push(`${name} has ${code} bytes of code, at most ${CODE_LIMIT} fit (EIP-170)`);
  console.log(`${name.padEnd(20)} ${String(code).padStart(6)} of ${CODE_LIMIT} bytes, made by another contract`);
}
for (const file of fs.existsSync(folder) ? fs.readdirSync(folder) : []) {
  if (!Object.hasOwn(artifacts, path.basename(file, '.json'))) problems.push(`artifacts/${file} belongs to no contract`);
}
if (problems.length !== 0) {
  console.error(problems.map((each) => `error: ${each}`).join('\n'));
  console.error('hint: `npm run artifacts` writes them again');
  process.exitCode = 1;
}
