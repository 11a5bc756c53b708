"""The figures of growth as a Markdown page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks import report
from benchmarks.growth.questions import Question, Taken
from benchmarks.growth.sizes import Part

SMALL, GROWN = "small", "grown"


@dataclass(slots=True)
class Figures:
    """What was measured of one kind of archive."""

    taken: dict[tuple[str, str], list[Taken]] = field(default_factory=dict)
    """By title of the question and size of the archive, in the order they were taken."""
    parts: Sequence[Part] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    once: dict[str, float] = field(default_factory=dict)
    """Seconds of what was done a single time."""

    def values(self, question: Question, size: str) -> list[float]:
        return [each.value for each in self.taken.get((question.title, size), [])]

    def ratio(self, question: Question) -> float | None:
        """Grown to small, the median of neighbours."""
        pairs = zip(self.values(question, SMALL), self.values(question, GROWN), strict=False)
        ratios = [grown / small for small, grown in pairs if small]
        return median(ratios) if ratios else None


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    spread = "" if len(values) == 1 else f" ({_figure(min(values))}-{_figure(max(values))})"
    return _figure(median(values)) + spread


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


def _bound(question: Question, ratio: float | None) -> str:
    if question.bound is None:
        return ""
    sign = "≥" if question.is_rate else "≤"
    if ratio is None:
        return f"{sign} {question.bound}"
    is_kept = ratio >= question.bound if question.is_rate else ratio <= question.bound
    return f"{sign} {question.bound}, {'kept' if is_kept else 'MISSED'}"


def _answers(figures: Figures, question: Question) -> str:
    numbers = [taken[0].number for size in (SMALL, GROWN) if (taken := figures.taken.get((question.title, size)))]
    return "/".join(f"{number}" for number in dict.fromkeys(numbers))


def _questions(figures: Figures, questions: Sequence[Question]) -> list[str]:
    rows: list[list[str]] = []
    for question in questions:
        ratio = figures.ratio(question)
        small, grown = (_cell(figures.values(question, size)) for size in (SMALL, GROWN))
        shown = "" if ratio is None else f"{ratio:.2f}"
        number = _answers(figures, question)
        rows.append([f"{question.title}, {question.unit}", number, small, grown, shown, _bound(question, ratio)])
    return _table(["", "answers", "small", "grown", "grown : small", "bound"], rows)


def _parts(figures: Figures, most: int = 24) -> list[str]:
    parts = sorted(figures.parts, key=lambda part: -part.size_bytes)
    total, number = sum(part.size_bytes for part in parts), figures.rows["instances"]
    of_table = {name: figures.rows.get(name, 0) for name in {part.table for part in parts}}
    rows = [
        [
            f"`{part.name}`",
            f"{part.size_bytes / 1e6:.1f}",
            f"{part.size_bytes / of_table[part.table]:.0f}" if of_table[part.table] else "",
            f"{part.size_bytes / number:.1f}",
            f"{100 * part.size_bytes / total:.1f}",
        ]
        for part in parts[:most]
    ]
    rest = sum(part.size_bytes for part in parts[most:])
    rows.append(["all others", f"{rest / 1e6:.1f}", "", f"{rest / number:.1f}", f"{100 * rest / total:.1f}"])
    rows.append(["**together**", f"**{total / 1e6:.0f}**", "", f"**{total / number:.0f}**", "100"])
    return _table(["table or index", "MB", "bytes a row", "bytes an instance", "%"], rows)


def markdown(
    measured: Mapping[str, Figures], questions: Sequence[Question], *, command: str, folder: Path, repeats: int
) -> str:
    """The whole page."""
    facts = "; ".join(f"{name} {value}" for name, value in report.machine(folder).items())
    some = next(iter(measured.values()))
    held = ", ".join(f"{some.rows[name]:,} {name}" for name in ("patients", "studies", "series", "instances"))
    page = [
        "# Performance as the archive grows",
        "",
        f"Measured on {datetime.now(UTC):%Y-%m-%d} by `{command}`, which wrote this page. Two services of each kind",
        "run on one machine: *small* holds a thousand studies, the probes; *grown* holds the same and many others,",
        f"together {held} in one area. The rows came by bulk load, without files.",
        "",
        f"- Machine: {facts}.",
        f"- Each figure is the median of {repeats} (smallest-largest), small and grown in turn; a ratio is that of",
        "  neighbours, in the median.",
        "- C-FIND by DCMTK's findscu, its queries in one association; stores by storescu, 300 objects of 9 KB over one",
        "  association with `TCP_NODELAY=1`, durability full. All else asks the index, as a command would.",
        "- A question about probes has the same answers in both. *Per answer* where it has not.",
        "",
    ]
    for name, figures in measured.items():
        page += [f"## {name}", "", *_questions(figures, questions), ""]
        page += [f"- {what}: {seconds:.1f} s." for what, seconds in figures.once.items()] + [""]
    for name, figures in measured.items():
        page += [f"## Bytes of {name}", "", *_parts(figures), ""]
    return "\n".join(page).rstrip() + "\n"
