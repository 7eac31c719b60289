//! The lineage of an asset as a square picture: SVG 1.1 that any wallet or gallery shows.
//!
//! Generations stand in columns, the asset on the right and what it came from to its left; a generation is the longest
//! path. At most [`COLUMNS`] columns of at most [`ROWS`] boxes are drawn, those first that keep most of the asset's income,
//! and what is left out is counted. Coordinates are whole numbers, so that the same graph gives the same bytes everywhere.
//!
//! Names come from strangers: they are escaped, cut to the width of their box, and each box clips what a font makes wider.
//! The picture has no script, style sheet, link, embedded file or reference to a font.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use counterweight_primitives::{AssetId, Ppm};
use counterweight_provenance::{
    ledger::AssetKind,
    lineage::{LineageError, LineageGraph, LineageNode},
    manifest::Manifest,
};

/// Most generations drawn.
const COLUMNS: usize = 5;

/// Most boxes of a generation.
const ROWS: usize = 8;

/// Width and height of the picture.
const SIDE: usize = 1_000;
/// Where the boxes begin and end from above.
const TOP: usize = 130;
const BOTTOM: usize = 930;
const BOX_HEIGHT: usize = 84;
/// Widest box, and the least space for arrows beside it.
const BOX_WIDTH: usize = 230;
const ARROWS: usize = 60;
/// Width reserved for a letter at 13 pixels, a little more than any fixed-width font takes.
const LETTER: usize = 8;

/// A box of the picture.
struct Drawn<'a> {
    node: &'a LineageNode,
    column: usize,
    middle: usize,
}

