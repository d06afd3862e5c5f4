"""What a corpus job shows: a bar while it runs, then a table of rates."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from nescio.cli.options import console, write_atomically
from nescio.visible import visible

if TYPE_CHECKING:
    from rich.table import Table

    from nescio.corpus import CorpusProgress, CorpusSummary, GroupSummary

__all__ = ["Bar", "show_summary", "write_csv"]

_MOST_ROWS = 40
_COUNTED = ("document", "byte", "token")
_NOT_MEASURED: Mapping[str, str] = {
    "refused_documents": "left out",
    "documents_without_scored_tokens": "without a scored token",
}


class Bar:
    """A progress bar on standard error, where that is a terminal.

    Args:
        quiet: show none.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.last: CorpusProgress | None = None
        self._shown = sys.stderr.isatty() and not quiet
        self._bars: Any = None
        self._since = 0.0

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.hide()

    def hide(self) -> None:
        """Take the bar away; the next report brings another."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def report(self, now: CorpusProgress) -> None:
        """Show how far the job is."""
        if self.last is None or self.last.stage != now.stage:
            self.hide()
            self._since = time.monotonic()
        self.last = now
        if not self._shown:
            return
        if self._bars is None:
            self._bars = _bars()
            self._bars.add_task(now.stage, total=now.total_bytes or None, note="")
            self._bars.start()
        self._bars.update(
            self._bars.task_ids[0],
            completed=now.bytes,
            note=self._note(now),
        )

    def _note(self, now: CorpusProgress) -> str:
        if now.stage == "reading":
            return f"{now.documents:,} documents"
        rate = now.tokens / max(time.monotonic() - self._since, 1e-9)
        return f"{rate:,.0f} tokens/s, {now.shards}/{now.total_shards} shards"


def _bars() -> Any:
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeRemainingColumn(),
        console=console(stderr=True),
        transient=True,
    )


def show_summary(found: CorpusSummary) -> None:
    """Print counts, the rates of all documents, and a table for each group."""
    from nescio.report import summary_table

    out = console()
    out.print(_counted(found.whole.counts))
    for one in found.refused[:5]:
        named = "" if one["id"] is None else f" ({one['id']})"
        out.print(visible(f"left out: {one['problem']}{named}"))
    if found.whole.estimates:
        out.print(summary_table(found.whole.estimates))
    for name, groups in found.groups.items():
        out.print()
        out.print(_group_table(name, groups))
        for reason in _reasons(groups):
            out.print(visible(reason))
        hidden = len(groups) - _MOST_ROWS
        if hidden > 0:
            out.print(f"{hidden} more groups are in summary.json")


def _reasons(groups: Mapping[str, GroupSummary]) -> list[str]:
    """Why some groups have no interval, each reason once."""
    populations = [
        found.estimates["bits_per_byte"].population
        for found in groups.values()
        if found.estimates
    ]
    reasons = [p.partition("; ")[2] for p in populations if "; " in p]
    return list(dict.fromkeys(reasons))


def _counted(counts: Mapping[str, int]) -> str:
    parts = [_several(counts[f"{name}s"], name) for name in _COUNTED]
    for name, what in _NOT_MEASURED.items():
        if counts[name]:
            parts.append(f"{_several(counts[name], 'document')} {what}")
    return ", ".join(parts)


def _several(count: int, name: str) -> str:
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


def _group_table(name: str, groups: Mapping[str, GroupSummary]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="")
    table.add_column(Text(visible(name)), overflow="fold")
    for head in ("documents", "tokens", "bits/byte", "interval", "perplexity"):
        table.add_column(head, justify="right", overflow="fold")
    largest = sorted(groups.items(), key=lambda item: -item[1].counts["documents"])
    for value, found in largest[:_MOST_ROWS]:
        counts = (f"{found.counts[key]:,}" for key in ("documents", "tokens"))
        table.add_row(Text(visible(value) or "(empty)"), *counts, *_rates(found))
    return table


def _rates(found: GroupSummary) -> tuple[str, str, str]:
    from nescio.report.numbers import interval_text, value_text

    if not found.estimates:
        return "–", "–", "–"
    rate = found.estimates["bits_per_byte"]
    perplexity = found.estimates.get("perplexity")  # none where tokens are bytes
    shown = "–" if perplexity is None else value_text(perplexity)
    return value_text(rate), interval_text(rate), shown


def write_csv(path: Path, found: CorpusSummary) -> None:
    """Write every rate of every group as one row of a CSV file."""

    def write(partial: Path) -> None:
        with partial.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(_HEADER)
            rows.writerows(_rows("", "", found.whole))
            for name, groups in found.groups.items():
                for value, group in groups.items():
                    rows.writerows(_rows(name, value, group))

    write_atomically(path, write)


_HEADER = (
    "group",
    "group_value",
    "measure",
    "value",
    "low",
    "high",
    "level",
    "unit",
    "documents",
    "resampled",
    "tokens",
)


def _rows(name: str, value: str, found: GroupSummary) -> list[tuple[Any, ...]]:
    return [
        (
            name,
            value,
            measure,
            *(estimate.value, estimate.low, estimate.high, estimate.level),
            estimate.unit,
            found.counts["documents"],
            estimate.n_clusters,
            estimate.n,
        )
        for measure, estimate in found.estimates.items()
    ]
