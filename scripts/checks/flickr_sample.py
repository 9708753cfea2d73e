"""A sample of 5,000 photos from a Flickr of 100,000, behind a simulated clock at 3,600 calls an hour.

The Flickr is the loopback double of the tests: 24 months that grow, a burst, repeats, totals that are off by up to 8 %,
and faults. The sample is stopped when it has 10, 50 and 100 % of its photos, at whatever call that is. Printed are
chi-square over months, the forecast of the dry run and what the search took. Real HTTP, simulated time: minutes.

    python scripts/checks/flickr_sample.py [--photos 5000] [--count 100000]
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from scipy.stats import chisquare

from builders.flickrexif.api.call_budget import CallBudget
from builders.flickrexif.api.client import Credentials, FlickrClient
from builders.flickrexif.api.licences import PERMISSIVE
from builders.flickrexif.search.plan import SearchPlan
from builders.flickrexif.search.search import pilot, search
from builders.flickrexif.search.status import status_text
from builders.flickrexif.store.store import State
from tests.support.clocks import SimulatedClock
from tests.support.flickr import KEY, Faults, Flickr, serving
from tests.support.flickr_world import DAYS, START, World

PER_HOUR = 3600
WITH_EXIF = "selected = 1 AND exif_status = 'ok'"


class Halt(Exception):
    """The end of a run, wherever it is."""


def client_of(state: State, flickr: Flickr, halt_at: int | None) -> FlickrClient:
    """A client that ends the run once the sample has ``halt_at`` photos."""
    budget = CallBudget(state.path_of("budget.json"), state.clock, PER_HOUR)
    client = FlickrClient(
        Credentials(KEY), state.record_call, state.clock, budget,
        user_agent="sample check", url=flickr.api_url, first_wait_s=1.0,
    )  # fmt: skip
    call = client.call

    def counted(*arguments: Any, **options: Any) -> Any:
        if halt_at is not None and state.value(f"SELECT count(*) FROM photos WHERE {WITH_EXIF}") >= halt_at:
            raise Halt
        return call(*arguments, **options)

    client.call = counted  # type: ignore[method-assign]
    return client


def main() -> int:
    """Run it; exit status 1 if a month is not fair or the forecast is off by more than a tenth."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=int, default=5000)
    parser.add_argument("--count", type=int, default=100_000, help="photos of the double")
    options = parser.parse_args()
    world = World(count=options.count, burst=options.count // 20, owners=options.count // 5, skew=0.5)
    plan = SearchPlan(
        start=START, end=START + DAYS * 86400, per_user_month=5, licences=PERMISSIVE, photos=options.photos
    )
    fair = True
    with (
        serving(world, Faults(busy=0.01, broken=0.01, html=0.01, code=0.01)) as flickr,
        tempfile.TemporaryDirectory() as folder,
    ):
        path, clock = Path(folder) / "state", SimulatedClock()
        with State(path, create=True, clock=clock) as state:
            forecast = pilot(state, client_of(state, flickr, None), plan, connections=1)
            before, began = state.value("SELECT count(*) FROM calls"), clock.now()
        print(f"the double: {options.count:,} photos in 24 months; dry run: {before} calls")
        print(forecast.to_text(PER_HOUR), end="\n\n")
        print("stopped at    photos    calls    hours   fewest  most of a month   chi2 (23)       p")
        for share in (0.1, 0.5, 1.0):
            halt_at = round(share * options.photos) if share < 1 else None
            with State(path, clock=clock) as state:
                with contextlib.suppress(Halt):
                    search(state, client_of(state, flickr, halt_at), plan, connections=1)
                months = Counter(row[0] for row in state.rows(f"SELECT month FROM photos WHERE {WITH_EXIF}"))
                counts = [*months.values(), *[0] * (24 - len(months))]
                test = chisquare(counts)
                calls = state.value("SELECT count(*) FROM calls")
                hours = (clock.now() - began) / 3600
                fair &= test.pvalue > 0.05
                print(
                    f"{share:>10.0%} {sum(counts):>9,} {calls:>8,} {hours:>8.2f} {min(counts):>8} {max(counts):>6}"
                    f" {test.statistic:>21.2f} {test.pvalue:>9.4f}"
                )
                last = status_text(state, PER_HOUR)
        took, forecast_hours = calls - before, forecast.seconds(PER_HOUR) / 3600
        print(f"\nforecast {forecast.calls:,} calls, took {took:,}: {forecast.calls / took - 1:+.1%}")
        print(f"forecast {forecast_hours:.2f} hours, took {hours:.2f}: {forecast_hours / hours - 1:+.1%}")
        print(f"most calls of one photo: {max(flickr.exif_calls.values())}", end="\n\n")
        print(last)
    return 0 if fair and abs(forecast.calls / took - 1) <= 0.1 and abs(forecast_hours / hours - 1) <= 0.1 else 1


if __name__ == "__main__":
    raise SystemExit(main())
