//! A curve drawn with characters: eight lines of braille, four dots to a line and two to a column.

/// Lines of a curve.
const HEIGHT: usize = 8;
/// Columns of a curve.
const WIDTH: usize = 60;
/// Dots of a character, by column and line from the top (Unicode 16, section 21.1).
const DOTS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// A title with the newest value, the curve with its range beside it, and the first and the last place below. What is no
/// finite number is left out; nothing is drawn of fewer than two points.
pub(crate) fn chart(title: &str, points: &[(u32, f64)]) -> Vec<String> {
    let points: Vec<(f64, f64)> = points
        .iter()
        .filter(|(_, value)| value.is_finite())
        .map(|(place, value)| (f64::from(*place), *value))
        .collect();
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Vec::new();
    };
    let newest = format!("{title}  {:.4}", last.1);
    if points.len() < 2 {
        return vec![newest];
    }
    let low = points.iter().fold(f64::INFINITY, |low, point| low.min(point.1));
    let high = points
        .iter()
        .fold(f64::NEG_INFINITY, |high, point| high.max(point.1));
    let mut cells = [[0_u8; WIDTH]; HEIGHT];
    let (across, down) = ((2 * WIDTH - 1) as f64, (4 * HEIGHT - 1) as f64);
    for (from, to) in points.iter().zip(&points[1..]) {
        let place = |x: f64| (x - first.0) / (last.0 - first.0) * across;
        let (start, end) = (place(from.0), place(to.0));
        for dot in start.ceil() as usize..=end.floor() as usize {
            let part = if end > start {
                (dot as f64 - start) / (end - start)
            } else {
                0.0
            };
            let value = from.1 + (to.1 - from.1) * part;
            let height = if high > low {
                (high - value) / (high - low)
            } else {
                0.5
            };
            let line = ((height * down).round() as usize).min(4 * HEIGHT - 1);
            let column = dot.min(2 * WIDTH - 1);
            cells[line / 4][column / 2] |= DOTS[column % 2][line % 4];
        }
    }
    let labels = [format!("{high:.4}"), format!("{low:.4}")];
    let width = labels.iter().map(String::len).max().unwrap_or(0);
    let mut lines = vec![newest];
    for (index, row) in cells.iter().enumerate() {
        let label = match index {
            0 => labels[0].as_str(),
            _ if index == HEIGHT - 1 => labels[1].as_str(),
            _ => "",
        };
        let drawn: String = row
            .iter()
            .filter_map(|dots| char::from_u32(0x2800 + u32::from(*dots)))
            .collect();
        lines.push(format!("{label:>width$} ┤{}", drawn.trim_end_matches('\u{2800}')));
    }
    let (from, to) = (first.0.to_string(), last.0.to_string());
    let space = WIDTH.saturating_sub(from.len() + to.len());
    lines.push(format!("{:>width$}  {from}{:space$}{to}", "", ""));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_falling_curve_goes_from_the_upper_left_to_the_lower_right() {
        let lines = chart("loss", &[(1, 1.0), (2, 0.5), (3, 0.0)]);
        assert_eq!(lines.len(), 1 + HEIGHT + 1);
        assert_eq!(lines[0], "loss  0.0000");
        assert!(lines[1].starts_with("1.0000 ┤⠉"), "{}", lines[1]);
        assert!(lines[HEIGHT].starts_with("0.0000 ┤"), "{}", lines[HEIGHT]);
        // Each line below begins further to the right.
        let starts: Vec<usize> = lines[1..=HEIGHT]
            .iter()
            .map(|line| line.chars().skip(8).take_while(|c| *c == '\u{2800}').count())
            .collect();
        assert!(starts.windows(2).all(|pair| pair[0] < pair[1]), "{starts:?}");
        assert!(lines[HEIGHT + 1].ends_with('3'));
    }

    #[test]
    fn what_cannot_be_drawn_is_left_out() {
        assert!(chart("loss", &[]).is_empty());
        assert!(chart("loss", &[(1, f64::NAN)]).is_empty());
        assert_eq!(chart("loss", &[(1, 0.25)]), ["loss  0.2500"]);
        // A flat curve lies in the middle.
        let lines = chart("loss", &[(1, 2.0), (9, 2.0), (10, f64::INFINITY)]);
        assert!(lines[5].contains('⠉') || lines[4].contains('⣀'), "{lines:?}");
    }

    #[test]
    fn many_points_fit_the_same_width() {
        let points: Vec<(u32, f64)> = (0..10_000).map(|at| (at, f64::from(at % 97))).collect();
        assert!(
            chart("loss", &points)
                .iter()
                .all(|line| line.chars().count() <= 8 + 1 + WIDTH + 8)
        );
    }
}
