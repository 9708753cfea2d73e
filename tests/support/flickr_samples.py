"""Doubles of the calls that a sample and a fill make, on a state with a simulated clock, and a record of them."""

from builders.flickrexif.api.exif_answers import dumps
from builders.flickrexif.api.search_results import SearchResult
from builders.flickrexif.search.plan import SearchPlan
from builders.flickrexif.search.sample import Sample
from builders.flickrexif.store.store import State
from tests.support.clocks import SimulatedClock

DAY = 86400
NOW = 1_500_000_000.0
JANUARY, FEBRUARY, MARCH = 1_325_376_000, 1_328_054_400, 1_330_560_000
"""The first seconds of three months of 2012, UTC."""


class Sampling:
    """A state on a simulated clock, and doubles of the calls. ``calls`` has what was called, in order."""

    def __init__(self, folder, monkeypatch, module):
        self.state = State(folder, create=True, clock=SimulatedClock(NOW))
        self.calls = []
        self.totals, self.readings, self.statuses, self.makes = {}, {}, {}, {}
        """Lists of totals by subject, readings by start of a window (a list: in turn), Exif status by id ("ok" if
        absent), and makes by id."""
        monkeypatch.setattr(module, "count_slice", self._count)
        monkeypatch.setattr(module, "read_whole", self._read)
        monkeypatch.setattr(module, "request_exif", self._request)

    def of(self, plan, connections=3):
        return Sample(self.state, "client", plan, connections=connections, tick=self.tick)

    def month(self, month, start, end, **columns):
        row = {"month": month, "start": start, "end": end, **columns}
        names = ", ".join(f'"{name}"' for name in row)
        self.state.rows(f"INSERT INTO strata ({names}) VALUES ({','.join('?' * len(row))})", *row.values())

    def photo(self, id, month="2012-01", uploaded=JANUARY, **columns):
        row = {"id": id, "owner": f"{id}@N00", "source": "search", "urls": "{}", "rank": id, "month": month,
               "uploaded": uploaded, **columns}  # fmt: skip
        self.state.rows(f"INSERT INTO photos ({', '.join(row)}) VALUES ({','.join('?' * len(row))})", *row.values())

    def strata(self, columns):
        return [tuple(row) for row in self.state.rows(f"SELECT {columns} FROM strata ORDER BY start")]

    def tick(self):
        self.calls.append("tick")
        self.state.clock.sleep(1)

    def _count(self, client, piece, subject, *text):
        self.calls.append(("count", client, piece, subject, *(text or [self.state.clock.now() - NOW])))
        return self.totals[subject].pop(0)

    def _read(self, client, piece, subject, *text):
        self.calls.append(("read", client, piece, subject, *text))
        reading = self.readings[piece.start]
        return reading.pop(0) if isinstance(reading, list) else reading

    def _request(self, state, client, ids, connections, tick):
        assert (state, client, connections, tick) == (self.state, "client", 3, self.tick)
        self.calls.append(("exif", [*ids]))
        for id in ids:
            state.rows("UPDATE photos SET exif_status = ? WHERE id = ?", self.statuses.get(id, "ok"), id)
            self.exif(id)

    def exif(self, id):
        if id in self.makes:
            entries = dumps({("IFD0", "Make"): self.makes[id]})
            self.state.rows("INSERT OR REPLACE INTO exif VALUES (?, ?)", id, entries)


def plan_of(photos=300, **options):
    return SearchPlan(**{"start": JANUARY, "end": MARCH, "per_user_month": 5, "licences": (4, 7), "seed": 3, **options,
                         "photos": photos})  # fmt: skip


def result(id, owner=None, uploaded=JANUARY):
    return SearchResult(id, owner or f"{id}@N00", "n", "t", uploaded, "", 4, "jpg", {})
