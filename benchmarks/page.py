"""Writes what was measured into the documentation: `python -m benchmarks.page`, after `scripts/bench --write`.

The figures are kept in `performance.json`; the page and the plots are made of them, and nothing else.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.growth import LOOK_UPS
from benchmarks.harness import FLOOR, OURS
from benchmarks.targets import outcomes

__all__ = ["FIGURES", "PAGE", "README", "draw", "figures", "front", "whole", "written"]

_FOLDER = Path(__file__).parent.parent / "docs" / "explanation"
FIGURES = _FOLDER / "performance.json"
PAGE = _FOLDER / "performance.md"
README = _FOLDER.parent.parent / "README.md"
BEGIN, END = "<!-- figures: begin, made by scripts/bench --write -->", "<!-- figures: end -->"

# What the page shows as bars: the file, what it says below, and its cases by suite.
_BARS = {
    "requests": (
        "a request, in bare requests",
        [
            ("middleware", "request log as JSON and id, direct sink"),
            ("middleware", "the whole stack, through logging"),
            ("auth", "the whole stack and a user"),
            ("middleware", "a validation error, without the log"),
        ],
    ),
    "tokens": (
        "decoding a token, in times of the signature's check and the JSON",
        [("tokens", f"decode {name}") for name in ("HS256", "RS256", "ES256", "EdDSA")],
    ),
}
# What the README shows: in words, the suite and the case, and the peers in words.
_FRONT: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    (
        "decode a token (HS256), with the whole policy",
        "tokens",
        "decode HS256",
        {"authlib": "authlib.jose", "python-jose": "python-jose", "PyJWT": "PyJWT"},
    ),
    (
        "a request with a JSON log line and an id",
        "middleware",
        "request log as JSON and id, direct sink",
        {
            "an id alone": "asgi-correlation-id (the id alone)",
            "structlog": "structlog, pure ASGI",
            "the usual copy": "the usual @app.middleware('http') logger",
        },
    ),
    (
        "a request with the whole stack",
        "middleware",
        "the whole stack, through logging",
        {"the usual copies": "the usual copies, stacked"},
    ),
    (
        "a request with the whole stack and a user",
        "auth",
        "the whole stack and a user",
        {"fastapi-users, without a stack": "fastapi-users, in memory"},
    ),
    (
        "a validation error",
        "middleware",
        "a validation error, without the log",
        {"FastAPI's own": "FastAPI: 422", "fastapi-problem": "fastapi-problem"},
    ),
    (
        "a small test with a database",
        "testing",
        "one small test of the session alone, no requests, SQLite",
        {"create and drop, in memory": "create_all and drop_all around each test, in memory",
         "on a file": "create_all and drop_all around each test, a file"},
    ),
    ("a call to another service", "http", "5 calls", {"a client for each": "a client for each call"}),
)  # fmt: skip
# Grey that is read on white and on black, and the two colours of the site.
_INK, _OURS, _OTHERS = "#7d8590", "#2f81f7", "#a0a8b2"

Row = Mapping[str, Any]


def figures() -> tuple[list[str], list[Row]]:
    """Read the conditions and the rows of the run that is kept."""
    parts = json.loads(FIGURES.read_text())
    return [part["conditions"] for part in parts], [row for part in parts for row in part["results"]]


def whole(conditions: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Give the lines of the page: targets, pictures, tables, conditions."""
    return [*_targets(rows), *_pictures(), *_tables(rows), *_conditions(conditions)]


def front(rows: Sequence[Row]) -> list[str]:
    """Give the lines of the README: a few figures."""
    found = {(row["suite"], row["case"], row["subject"]): row["ratio"] for row in rows}
    lines = ["| | this package | what people use instead |", "|---|---|---|"]
    for words, suite, case, peers in _FRONT:
        others = ", ".join(f"{name} {_short(found[suite, case, peer])}" for name, peer in peers.items())
        lines.append(f"| {words} | {_short(found[suite, case, OURS])} | {others} |")
    return [*lines, ""]


def written(page: str, lines: Sequence[str]) -> str:
    """Put lines into a text, between its marks."""
    head, rest = page.split(BEGIN)
    return "\n".join([head + BEGIN, "", *lines, END]) + rest.split(END)[1]


