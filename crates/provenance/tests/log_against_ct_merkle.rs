//! Logs of many sizes against another implementation of RFC 6962: roots, inclusion and consistency proofs both ways.

use counterweight_primitives::Sha256Digest;
use counterweight_provenance::log::{
    Log,
    note::NoteSigner,
    proof::{verify_consistency, verify_inclusion},
    tile::{TileKind, TileName},
    tree::leaf_hash,
};
use ct_merkle::{
    ConsistencyProof, InclusionProof, RootHash, digest::Output, mem_backed_tree::MemoryBackedTree,
};
use sha2_next::Sha256;

type Oracle = MemoryBackedTree<Sha256, Vec<u8>>;

fn entry(index: u64) -> Vec<u8> {
    // Of many lengths, some longer than a block.
    let mut entry = format!("entry {index}").into_bytes();
    entry.resize(entry.len() + index as usize % 90, b'.');
    entry
}

fn root_hash(root: &Sha256Digest, size: u64) -> RootHash<Sha256> {
    RootHash::new(Output::<Sha256>::from(root.0), size)
}

fn flat(path: &[Sha256Digest]) -> Vec<u8> {
    path.iter().flat_map(|digest| digest.0).collect()
}

fn digests(bytes: &[u8]) -> Vec<Sha256Digest> {
    bytes
        .as_chunks::<32>()
        .0
        .iter()
        .copied()
        .map(Sha256Digest)
        .collect()
}

/// The sizes at which tiles begin and end: 70,000 is the example of the specification.
#[test]
fn a_log_agrees_with_ct_merkle_at_every_edge_of_a_tile() {
    let folder = tempfile::tempdir().unwrap();
    let signer = || NoteSigner::from_secret("example.com/log", &[7; 32]).unwrap();
    let mut log = Log::open(folder.path(), signer()).unwrap();
    let mut oracle = Oracle::new();
    let mut seen: Vec<(u64, Sha256Digest)> = Vec::new();
    for size in [
        1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 65_792, 70_000,
    ] {
        let from = log.checkpoint().checkpoint().size;
        let entries: Vec<_> = (from..size).map(entry).collect();
        log.append(&entries).unwrap();
        entries.into_iter().for_each(|entry| oracle.push(entry));
        let checkpoint = log.checkpoint().clone();
        let tree = checkpoint.checkpoint();
        assert_eq!(
            tree.root.0.as_slice(),
            oracle.root().as_bytes().as_slice(),
            "size {size}"
        );

        let reader = log.reader();
        for index in [0, 1, 254, 255, 256, 65_535, 65_536, size / 2, size - 1] {
            if index >= size {
                continue;
            }
            let (found, receipt) = reader.receipt(&checkpoint, index).unwrap();
            assert_eq!(found, entry(index));
            // Ours, checked by the other; the other's, checked by us.
            let ours = InclusionProof::<Sha256>::try_from_bytes(flat(receipt.path())).unwrap();
            root_hash(&tree.root, size)
                .verify_inclusion(&found, index, &ours)
                .unwrap();
            let theirs = digests(oracle.prove_inclusion(index as usize).as_bytes());
            assert_eq!(theirs, receipt.path());
            verify_inclusion(&tree.root, size, index, &leaf_hash(&found), &theirs).unwrap();
        }
        for (old, old_root) in &seen {
            let path = reader.consistency(*old, old_root, &checkpoint).unwrap();
            let ours = ConsistencyProof::<Sha256>::try_from_bytes(flat(&path)).unwrap();
            root_hash(&tree.root, size)
                .verify_consistency(&root_hash(old_root, *old), &ours)
                .unwrap();
            let theirs = digests(oracle.prove_consistency((size - old) as usize).as_bytes());
            assert_eq!(theirs, path);
            verify_consistency(*old, old_root, size, &tree.root, &theirs).unwrap();
        }
        seen.push((size, tree.root));
    }
    log.reader().audit().unwrap();

    // The files that the specification counts for this size.
    for (kind, widths) in [
        (TileKind::Hashes { level: 0 }, 274),
        (TileKind::Hashes { level: 1 }, 2),
        (TileKind::Hashes { level: 2 }, 1),
        (TileKind::Hashes { level: 3 }, 0),
        (TileKind::Entries, 274),
    ] {
        let names: Vec<_> = (0..)
            .map_while(|index| TileName::in_log(kind, index, 70_000))
            .collect();
        assert_eq!(names.len(), widths);
        for name in names {
            let bytes = std::fs::metadata(folder.path().join(name.path())).unwrap().len();
            if kind != TileKind::Entries {
                assert_eq!(bytes, 32 * u64::from(name.width), "{}", name.path());
            }
        }
    }
    for path in [
        "tile/0/273.p/112",
        "tile/1/000",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
        "tile/entries/273.p/112",
    ] {
        assert!(folder.path().join(path).is_file(), "{path}");
    }
}