/// Draws what an asset came from.
///
/// # Errors
/// [`LineageError::UnknownAsset`].
pub fn lineage_picture(graph: &LineageGraph, id: AssetId) -> Result<String, LineageError> {
    let subject = graph.node(id)?;
    let ancestors = graph.ancestors(id)?;
    let kept = graph.kept_shares(id)?;
    let generations = generations(graph, subject, &ancestors)?;
    let deepest = generations.values().copied().max().unwrap_or(0);
    let shown = deepest.min(COLUMNS - 1);
    let older = generations
        .values()
        .filter(|generation| **generation > shown)
        .count();

    let width = (SIDE / (shown + 1) - ARROWS).min(BOX_WIDTH);
    let mut drawn: BTreeMap<AssetId, Drawn<'_>> = BTreeMap::new();
    let mut hidden: Vec<(usize, usize)> = Vec::new();
    for column in 0..=shown {
        let mut members: Vec<AssetId> = generations
            .iter()
            .filter(|(_, generation)| **generation == column)
            .map(|(id, _)| *id)
            .collect();
        // Whoever keeps most is shown; of those that keep the same, the older.
        members.sort_by_key(|id| (std::cmp::Reverse(kept.get(id).copied().unwrap_or(Ppm::ZERO)), *id));
        let left_out = if members.len() > ROWS {
            members.len() - (ROWS - 1)
        } else {
            0
        };
        members.truncate(members.len() - left_out);
        // Each stands at the height of what was made of it, so that few arrows cross.
        members.sort_by_key(|id| (height_of_children(graph, *id, &drawn), *id));
        let rows = members.len() + usize::from(left_out > 0);
        let middle = |row: usize| TOP + (BOTTOM - TOP) * (2 * row + 1) / (2 * rows);
        for (row, id) in members.iter().enumerate() {
            let place = Drawn {
                node: graph.node(*id)?,
                column,
                middle: middle(row),
            };
            drawn.insert(*id, place);
        }
        hidden.push((left_out, middle(rows - 1)));
    }

    let left = |column: usize| {
        // Columns count from the right, where the asset is.
        let pitch = SIDE / (shown + 1);
        pitch * (shown - column) + (pitch - width) / 2
    };
    let mut svg = String::new();
    begin(&mut svg, subject, deepest);
    for child in drawn.values() {
        for parent in &child.node.record.parents {
            if let Some(from) = drawn.get(&parent.asset) {
                arrow(
                    &mut svg,
                    (left(from.column) + width, from.middle),
                    (left(child.column), child.middle),
                    parent.share,
                );
            }
        }
    }
    for (id, place) in &drawn {
        let keeps = kept.get(id).copied().unwrap_or(Ppm::ZERO);
        boxed(
            &mut svg,
            place.node,
            (left(place.column), place.middle),
            width,
            keeps,
        );
    }
    for (column, (count, middle)) in hidden
        .into_iter()
        .enumerate()
        .filter(|(_, (count, _))| *count > 0)
    {
        more(&mut svg, (left(column), middle), width, count);
    }
    if older > 0 {
        line(
            &mut svg,
            (20, 962),
            15,
            "#94a3b8",
            &format!("{older} older ones are not drawn"),
        );
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// The longest path from the asset to each ancestor.
fn generations(
    graph: &LineageGraph,
    subject: &LineageNode,
    ancestors: &BTreeSet<AssetId>,
) -> Result<BTreeMap<AssetId, usize>, LineageError> {
    let mut found = BTreeMap::from([(subject.record.id, 0)]);
    // A parent is older than its child: going down the ids, every child has its place before its parents get theirs.
    for id in ancestors
        .iter()
        .rev()
        .chain([&subject.record.id])
        .collect::<BTreeSet<_>>()
        .into_iter()
        .rev()
    {
        let own = found.get(id).copied().unwrap_or(0);
        for parent in &graph.node(*id)?.record.parents {
            let place = found.entry(parent.asset).or_insert(0);
            *place = (*place).max(own + 1);
        }
    }
    Ok(found)
}

/// Mean height of the boxes that were made of an asset; the middle where none is drawn.
fn height_of_children(graph: &LineageGraph, id: AssetId, drawn: &BTreeMap<AssetId, Drawn<'_>>) -> usize {
    let children = graph
        .node(id)
        .map(|node| node.children.as_slice())
        .unwrap_or_default();
    let heights: Vec<usize> = children
        .iter()
        .filter_map(|child| drawn.get(child))
        .map(|place| place.middle)
        .collect();
    if heights.is_empty() {
        return SIDE / 2;
    }
    heights.iter().sum::<usize>() / heights.len()
}

fn begin(svg: &mut String, subject: &LineageNode, deepest: usize) {
    let name = fitted(&name(subject), 40);
    let plural = if deepest == 1 { "" } else { "s" };
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {SIDE} {SIDE}\" width=\"{SIDE}\" height=\"{SIDE}\" \
         role=\"img\" font-family=\"monospace\">\n<title>Lineage of {name}</title>\n\
         <rect width=\"{SIDE}\" height=\"{SIDE}\" fill=\"#0f172a\"/>\n"
    );
    let _ = writeln!(
        svg,
        "<svg x=\"0\" y=\"0\" width=\"{SIDE}\" height=\"120\"><text x=\"20\" y=\"58\" font-size=\"36\" \
         fill=\"#f8fafc\">{name}</text></svg>"
    );
    let record = &subject.record;
    let about = format!(
        "{} {}, version {}, {deepest} generation{plural} before it",
        record.asset.kind.name(),
        record.id,
        record.asset.version
    );
    line(svg, (20, 94), 19, "#cbd5e1", &about);
    line(svg, (20, 986), 15, "#94a3b8", &record.asset.content.to_string());
}

fn line(svg: &mut String, (x, y): (usize, usize), size: usize, fill: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{fill}\">{}</text>",
        fitted(text, 120)
    );
}

fn arrow(svg: &mut String, (x1, y1): (usize, usize), (x2, y2): (usize, usize), share: Ppm) {
    let bend = x1 + (x2 - x1) / 2;
    // From one pixel to seven, by the part of the income that flows there.
    let stroke = 1 + share.millionths() as usize * 6 / 1_000_000;
    let dashes = if share == Ppm::ZERO {
        " stroke-dasharray=\"4 6\""
    } else {
        ""
    };
    let _ = writeln!(
        svg,
        "<path d=\"M{x1} {y1}C{bend} {y1} {bend} {y2} {x2} {y2}\" fill=\"none\" stroke=\"#64748b\" \
         stroke-width=\"{stroke}\"{dashes}/>"
    );
}

/// Fill by kind; the word stands in the box too.
fn fill(kind: AssetKind) -> &'static str {
    match kind {
        AssetKind::Dataset => "#14532d",
        AssetKind::Model => "#1e3a8a",
        AssetKind::Program => "#581c87",
        AssetKind::Content => "#7c2d12",
        AssetKind::Collection => "#334155",
    }
}

