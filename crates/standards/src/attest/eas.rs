//! Attestations of the Ethereum Attestation Service (EAS): signed off the chain, version 2 of its format, or as a call.

use counterweight_primitives::{Address, AssetId, ContentDigest};
use counterweight_provenance::signature::{Signature, SignatureError, Signer};
use serde_json::{Value as Json, json};

use super::abi::{Value, address, call, encode, keccak, number};
use crate::export::Dossier;

/// What an attestation says, in the words of EAS's schema registry. Its identifier follows from it ([`schema_id`]).
pub const SCHEMA: &str = "bytes32 content,bytes32 manifest,uint256 chainId,address registry,uint256 asset,uint32 version,string name";

/// The type that is signed.
const ATTEST: &str = "Attest(uint16 version,bytes32 schema,address recipient,uint64 time,uint64 expirationTime,bool revocable,\
                      bytes32 refUID,bytes data,bytes32 salt)";
const DOMAIN: &str = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
const DOMAIN_NAME: &str = "EAS Attestation";
/// Version of the format of attestations off the chain.
const FORMAT: u16 = 2;

/// The contract for which an attestation is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Chain it is on.
    pub chain: u64,
    /// Its address there.
    pub contract: Address,
    /// What its `version()` says, such as `1.4.0`.
    pub version: String,
}

/// What is attested about an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetAttestation {
    content: ContentDigest,
    manifest: ContentDigest,
    chain: u64,
    registry: Address,
    asset: AssetId,
    version: u32,
    name: String,
}

impl AssetAttestation {
    /// Of an asset of the ledger.
    #[must_use]
    pub fn of(dossier: &Dossier<'_>) -> Self {
        let record = &dossier.subject.record;
        let name = dossier
            .subject
            .manifest
            .as_ref()
            .and_then(counterweight_provenance::manifest::Manifest::name);
        Self {
            content: record.asset.content,
            manifest: record.asset.manifest,
            chain: dossier.chain,
            registry: dossier.registry,
            asset: record.id,
            version: record.asset.version,
            name: name.unwrap_or_default().to_owned(),
        }
    }

    /// Its data as the schema has them.
    #[must_use]
    pub fn data(&self) -> Vec<u8> {
        encode(&[
            Value::Word(self.content.0),
            Value::Word(self.manifest.0),
            Value::Word(number(self.chain)),
            Value::Word(address(&self.registry.0)),
            Value::Word(number(self.asset.0)),
            Value::Word(number(self.version.into())),
            Value::Bytes(self.name.as_bytes()),
        ])
    }

    /// The call `attest` of the contract, from which EAS makes the attestation on the chain: revocable, without end, to nobody.
    #[must_use]
    pub fn on_chain_call(&self) -> Vec<u8> {
        let data = self.data();
        let request = [
            Value::Word([0; 32]),
            Value::Word([0; 32]),
            Value::Word(number(1)),
            Value::Word([0; 32]),
            Value::Bytes(&data),
            Value::Word([0; 32]),
        ];
        call(
            "attest((bytes32,(address,uint64,bool,bytes32,bytes,uint256)))",
            &[Value::Tuple(&[Value::Word(schema_id()), Value::Tuple(&request)])],
        )
    }

    /// Signs it off the chain, as EAS's own tools read it. The salt follows from what is said, so that the same attestation at
    /// the same time is the same.
    ///
    /// # Errors
    /// As [`Signer::sign_hash`].
    pub fn sign(&self, service: &Service, time: u64, signer: &dyn Signer) -> Result<Json, SignatureError> {
        let (schema, data) = (schema_id(), self.data());
        let salt = keccak(
            &[
                &b"counterweight/eas-salt/v1\n"[..],
                &signer.address().0,
                &time.to_be_bytes(),
                &data,
            ]
            .concat(),
        );
        let signature = Signature(signer.sign_hash(signing_hash(service, &schema, time, &data, &salt))?);
        let [numbers @ .., v] = &signature.0;
        let (r, s) = numbers.split_at(32);
        let zero = hex_text(&[0; 20]);
        Ok(json!({
            "sig": {
                "version": FORMAT,
                "uid": hex_text(&uid(&schema, time, &data, &salt)),
                "domain": {
                    "name": DOMAIN_NAME,
                    "version": service.version,
                    "chainId": service.chain.to_string(),
                    "verifyingContract": service.contract.to_string(),
                },
                "primaryType": "Attest",
                "types": {"Attest": members()},
                "message": {
                    "version": FORMAT,
                    "schema": hex_text(&schema),
                    "recipient": zero,
                    "time": time.to_string(),
                    "expirationTime": "0",
                    "revocable": true,
                    "refUID": hex_text(&[0; 32]),
                    "data": hex_text(&data),
                    "salt": hex_text(&salt),
                },
                "signature": {"v": v, "r": hex_text(r), "s": hex_text(s)},
            },
            "signer": signer.address().to_string(),
        }))
    }
}

/// The identifier of [`SCHEMA`], registered without a resolver and revocable.
#[must_use]
pub fn schema_id() -> [u8; 32] {
    keccak(&[SCHEMA.as_bytes(), &[0; 20], &[1]].concat())
}

/// The call `register` of EAS's schema registry, needed once on each chain before attestations on it.
#[must_use]
pub fn register_schema_call() -> Vec<u8> {
    call(
        "register(string,address,bool)",
        &[
            Value::Bytes(SCHEMA.as_bytes()),
            Value::Word([0; 32]),
            Value::Word(number(1)),
        ],
    )
}

/// The hash of EIP-712.
fn signing_hash(service: &Service, schema: &[u8; 32], time: u64, data: &[u8], salt: &[u8; 32]) -> [u8; 32] {
    let domain = [
        keccak(DOMAIN.as_bytes()),
        keccak(DOMAIN_NAME.as_bytes()),
        keccak(service.version.as_bytes()),
        number(service.chain),
        address(&service.contract.0),
    ];
    let message = [
        keccak(ATTEST.as_bytes()),
        number(FORMAT.into()),
        *schema,
        [0; 32],
        number(time),
        [0; 32],
        number(1),
        [0; 32],
        keccak(data),
        *salt,
    ];
    let parts = [keccak(domain.as_flattened()), keccak(message.as_flattened())];
    keccak(&[&[0x19, 0x01][..], parts.as_flattened()].concat())
}

/// What EAS calls the attestation: a hash of its members, tightly packed. The schema goes in as its text.
fn uid(schema: &[u8; 32], time: u64, data: &[u8], salt: &[u8; 32]) -> [u8; 32] {
    let schema = hex_text(schema);
    let parts: [&[u8]; 11] = [
        &FORMAT.to_be_bytes(),
        schema.as_bytes(),
        &[0; 20],
        &[0; 20],
        &time.to_be_bytes(),
        &[0; 8],
        &[1],
        &[0; 32],
        data,
        salt,
        &[0; 4],
    ];
    keccak(&parts.concat())
}

fn members() -> Vec<Json> {
    let inside = ATTEST.trim_start_matches("Attest(").trim_end_matches(')');
    let member = |text: &str| {
        text.split_once(' ')
            .map(|(kind, name)| json!({"name": name, "type": kind}))
    };
    inside.split(',').filter_map(member).collect()
}

fn hex_text(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}
