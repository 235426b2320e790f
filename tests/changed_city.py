"""A small city whose files are changed by a line, and what the check of it tells."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from streams.citycheck import CityReport

TODAY = date(2026, 6, 1)


def change(folder: Path, file: str, old: str, new: str) -> int:
    """Replace something that stands once in a file, and return the line it stands on."""
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return text.count("\n", 0, text.index(old)) + 1


def told(report: CityReport) -> list[str]:
    return [str(mistake) for mistake in report.errors]
