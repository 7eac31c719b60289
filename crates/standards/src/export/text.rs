//! Texts of strangers, made harmless for the format that they go into.

use std::fmt::Write as _;

/// A double-quoted scalar, the same in YAML 1.1 and 1.2: nothing in it can end it, begin a document or be taken for another
/// type. JSON's quoting is not enough: YAML refuses some characters that JSON leaves as they are.
pub(super) fn yaml(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            ' '..='~' | '\u{a1}'..='\u{1fff}' | '\u{3001}'..='\u{d7ff}' => quoted.push(c),
            // Controls, separators of lines and directions, private and unassigned planes: by number.
            _ => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(c));
            }
        }
    }
    quoted.push('"');
    quoted
}

/// Text inside a line of Markdown: no markup, no link, no HTML, no cell of a table.
pub(super) fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '#' | '|' | '~' | '!' | '$' | '@' | ':' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                escaped.push(' ');
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// As [`markdown`], each line quoted: a longer text of somebody, told apart from ours.
pub(super) fn quoted(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("> {}", markdown(line))).collect();
    lines.join("\n")
}

/// Days since 1970 as a date, `2026-11-22`.
pub(super) fn date(time: counterweight_primitives::UnixSeconds) -> String {
    time.to_rfc3339().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_yaml_text() {
        assert_eq!(
            yaml("a\"b\\c\n---\nd: [e]\u{85}\u{2028}\u{1f600}é"),
            r#""a\"b\\c\n---\nd: [e]\U00000085\U00002028\U0001f600é""#
        );
    }

    #[test]
    fn nothing_is_markup() {
        assert_eq!(
            markdown("<b>[x](http://y)|`"),
            "&lt;b&gt;\\[x\\]\\(http\\://y\\)\\|\\`"
        );
        assert_eq!(quoted("a\n# b"), "> a\n> \\# b");
    }
}
