"""The table of a bench, as text for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from goals import Goal
from lines import Line, Section
from measurement import Measurement
from results import Results

_HEADER = ("", "median s", "from – to", "µs an item", "to the limit", "peak MB", "first row s")
_GOAL_HEADER = ("goal", "wanted", "measured", "")
_ABSENT = "–"
_LONG_ENOUGH = 1.0


def cells_of(line: Line, results: Results) -> tuple[str, ...]:
    """The cells of a line."""
    seconds = [each.seconds for each in results.all(line.key)]
    median = results.seconds(line.key)
    ratio = results.ratio(line.key, *line.references) if line.references else None
    memory = results.median(line.key, _memory)
    first_row = results.median(line.key, lambda each: each.first_row)
    return (
        line.label,
        number(median, 2),
        f"{min(seconds):.2f} – {max(seconds):.2f}" if len(seconds) > 1 else "",
        number(1e6 * median / line.items, 0) if median is not None and line.items else "",
        f"{ratio:.2f} ×" if ratio is not None else "",
        "" if memory is None else number(memory, 0),
        "" if first_row is None else number(first_row, 2),
    )


def _memory(measurement: Measurement) -> float | None:
    # Short commands have too few samples of memory.
    return measurement.peak_mb if measurement.seconds >= _LONG_ENOUGH else None


def goal_cells(goal: Goal) -> tuple[str, ...]:
    """The cells of a goal."""
    sign = "≥" if goal.at_least else "≤"
    digits = 2 if goal.unit == "×" else 1
    verdict = {True: "met", False: "NOT MET", None: "not measured"}[goal.met]
    value = _ABSENT if goal.value is None else f"{number(goal.value, digits)} {goal.unit}"
    return goal.name, f"{sign} {goal.bound:g} {goal.unit}", value, verdict


def number(value: float | None, digits: int) -> str:
    """A number with so many decimals, or a dash."""
    return _ABSENT if value is None else f"{value:,.{digits}f}"


def as_text(sections: Sequence[Section], results: Results, goals: Sequence[Goal]) -> str:
    """All tables as text, in columns."""
    parts = []
    for section in sections:
        rows = [_HEADER, *(cells_of(line, results) for line in section.lines)]
        parts.append(f"{section.title}\n{columns(rows)}")
    parts.append(f"Goals\n{columns([_GOAL_HEADER, *map(goal_cells, goals)])}")
    return "\n\n".join(parts) + "\n"


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns: the first is aligned to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  " + "   ".join(cells).rstrip())
    return "\n".join(lines)


def as_markdown(sections: Sequence[Section], results: Results, goals: Sequence[Goal]) -> str:
    """All tables as Markdown."""
    parts = []
    for section in sections:
        rows = [cells_of(line, results) for line in section.lines]
        parts.append(f"**{section.title}**\n\n{markdown_table(_HEADER, rows)}")
    parts.append(f"**Goals**\n\n{markdown_table(_GOAL_HEADER, [*map(goal_cells, goals)])}")
    return "\n\n".join(parts) + "\n"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, with numbers aligned to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows))
