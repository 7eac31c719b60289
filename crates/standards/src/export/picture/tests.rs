use counterweight_primitives::{Address, ContentDigest, UnixSeconds};
use counterweight_provenance::{
    ledger::{Asset, AssetRecord, Parent},
    manifest::{ContentRef, DatasetManifest},
    purpose::PurposeSet,
};
use proptest::prelude::*;

use super::*;

/// A dataset called so, with these parents: only names and arrows matter here.
fn node(id: u64, name: &str, parents: &[(u64, u32)]) -> (AssetRecord, Vec<u8>) {
    let content = ContentDigest::of(name.as_bytes());
    let manifest = Manifest::Dataset(DatasetManifest {
        name: name.to_owned(),
        description: String::new(),
        content: ContentRef {
            digest: content,
            size: 1,
        },
        rows: 1,
        columns: Vec::new(),
        licence: "MIT".to_owned(),
        purposes: PurposeSet::EMPTY,
        steward: Address([1; 20]),
    });
    let bytes = manifest.encode().unwrap();
    let record = AssetRecord {
        id: AssetId(id),
        asset: Asset {
            kind: AssetKind::Dataset,
            content,
            manifest: ContentDigest::of(&bytes),
            previous: None,
            version: 1,
        },
        registered_to: Address([1; 20]),
        owner: Address([1; 20]),
        registered_at: UnixSeconds(1),
        uri: String::new(),
        parents: parents
            .iter()
            .map(|(asset, share)| Parent {
                asset: AssetId(*asset),
                share: Ppm::new(*share).unwrap(),
            })
            .collect(),
    };
    (record, bytes)
}

fn graph(nodes: Vec<(AssetRecord, Vec<u8>)>) -> LineageGraph {
    let bytes: BTreeMap<ContentDigest, Vec<u8>> = nodes
        .iter()
        .map(|(_, bytes)| (ContentDigest::of(bytes), bytes.clone()))
        .collect();
    LineageGraph::build(nodes.into_iter().map(|(record, _)| record), |digest| {
        bytes.get(digest).cloned()
    })
    .unwrap()
}

/// The texts that a reader of XML finds, in order; refuses what is not well formed.
fn texts(svg: &str) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    let mut found = Vec::new();
    let mut rest = svg;
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        assert!(!text.contains('>'), "a stray bracket in {text:?}");
        if !text.trim().is_empty() {
            for (at, _) in text.match_indices('&') {
                let end = text[at..].find(';').unwrap();
                assert!(
                    ["amp", "lt", "gt", "quot", "#39"].contains(&&text[at + 1..at + end]),
                    "{text}"
                );
            }
            found.push(text.to_owned());
        }
        let end = start + rest[start..].find('>').unwrap();
        let tag = &rest[start + 1..end];
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop().as_deref(), Some(name)),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split(' ').next().unwrap().to_owned()),
        }
        assert!(
            ["svg", "title", "rect", "text", "path"]
                .contains(&tag.trim_matches('/').split(' ').next().unwrap()),
            "{tag}"
        );
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty() && rest.trim().is_empty());
    found
}

/// Boxes as left, top, right and bottom, the heading's aside.
fn boxes(svg: &str) -> Vec<[usize; 4]> {
    let number = |line: &str, name: &str| -> usize {
        let from = line.find(&format!(" {name}=\"")).unwrap() + name.len() + 3;
        line[from..].split('"').next().unwrap().parse().unwrap()
    };
    svg.lines()
        .filter(|line| line.starts_with("<svg x=") && !line.contains("height=\"120\""))
        .map(|line| {
            let (x, y) = (number(line, "x"), number(line, "y"));
            [x, y, x + number(line, "width"), y + number(line, "height")]
        })
        .collect()
}

fn assert_legible(svg: &str) {
    let boxes = boxes(svg);
    for (place, [left, top, right, bottom]) in boxes.iter().enumerate() {
        assert!(
            right - left >= 120 && *right <= SIDE && *top >= 110 && *bottom <= 945,
            "{svg}"
        );
        for [l, t, r, b] in &boxes[..place] {
            assert!(
                right <= l || r <= left || bottom <= t || b <= top,
                "boxes overlap: {svg}"
            );
        }
    }
}

