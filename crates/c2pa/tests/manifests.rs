//! Manifests of files of every kind, honest and hostile.

mod media;

use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

struct Desk {
    folder: tempfile::TempDir,
    credential: Value,
}

fn ask(request: &Value) -> Value {
    serde_json::from_str(&counterweight_c2pa::answer(request.to_string().as_bytes())).unwrap()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn statement() -> Value {
    json!({
        "format": "counterweight/c2pa-generated/v1",
        "model": {"chain_id": "31337", "registry": "0x5fbdb2315678afecb367f032d93f642f64180aa3", "asset": "7", "content": "blake3:04"},
    })
}

impl Desk {
    fn new() -> Self {
        let credential = ask(&json!({"credential": {"name": "A test", "now": now()}}))["credential"].clone();
        let folder = tempfile::tempdir().unwrap();
        Self { folder, credential }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn request(&self, input: &Path) -> Value {
        json!({
            "input": input,
            "output": input.with_extension("signed"),
            "title": "a picture",
            "generator": {"name": "cw", "version": "0.1.0"},
            "software": {"name": "painter", "version": "3"},
            "assertion": statement(),
            "certificates": self.credential["certificates"],
            "key": self.credential["key"],
        })
    }

    fn sign(&self, request: &Value) -> PathBuf {
        let answer = ask(&json!({"sign": request}));
        assert!(answer.get("signed").is_some(), "{answer}");
        request["output"].as_str().unwrap().into()
    }

    fn read(&self, file: &Path, trusting: bool) -> Value {
        let trust = trusting.then(|| self.credential["authority"].clone());
        let answer = ask(&json!({"read": {"input": file, "trust": trust}}));
        answer.get("read").cloned().unwrap_or(answer)
    }
}

#[test]
fn every_kind_is_signed_and_says_what_made_it() {
    let desk = Desk::new();
    for (ending, bytes) in media::all() {
        let plain = desk.put(&format!("made.{ending}"), &bytes);
        assert_eq!(desk.read(&plain, true)["state"], "absent", "{ending}");
        let signed = desk.sign(&desk.request(&plain));
        let found = desk.read(&signed, false);
        assert_eq!(found["state"], "valid", "{ending}: {found}");
        assert_eq!(
            found["failures"][0]["code"], "signingCredential.untrusted",
            "{ending}"
        );
        let found = desk.read(&signed, true);
        assert_eq!(found["state"], "trusted", "{ending}: {}", found["failures"]);
        assert_eq!(found["is_bound"], true, "{ending}");
        assert_eq!(found["assertion"], statement(), "{ending}");
        assert_eq!(found["signer"]["algorithm"], "es256");
        assert_eq!(found["signer"]["name"], "A test");
        assert_eq!(
            found["actions"],
            json!([{
                "action": "c2pa.created",
                "source": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
                "software": "painter",
            }])
        );
        // One more byte of sound or picture, and it is no longer what was signed.
        let mut bytes = fs::read(&signed).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let changed = desk.put("changed", &bytes);
        assert_ne!(desk.read(&changed, true)["state"], "trusted", "{ending}");
    }
}

#[test]
fn a_films_table_of_chunks_points_at_the_same_bytes_as_before() {
    let desk = Desk::new();
    let signed = desk.sign(&desk.request(&desk.put("made.mp4", &media::mp4())));
    let bytes = fs::read(signed).unwrap();
    let table = bytes.windows(4).position(|name| name == b"stco").unwrap();
    let at = table + 4 + 8;
    let chunk = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!(&bytes[chunk..chunk + media::MP4_CHUNK.len()], media::MP4_CHUNK);
}

#[test]
fn what_was_edited_names_what_it_was_made_from() {
    let desk = Desk::new();
    let parent = desk.sign(&desk.request(&desk.put("parent.png", &media::png())));
    let sound = desk.put("sound.wav", &media::wav());
    let mut request = desk.request(&desk.put("edited.jpg", &media::jpeg()));
    request["parent"] = json!(parent);
    request["inputs"] = json!([sound]);
    let edited = desk.sign(&request);
    let found = desk.read(&edited, true);
    assert_eq!(found["state"], "trusted", "{}", found["failures"]);
    let actions: Vec<_> = found["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["action"].clone())
        .collect();
    assert_eq!(actions, ["c2pa.opened", "c2pa.edited"]);
    assert!(
        found["actions"][1]["source"]
            .as_str()
            .unwrap()
            .ends_with("/compositeWithTrainedAlgorithmicMedia")
    );
    assert_eq!(
        found["ingredients"],
        json!([
            {"title": "parent.signed", "relationship": "parentOf", "has_manifest": true},
            {"title": "sound.wav", "relationship": "inputTo", "has_manifest": false},
        ])
    );
    // Who trusts nobody is told so of the parent's signer too, and of nothing worse.
    let found = desk.read(&edited, false);
    assert_eq!(found["state"], "valid");
}

#[test]
fn credentials_that_readers_would_refuse_sign_nothing() {
    let desk = Desk::new();
    let plain = desk.put("made.png", &media::png());
    let other = Desk::new().credential;
    let old = ask(&json!({"credential": {"name": "old", "now": 1_000_000_000}}))["credential"].clone();
    let sec1 = desk.credential["key"]
        .as_str()
        .unwrap()
        .replace("PRIVATE KEY", "EC PRIVATE KEY");
    for (what, certificates, key) in [
        (
            "a key of another certificate",
            &desk.credential["certificates"],
            &other["key"],
        ),
        (
            "an authority that signs itself",
            &desk.credential["authority"],
            &desk.credential["key"],
        ),
        ("a certificate that has ended", &old["certificates"], &old["key"]),
        ("no certificate", &json!(""), &desk.credential["key"]),
        (
            "no key",
            &desk.credential["certificates"],
            &json!("-----BEGIN PRIVATE KEY-----\n"),
        ),
        (
            "a key of another form",
            &desk.credential["certificates"],
            &json!(sec1),
        ),
    ] {
        let mut request = desk.request(&plain);
        request["certificates"] = certificates.clone();
        request["key"] = key.clone();
        let answer = ask(&json!({"sign": request}));
        assert_eq!(answer["error"]["kind"], "credential", "{what}: {answer}");
        let left: Vec<_> = fs::read_dir(desk.folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{what}: nothing is left behind");
    }
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let desk = Desk::new();
    let text = desk.put("notes.txt", b"no media");
    let kind = |request: Value| ask(&request)["error"]["kind"].clone();
    assert_eq!(kind(json!({"paint": {}})), "request");
    assert_eq!(kind(json!({"read": {"input": text, "trust": null}})), "media");
    assert_eq!(kind(json!({"read": {"input": "nowhere", "trust": null}})), "file");
    assert_eq!(kind(json!({"sign": desk.request(&text)})), "media");
    let png = desk.put("made.png", &media::png());
    assert_eq!(
        kind(json!({"read": {"input": png, "trust": "no authority"}})),
        "credential"
    );
    let long = " ".repeat(1 << 21);
    assert!(counterweight_c2pa::answer(long.as_bytes()).contains("1048576 bytes"));
}

/// Chunks of a PNG: name and place of length, name, data and checksum.
fn chunks(bytes: &[u8]) -> Vec<(String, Range<usize>)> {
    let (mut at, mut found) = (8, Vec::new());
    while at < bytes.len() {
        let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let name = String::from_utf8_lossy(&bytes[at + 4..at + 8]).into_owned();
        found.push((name, at..at + 12 + length));
        at += 12 + length;
    }
    found
}

/// Where a signed PNG may change without anybody noticing: only where nothing that is said depends on it.
#[test]
fn every_flipped_byte_of_a_picture_is_noticed_unless_it_says_nothing() {
    let desk = Desk::new();
    let signed = desk.sign(&desk.request(&desk.put("made.png", &media::png())));
    let whole = fs::read(&signed).unwrap();
    let before = desk.read(&signed, true);
    let (_, manifest) = chunks(&whole)
        .into_iter()
        .find(|(name, _)| name == "caBX")
        .unwrap();
    let copy = desk.folder.path().join("flipped.png");
    let mut unnoticed = BTreeMap::new();
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        fs::write(&copy, &bytes).unwrap();
        let found = desk.read(&copy, true);
        assert_ne!(found["error"]["kind"], "fault", "byte {place}");
        if found["state"] == "trusted" {
            // What it says is then the same, word for word.
            for part in [
                "assertion",
                "actions",
                "signer",
                "certificates",
                "is_bound",
                "ingredients",
            ] {
                assert_eq!(found[part], before[part], "byte {place}: {part}");
            }
            unnoticed.insert(place, whole[place]);
        }
    }
    let checksum = manifest.end - 4..manifest.end;
    // Room that the signer reserved and did not use: zeros under the names `pad` and `pad2`, in the part of COSE's header that is not signed.
    let names: Vec<usize> = (0..whole.len())
        .filter(|at| whole[*at..].starts_with(b"pad"))
        .collect();
    let is_padding =
        |place: &usize| whole[*place] == 0 || names.iter().any(|at| (*at..*at + 4).contains(place));
    let odd: Vec<_> = unnoticed
        .keys()
        .filter(|place| !checksum.contains(place) && !is_padding(place))
        .collect();
    assert!(
        unnoticed.keys().all(|place| manifest.contains(place)),
        "outside the manifest every byte counts"
    );
    assert!(odd.is_empty(), "{odd:?}");
}

#[test]
fn files_that_end_early_are_never_believed() {
    let desk = Desk::new();
    for (ending, bytes) in media::all() {
        let signed =
            fs::read(desk.sign(&desk.request(&desk.put(&format!("made.{ending}"), &bytes)))).unwrap();
        for length in (0..signed.len()).step_by(97) {
            let cut = desk.put("cut", &signed[..length]);
            let found = desk.read(&cut, true);
            assert_ne!(found["state"], "trusted", "{ending} of {length} bytes");
            assert_ne!(found["error"]["kind"], "fault", "{ending} of {length} bytes");
        }
    }
}

#[test]
fn a_manifest_of_another_file_is_not_believed() {
    let desk = Desk::new();
    let signed = fs::read(desk.sign(&desk.request(&desk.put("made.png", &media::png())))).unwrap();
    let (_, manifest) = chunks(&signed)
        .into_iter()
        .find(|(name, _)| name == "caBX")
        .unwrap();
    // The same picture with one brighter pixel and sound checksums.
    let other = media::png();
    let data = chunks(&other)
        .into_iter()
        .find(|(name, _)| name == "IDAT")
        .unwrap()
        .1;
    let mut moved = signed[..manifest.end].to_vec();
    moved.extend_from_slice(&other[data.start..]);
    let end = moved.len();
    moved[end - 20] ^= 1;
    let found = desk.read(&desk.put("moved.png", &moved), true);
    assert_eq!(found["state"], "invalid", "{found}");
    assert!(
        found["failures"]
            .to_string()
            .contains("assertion.dataHash.mismatch")
    );
}

/// Lengths that promise more than there is, and boxes in boxes: an answer comes, and it is not yes.
#[test]
fn boxes_of_absurd_sizes_are_refused_and_nothing_is_reserved_for_them() {
    let desk = Desk::new();
    let signed =
        |name: &str, bytes: &[u8]| fs::read(desk.sign(&desk.request(&desk.put(name, bytes)))).unwrap();
    let (png, mp4) = (
        signed("made.png", &media::png()),
        signed("made.mp4", &media::mp4()),
    );
    let mut hostile = Vec::new();
    let (_, manifest) = chunks(&png).into_iter().find(|(name, _)| name == "caBX").unwrap();
    // The chunk, the superbox in it, and every box whose name is known.
    let mut places: Vec<(&[u8], usize)> = vec![(&png, manifest.start), (&png, manifest.start + 8)];
    for name in [b"jumb", b"jumd", b"cbor"] {
        places.extend(
            png.windows(4)
                .enumerate()
                .filter(|(_, found)| found == name)
                .map(|(at, _)| (&png[..], at - 4)),
        );
    }
    for name in [b"ftyp", b"uuid", b"mdat", b"moov", b"trak", b"stco", b"stbl"] {
        places.extend(
            mp4.windows(4)
                .enumerate()
                .filter(|(_, found)| found == name)
                .map(|(at, _)| (&mp4[..], at - 4)),
        );
    }
    for (whole, place) in places {
        for size in [0, 1, 7, 8, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            let mut bytes = whole.to_vec();
            bytes[place..place + 4].copy_from_slice(&size.to_be_bytes());
            hostile.push((format!("size {size} at {place} of {}", whole.len()), bytes));
        }
    }
    // A size of 1 says that 64 bits follow.
    let mut long = mp4[..24].to_vec();
    long.extend_from_slice(&[0, 0, 0, 1]);
    long.extend_from_slice(b"uuid\xff\xff\xff\xff\xff\xff\xff\xf0");
    hostile.push(("a box of 2^64 bytes".to_owned(), long));
    let mut nested = mp4[..24].to_vec();
    for depth in 0..20_000_u32 {
        nested.extend_from_slice(&((20_000 - depth) * 8).to_be_bytes());
        nested.extend_from_slice(if depth % 2 == 0 { b"moov" } else { b"trak" });
    }
    hostile.push(("boxes in boxes".to_owned(), nested));
    for (what, bytes) in hostile {
        let found = desk.read(&desk.put("hostile", &bytes), true);
        assert_ne!(found["state"], "trusted", "{what}");
    }
}
