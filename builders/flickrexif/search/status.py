"""The funnel of a collection as a table: from the photos that Flickr reports to those a data set can be built from."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from builders.flickrexif.api.call_budget import FLICKR_CALLS_PER_HOUR, seconds_for
from builders.flickrexif.api.licences import LICENCES
from builders.flickrexif.search.forecast import calls_left, months_to_count, time_left
from builders.flickrexif.store.store import State

_EXIF_WORDS = {None: "not requested", "hidden": "hidden by their owners"}


@dataclass(frozen=True)
class Stage:
    """One line of the funnel."""

    name: str
    photos: int
    note: str = ""


def funnel(state: State) -> list[Stage]:
    """Counts of photos by stage; each stage counts what is left of the one before."""

    def count(condition: str, table: str = "photos") -> int:
        return state.value(f"SELECT count(*) FROM {table} WHERE {condition}")

    target = state.setting("photos_wanted")
    rows = state.rows("SELECT exif_status, count(*) FROM photos WHERE selected = 1 GROUP BY exif_status")
    exif: dict[str | None, int] = {row[0]: row[1] for row in rows}
    file_errors = state.rows("SELECT error_class, count(*) FROM files WHERE status != 'ok' GROUP BY 1 ORDER BY 2 DESC")
    stored = count("source = 'search'")
    waiting = "whose turn has not come" if target else "in months not read to the end"
    return [
        *(_sampled(state, target) if target else _read(state)),
        Stage("taken for the sample" if target else "within the cap", stored, _cap(state)),
        *([Stage("found for rare classes", filled, _sought(state))] if (filled := count("source = 'fill'")) else []),
        Stage("imported", count("source = 'import'")),
        Stage("selected", count("selected = 1"), f"{count('selected = 0'):,} {waiting}"),
        Stage(
            "Exif from Flickr",
            exif.get("ok", 0),
            _listed([(_EXIF_WORDS.get(k, k or ""), n) for k, n in exif.items() if k != "ok"]),
        ),
        Stage("licence known", count("selected = 1 AND licence IS NOT NULL"), _licences(state)),
        Stage("files fetched", count("status = 'ok'", "files"), _listed([(k, n) for k, n in file_errors])),
        Stage("taken down", count("1", "tombstones"), "tombstones of photos and owners"),
    ]


def _read(state: State) -> list[Stage]:
    """Stages of a search of all photos."""
    reported, listed = state.rows(
        "SELECT coalesce(sum(total), 0), coalesce(sum(found), 0) FROM slices WHERE status IN ('done', 'truncated')"
    )[0]
    counts = {
        "slices to read": "status = 'pending'",
        "of them came back empty and are requested again": "status = 'pending' AND doubted IS NOT NULL",
        "empty slices taken on trust": "trusted = 1",
        "slices beyond Flickr's limit": "status = 'truncated'",
    }
    notes = [(n, words) for words, condition in counts.items() if (n := _number(state, "slices", condition))]
    return [
        Stage("reported by Flickr", reported, "estimates, in slices read to the end"),
        Stage("found", listed, ", ".join(f"{n:,} {words}" for n, words in notes)),
    ]


def _sampled(state: State, target: int) -> list[Stage]:
    """Stages of a sample."""
    months, uncounted, reported, opened, trusted = state.rows(
        "SELECT count(*), coalesce(sum(total IS NULL), 0), coalesce(sum(total), 0), coalesce(sum(opened), 0),"
        " coalesce(sum(trusted), 0) FROM strata"
    )[0]
    doubted = _number(state, "strata", "doubted IS NOT NULL")
    notes = [
        *([f"{uncounted:,} not counted yet"] if uncounted else []),
        *([f"{doubted:,} empty answers are requested again"] if doubted else []),
        *([f"{trusted:,} empty answers taken on trust"] if trusted else []),
    ]
    with_exif = "exif_status = 'ok' AND " if state.setting("with_exif") is not False else ""
    per_month = state.rows(
        f"SELECT count(*) FROM photos WHERE {with_exif} source = 'search' AND selected = 1 GROUP BY month ORDER BY 1"
    )
    span = f", {per_month[0][0]:,} to {per_month[-1][0]:,} in a month" if per_month else ""
    return [
        Stage("reported by Flickr", reported, ", ".join([f"estimates, in {months:,} months", *notes])),
        Stage(
            "sample requested", target, f"{sum(row[0] for row in per_month):,} are here{span}, {opened:,} slices opened"
        ),
    ]


def _number(state: State, table: str, condition: str) -> int:
    return state.value(f"SELECT count(*) FROM {table} WHERE {condition}")


def _sought(state: State) -> str:
    rows = state.rows("SELECT sought, count(*) FROM photos WHERE source = 'fill' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5")
    return _listed([tuple(row) for row in rows])


def status_text(state: State, calls_per_hour: float | None = None) -> str:
    """The funnel, the files and the calls as a table for people.

    Args:
        state: of the run.
        calls_per_hour: budget for the estimate of the time left; that of the last search if absent.
    """
    budget = calls_per_hour or state.setting("calls_per_hour") or FLICKR_CALLS_PER_HOUR
    stages = funnel(state)
    width = max(len(stage.name) for stage in stages)
    lines = [f"{s.name:<{width}}  {s.photos:>11,}  {s.note}".rstrip() for s in stages]
    size = state.value("SELECT coalesce(sum(bytes), 0) FROM files WHERE status = 'ok'")
    lines.append(f"{'bytes on disk':<{width}}  {size:>11,}")
    lines += ["", "calls of the API", *_call_lines(state, width)]
    left, months = calls_left(state), months_to_count(state)
    time = f"at least, {months} months are not counted yet" if months else time_left(seconds_for(left, budget))
    lines.append(f"{'still needed':<{width}}  {left:>11,}  {time} (at {budget:,.0f} calls an hour)")
    return "\n".join(lines)


def status_record(state: State, calls_per_hour: float | None = None) -> dict[str, Any]:
    """What ``status_text`` says, for programs; arguments as there."""
    budget = calls_per_hour or state.setting("calls_per_hour") or FLICKR_CALLS_PER_HOUR
    calls = state.rows("SELECT method, outcome, count(*) FROM calls GROUP BY 1, 2 ORDER BY 1, 2")
    left = calls_left(state)
    return {
        "stages": [asdict(stage) for stage in funnel(state)],
        "bytes": state.value("SELECT coalesce(sum(bytes), 0) FROM files WHERE status = 'ok'"),
        "calls": [{"method": method, "outcome": outcome, "calls": count} for method, outcome, count in calls],
        "calls_left": left,
        "months_not_counted": months_to_count(state),
        "hours_left": seconds_for(left, budget) / 3600,
        "calls_per_hour": budget,
    }


def _call_lines(state: State, width: int) -> list[str]:
    rows = state.rows("SELECT method, outcome, count(*) FROM calls GROUP BY 1, 2 ORDER BY 1, 3 DESC")
    lines = []
    for method in dict.fromkeys(row[0] for row in rows):
        outcomes = [(row[1], row[2]) for row in rows if row[0] == method]
        lines.append(f"{method:<{width}}  {sum(n for _, n in outcomes):>11,}  {_listed(outcomes)}")
    now = state.clock.now()
    hour = state.value("SELECT count(*) FROM calls WHERE at > ?", now - 3600)
    last = state.value("SELECT max(at) FROM calls")
    when = (
        f"last at {datetime.datetime.fromtimestamp(last, datetime.timezone.utc):%Y-%m-%d %H:%M} UTC"
        if last
        else "none yet"
    )
    lines.append(f"{'in the last hour':<{width}}  {hour:>11,}  {when}")
    return lines


def _cap(state: State) -> str:
    cap = state.setting("per_user_month")
    return "" if cap is None else f"at most {cap} per owner and month of upload, seed {state.setting('seed')}"


def _licences(state: State) -> str:
    rows = state.rows("SELECT licence, count(*) FROM photos WHERE selected = 1 GROUP BY 1 ORDER BY 2 DESC")
    return _listed([(LICENCES[k].slug if k in LICENCES else "unknown", n) for k, n in rows])


def _listed(counts: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts)