#[test]
fn one_to_eight_parents_are_all_drawn_and_never_overlap() {
    for count in 1..=8u64 {
        let mut nodes: Vec<_> = (1..=count)
            .map(|id| node(id, &format!("clinic-{id}"), &[]))
            .collect();
        let parents: Vec<(u64, u32)> = (1..=count).map(|id| (id, 100_000)).collect();
        nodes.push(node(count + 1, "tumour", &parents));
        let svg = lineage_picture(&graph(nodes), AssetId(count + 1)).unwrap();
        assert_eq!(boxes(&svg).len() as u64, count + 1);
        assert_legible(&svg);
        let texts = texts(&svg);
        for id in 1..=count {
            assert!(texts.contains(&format!("clinic-{id}")), "{svg}");
        }
        assert!(texts.contains(&"keeps 10.0 %".to_owned()));
        assert!(texts.contains(&format!("keeps {}.0 %", 100 - 10 * count)));
    }
}

#[test]
fn generations_are_columns_and_what_is_left_out_is_counted() {
    // A chain of twelve: five columns are drawn.
    let chain = (1..=12)
        .map(|id: u64| {
            let before: Vec<(u64, u32)> = (id > 1).then_some((id - 1, 0)).into_iter().collect();
            node(id, &format!("step-{id}"), &before)
        })
        .collect();
    let svg = lineage_picture(&graph(chain), AssetId(12)).unwrap();
    assert_eq!(boxes(&svg).len(), 5);
    assert_legible(&svg);
    assert!(
        texts(&svg).contains(&"7 older ones are not drawn".to_owned()),
        "{svg}"
    );
    assert!(svg.contains("11 generations before it"));

    // Eight collections of eight datasets: the second column shows seven and counts the others.
    let mut nodes: Vec<_> = (1..=64)
        .map(|id| node(id, &format!("clinic-{id}"), &[]))
        .collect();
    for group in 0..8u64 {
        let parents: Vec<(u64, u32)> = (1..=8).map(|place| (group * 8 + place, 125_000)).collect();
        nodes.push(node(65 + group, &format!("group-{}", group + 1), &parents));
    }
    let groups: Vec<(u64, u32)> = (65..=72).map(|id| (id, 50_000)).collect();
    nodes.push(node(73, "model", &groups));
    let svg = lineage_picture(&graph(nodes), AssetId(73)).unwrap();
    assert_legible(&svg);
    assert_eq!(boxes(&svg).len(), 1 + 8 + 8);
    assert!(texts(&svg).contains(&"57 more".to_owned()), "{svg}");
    assert!(svg.len() < 20_000, "{} bytes", svg.len());
}

#[test]
fn an_asset_without_parents_is_drawn_alone() {
    let svg = lineage_picture(&graph(vec![node(1, "rows", &[])]), AssetId(1)).unwrap();
    assert_eq!(boxes(&svg).len(), 1);
    assert_legible(&svg);
    assert!(lineage_picture(&graph(Vec::new()), AssetId(1)).is_err());
}

#[test]
fn a_hostile_name_is_text_and_stays_in_its_box() {
    let script = "</text><script>alert(1)</script>";
    let svg = lineage_picture(&graph(vec![node(1, script, &[])]), AssetId(1)).unwrap();
    assert!(!svg.contains("<script"), "{svg}");
    texts(&svg);
    // Two lines of so many letters, the wide ones counted twice.
    let wide = "界".repeat(40);
    let (first, second) = in_two_lines(&wide, 20);
    assert_eq!(first.chars().count(), 10);
    assert!(second.ends_with('…') && second.chars().count() <= 10, "{second}");
    // Marks that stack, characters that turn the direction, hide or are none.
    assert_eq!(
        fitted("Z\u{351}\u{36b}a\u{202e}b\u{200b}c\u{ffff}", 20),
        "Za\u{fffd}b\u{fffd}c\u{fffd}"
    );
    assert_eq!(fitted("\"'&<>", 20), "&quot;&#39;&amp;&lt;&gt;");
}

proptest! {
    /// Whatever an asset is called, the picture is well formed, bounded, and the same every time.
    #[test]
    fn any_name_gives_a_well_formed_picture(name in "\\PC{1,40}", other in any::<String>()) {
        let name = name.trim();
        prop_assume!(!name.is_empty() && name.len() <= 128);
        let drawn = graph(vec![node(1, name, &[]), node(2, "model", &[(1, 1_000_000)])]);
        let svg = lineage_picture(&drawn, AssetId(2)).unwrap();
        texts(&svg);
        prop_assert!(svg.len() < 4_000);
        prop_assert_eq!(&svg, &lineage_picture(&drawn, AssetId(2)).unwrap());
        prop_assert!(cut(&fitted(&other, 12).replace("&quot;", "x").replace("&#39;", "x").replace("&amp;", "x")
            .replace("&lt;", "x").replace("&gt;", "x"), 12).1.is_empty());
    }
}
