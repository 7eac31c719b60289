// Compiles the deployable contracts, the same way on every machine: npm's compiler, relative names only.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
export const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');

/** What gets an artifact: the source that holds it, its name, and its settings if they are not the `plain` ones. */
export const deployables = [
  ['src/ArchitecturePlanner.sol', 'ArchitecturePlanner'],
  ['src/AssetRegistry.sol', 'AssetRegistry'],
  ['src/ConsentRegistry.sol', 'ConsentRegistry'],
  ['src/DecisionReceipts.sol', 'DecisionReceipts'],
  ['src/DevelopmentToken.sol', 'DevelopmentToken'],
  ['@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol', 'ERC1967Proxy'],
  ['src/ERC7992Adapter.sol', 'ERC7992Adapter'],
  ['src/InferenceDispute.sol', 'InferenceDispute'],
  ['src/InferenceVerifier.sol', 'InferenceVerifier', 'arithmetic'],
  ['src/LogAnchor.sol', 'LogAnchor'],
  ['src/MaskedRounds.sol', 'MaskedRounds'],
  ['src/MemberStanding.sol', 'MemberStanding'],
  ['src/OpenModels.sol', 'OpenModels'],
  ['src/OptimisticEvaluator.sol', 'OptimisticEvaluator'],
  ['src/ProofEvaluator.sol', 'ProofEvaluator'],
  ['src/RoyaltyVault.sol', 'RoyaltyVault'],
  ['@openzeppelin/contracts/governance/TimelockController.sol', 'TimelockController'],
  ['src/SumDisputes.sol', 'SumDisputes'],
  ['src/TrainingRounds.sol', 'TrainingRounds'],
];

/** What a contract makes in its constructor, compiled as it is: code that does not fit into the contract itself. */
const parts = {
  InferenceVerifier: [
    ['src/OpeningVerifier.sol', 'OpeningVerifier'],
    ['src/RegistrationVerifier.sol', 'RegistrationVerifier'],
  ],
};

/**
 * Settings of what is deployed. Without metadata the bytes are the same from every machine. Compiling through the
 * intermediate representation (viaIR) would save one to four gas in a hundred, and take three times as long.
 */
export const settings = {
  plain: {
    evmVersion: 'cancun',
    metadata: { appendCBOR: false, bytecodeHash: 'none' },
    optimizer: { enabled: true, runs: 1_000 },
    viaIR: false,
  },
  // For code that is mostly arithmetic with 32-byte constants: pushed where they are used, whatever that adds to the code.
  arithmetic: {
    evmVersion: 'cancun',
    metadata: { appendCBOR: false, bytecodeHash: 'none' },
    optimizer: { enabled: true, runs: 20_000 },
    viaIR: false,
  },
};

function read(name) {
  const file = name.startsWith('@') ? path.join(root, 'node_modules', name) : path.join(root, name);
  return fs.readFileSync(file, 'utf8');
}

/** Artifacts by contract name, and bytes of code of the parts they make. Throws with the compiler's words on an error, and on a warning in our own sources. */
export function compile() {
  const compiled = Object.keys(settings).map(compileWith);
  const merge = (key) => Object.assign({}, ...compiled.map((each) => each[key]));
  return { artifacts: merge('artifacts'), partSizes: merge('partSizes') };
}

function compileWith(name) {
  const solc = require('solc');
  const chosen = deployables.filter(([, , theirs = 'plain']) => theirs === name);
  const input = {
    language: 'Solidity',
    settings: {
      ...settings[name],
      outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } },
    },
    sources: Object.fromEntries(chosen.map(([source]) => [source, { content: read(source) }])),
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: (file) => ({ contents: read(file) }) }));
  const complaints = (output.errors ?? []).filter((each) => each.severity === 'error' || each.sourceLocation?.file.startsWith('src/'));
  if (complaints.length !== 0) throw new Error(complaints.map((each) => each.formattedMessage).join('\n'));
  const partSizes = Object.fromEntries(chosen.flatMap(([, contractName]) => parts[contractName] ?? []).map(([source, part]) => [
    part, output.contracts[source][part].evm.deployedBytecode.object.length / 2,
  ]));
  const artifacts = Object.fromEntries(chosen.map(([source, contractName]) => {
    const { abi, evm } = output.contracts[source][contractName];
    return [contractName, {
      abi,
      bytecode: `0x${evm.bytecode.object}`,
      compiler: `solc ${solc.version().replace(/\.Emscripten.*/, '')}`,
      contractName,
      deployedBytecode: `0x${evm.deployedBytecode.object}`,
      settings: settings[name],
      sourceName: source,
    }];
  }));
  return { artifacts, partSizes };
}

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

/** The text of an artifact: sorted keys, two spaces, a newline at the end. */
export function artifactText(artifact) {
  return `${JSON.stringify(sorted(artifact), null, 2)}\n`;
}