fn boxed(svg: &mut String, node: &LineageNode, (x, middle): (usize, usize), width: usize, keeps: Ppm) {
    let y = middle - BOX_HEIGHT / 2;
    let letters = (width - 16) / LETTER;
    let (first, second) = in_two_lines(&name(node), letters);
    let record = &node.record;
    let kind = format!(
        "{} {} v{}",
        record.asset.kind.name(),
        record.id,
        record.asset.version
    );
    // Tenths of a percent, rounded down: thousandths of the whole.
    let tenths = keeps.millionths() / 1_000;
    let keeps = format!("keeps {}.{} %", tenths / 10, tenths % 10);
    // A drawing in a drawing clips what does not fit, whatever the font.
    let _ = writeln!(
        svg,
        "<svg x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BOX_HEIGHT}\" font-size=\"13\" fill=\"#f8fafc\">\
         <rect width=\"{width}\" height=\"{BOX_HEIGHT}\" rx=\"8\" fill=\"{}\"/>\
         <text x=\"8\" y=\"20\" font-weight=\"bold\">{first}</text>\
         <text x=\"8\" y=\"37\" font-weight=\"bold\">{second}</text>\
         <text x=\"8\" y=\"57\">{}</text><text x=\"8\" y=\"74\">{}</text></svg>",
        fill(record.asset.kind),
        fitted(&kind, letters),
        fitted(&keeps, letters)
    );
}

fn more(svg: &mut String, (x, middle): (usize, usize), width: usize, count: usize) {
    let y = middle - BOX_HEIGHT / 2;
    let _ = writeln!(
        svg,
        "<svg x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BOX_HEIGHT}\" font-size=\"16\" fill=\"#f8fafc\">\
         <rect x=\"1\" y=\"1\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"none\" stroke=\"#64748b\" stroke-dasharray=\"4 6\"/>\
         <text x=\"8\" y=\"47\">{}</text></svg>",
        width - 2,
        BOX_HEIGHT - 2,
        fitted(&format!("{count} more"), width / LETTER)
    );
}

fn name(node: &LineageNode) -> String {
    let name = node.manifest.as_ref().and_then(Manifest::name);
    name.map_or_else(|| format!("asset-{}", node.record.id), str::to_owned)
}

/// Letters a text takes: two for those of East Asia and pictures.
fn letters_of(c: char) -> usize {
    let wide = matches!(u32::from(c),
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f
        | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f000..=0x1faff | 0x20000..=0x3fffd);
    if wide { 2 } else { 1 }
}

/// What is drawn of a text: nothing that is invisible, turns the direction, stacks above other lines, or is no character of XML.
fn drawable(text: &str) -> impl Iterator<Item = char> + '_ {
    let stacked = |c: char| {
        matches!(u32::from(c), 0x300..=0x36f | 0x483..=0x489 | 0x591..=0x5bd | 0x610..=0x61a | 0x64b..=0x65f | 0xe31 | 0xe34..=0xe3a
            | 0xe47..=0xe4e | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x20d0..=0x20ff | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f
            | 0xe0000..=0xe0fff)
    };
    let hidden = |c: char| {
        c.is_control()
            || matches!(u32::from(c), 0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f
                | 0xfdd0..=0xfdef | 0xfeff | 0xfff0..=0xfffb)
            || u32::from(c) & 0xfffe == 0xfffe
    };
    text.chars()
        .filter(move |c| !stacked(*c))
        .map(move |c| if hidden(c) { '\u{fffd}' } else { c })
}

fn escaped(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '"' => written.push_str("&quot;"),
            '\'' => written.push_str("&#39;"),
            c => written.push(c),
        }
    }
    written
}

/// As much of a text as fits into so many letters, escaped; an ellipsis stands for the rest.
fn fitted(text: &str, letters: usize) -> String {
    let (line, rest) = cut(&drawable(text).collect::<String>(), letters);
    if rest.is_empty() {
        return escaped(&line);
    }
    let (line, _) = cut(&line, letters.saturating_sub(1));
    escaped(&line) + "…"
}

/// A name in two lines, escaped.
fn in_two_lines(text: &str, letters: usize) -> (String, String) {
    let (first, rest) = cut(&drawable(text).collect::<String>(), letters);
    (escaped(&first), fitted(&rest, letters))
}

/// What fits into so many letters, and what is left.
fn cut(text: &str, letters: usize) -> (String, String) {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += letters_of(c);
        if used > letters {
            return (text[..at].to_owned(), text[at..].to_owned());
        }
    }
    (text.to_owned(), String::new())
}

#[cfg(test)]
mod tests;
