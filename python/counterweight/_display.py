"""How results look in a notebook: one table, one chart, nothing that needs a widget server."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from counterweight._simulate import Result

_WIDTH, _HEIGHT, _EDGE = 360, 120, 28
_MOST_ROWS = 12


def _chart(losses: list[tuple[int, float]]) -> str:
    """A line through the losses; its figures are in the table beside it."""
    if len(losses) < 2:
        return ""
    low, high = min(loss for _, loss in losses), max(loss for _, loss in losses)
    first, last = losses[0][0], losses[-1][0]
    span = (high - low) or 1.0

    def at(number: int, loss: float) -> str:
        x = _EDGE + (_WIDTH - 2 * _EDGE) * (number - first) / (last - first)
        y = _EDGE / 2 + (_HEIGHT - _EDGE) * (high - loss) / span
        return f"{x:.1f},{y:.1f}"

    points = " ".join(at(number, loss) for number, loss in losses)
    change = "fell" if losses[-1][1] < losses[0][1] else "went"
    caption = f"Loss {change} from {losses[0][1]:.4g} to {losses[-1][1]:.4g} over rounds {first} to {last}"
    foot = _HEIGHT - 2
    return (
        f'<svg role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}">'
        f"<title>{escape(caption)}</title>"
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5"/>'
        f'<text x="{_EDGE}" y="{foot}" font-size="10" fill="currentColor">{first}</text>'
        f'<text x="{_WIDTH - _EDGE}" y="{foot}" font-size="10" text-anchor="end" fill="currentColor">'
        f"{last}</text></svg><figcaption>{escape(caption)}</figcaption>"
    )


def result_html(result: Result) -> str:
    """A result as HTML."""
    rounds = list(result.history.rounds)
    names = list(rounds[-1].metrics) if rounds else []
    head = "".join(f"<th>{escape(name)}</th>" for name in ["round", "rows", "loss", *names])
    shown = rounds if len(rounds) <= _MOST_ROWS else [*rounds[:2], *rounds[2 - _MOST_ROWS :]]

    def cell(value: float | None) -> str:
        return "<td></td>" if value is None else f"<td>{value:.4g}</td>"

    rows = "".join(
        f"<tr><td>{r.round}</td><td>{r.examples}</td>{cell(r.loss)}"
        + "".join(cell(r.metrics.get(name)) for name in names)
        + "</tr>"
        for r in shown
    )
    left_out = f"<p>{len(rounds) - len(shown)} rounds are not shown.</p>" if len(shown) < len(rounds) else ""
    chart = _chart([(r.round, r.loss) for r in rounds if r.loss is not None])
    return (
        f"<figure>{chart}</figure><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{left_out}"
        f"<p>Model <code>{escape(result.digest)}</code></p>"
    )