def _short(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 2 else f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"


def draw(rows: Sequence[Row]) -> None:
    """Draw the plots beside the page."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "fastapi-patterns",
            "text.color": _INK,
            "axes.labelcolor": _INK,
            "axes.edgecolor": _INK,
            "xtick.color": _INK,
            "ytick.color": _INK,
            "font.family": "sans-serif",
        }
    )
    for name, (label, cases) in _BARS.items():
        _draw_bars(_FOLDER / f"performance-{name}.svg", label, [_bars(rows, *case) for case in cases])
    _draw_growth(_FOLDER / "performance-growth.svg", [row for row in rows if row["suite"] == "growth"])


def _targets(rows: Sequence[Row]) -> Iterator[str]:
    yield from ("## Targets", "", "| what | measured | target | |", "|---|---|---|---|")
    for target, figure, is_reached in outcomes(rows):
        words = "at least" if target.over else "at most"
        yield f"| {target.what} | {figure:.2f} | {words} {target.limit:g} | {'' if is_reached else '**not reached**'} |"
    yield ""


def _pictures() -> Iterator[str]:
    for name, words in (
        ("requests", "Bars of the time that a request takes with each block, in times of a bare request"),
        ("tokens", "Bars of the time that decoding a token takes in each library, in times of the floor"),
        ("growth", "Lines of the cost of a request by the number of routes, keys, scopes and revoked tokens"),
    ):
        yield from (f"![{words}](performance-{name}.svg)", "")


def _tables(rows: Sequence[Row]) -> Iterator[str]:
    yield from ("## All figures", "")
    for suite in sorted({row["suite"] for row in rows}):
        yield from (f"### {suite}", "")
        for case in dict.fromkeys(row["case"] for row in rows if row["suite"] == suite):
            of_case = [row for row in rows if (row["suite"], row["case"]) == (suite, case)]
            yield from (f"**{case}**; the floor: {of_case[0]['floor']}", "", "| | times the floor | |", "|---|---|---|")
            for row in of_case:
                ratio = "could not run" if row["ratio"] is None else f"{row['ratio']:.2f} ± {row['spread']:.2f}"
                yield f"| {row['subject']} | {ratio} | {row['shown'] or _time(row['seconds'])} |"
            yield ""


def _conditions(conditions: Sequence[str]) -> Iterator[str]:
    yield from ("## Conditions", "", "```text", *dict.fromkeys(conditions), "```", "")


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    unit, size = next(
        (unit, size) for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 0.0)) if seconds >= size
    )
    return f"{seconds / (size or 1e-9):.3g} {unit}"


def _bars(rows: Sequence[Row], suite: str, case: str) -> tuple[str, list[tuple[str, float]]]:
    found = [row for row in rows if (row["suite"], row["case"]) == (suite, case) and row["ratio"] is not None]
    return case, [(row["subject"], row["ratio"]) for row in found if row["subject"] != FLOOR]


def _draw_bars(file: Path, label: str, groups: Sequence[tuple[str, Sequence[tuple[str, float]]]]) -> None:
    from matplotlib import pyplot

    lines = sum(len(bars) + 1 for _, bars in groups)
    figure, axes = pyplot.subplots(figsize=(8, 0.27 * lines + 0.6), layout="constrained")
    at, ticks = 0.0, []
    for case, bars in groups:
        axes.text(0, at - 0.75, case, fontweight="bold", fontsize=9, va="center")
        for name, ratio in sorted(bars, key=lambda bar: bar[1]):
            axes.barh(at, ratio, height=0.7, color=_OURS if name == OURS else _OTHERS)
            axes.text(ratio + 0.03, at, f"{ratio:.2f}", va="center", fontsize=8)
            ticks.append((at, name))
            at += 1
        at += 1.2
    axes.axvline(1, color=_INK, linewidth=0.8, linestyle=":")
    axes.set_yticks([place for place, _ in ticks], [name for _, name in ticks], fontsize=8)
    axes.set_ylim(at - 1.2, -1.5)
    axes.set_xlabel(label, fontsize=8)
    _save(figure, axes, file)


def _draw_growth(file: Path, rows: Sequence[Row]) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 3.2), layout="constrained")
    for case in dict.fromkeys(row["case"] for row in rows):
        of_case = [row for row in rows if row["case"] == case]
        points = sorted((_size(row), row["ratio"]) for row in of_case)
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=case)
    axes.set_xscale("log")
    axes.set_ylim(0, max(2.0, 1.1 * max(row["ratio"] for row in rows)))
    axes.set_xlabel("how many there are", fontsize=8)
    axes.set_ylabel("times the smallest", fontsize=8)
    axes.legend(fontsize=7, frameon=False, labelcolor=_INK)
    _save(figure, axes, file)


def _size(row: Row) -> int:
    """Read how many there are from the words of the floor, of the subject or, for the largest, of the case."""
    words = {FLOOR: row["floor"], OURS: row["case"].replace(f"{LOOK_UPS} times", "")}.get(
        row["subject"], row["subject"]
    )
    return int(re.search(r"\d[\d,]*", words)[0].replace(",", ""))  # type: ignore[index,arg-type]


def _save(figure: Any, axes: Any, file: Path) -> None:
    from matplotlib import pyplot

    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=8)
    figure.savefig(file, transparent=True, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


def main() -> int:
    """Write the page and draw the plots."""
    conditions, rows = figures()
    PAGE.write_text(written(PAGE.read_text(), whole(conditions, rows)))
    README.write_text(written(README.read_text(), front(rows)))
    draw(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
