#!/usr/bin/env node
// The part of solc's command line that forge uses, on top of npm's solc: `--version` and `--standard-json`.
// Forge wants a native compiler; this one runs wherever node does, and is pinned by package-lock.json.
const fs = require('node:fs');
const solc = require('solc');

const options = process.argv.slice(2);
if (options.includes('--version')) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
} else if (options.includes('--standard-json')) {
  process.stdout.write(solc.compile(fs.readFileSync(0, 'utf8')));
} else {
  console.error(`expected --version or --standard-json, got: ${options.join(' ')}`);
  process.exit(2);
}
