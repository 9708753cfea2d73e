"""How much pinned memory copies to a GPU hold at a time, with events in place of a GPU's."""

from benchmark.bank.fill.device_copy import IN_FLIGHT, DeviceCopy


class Copied:
    """An event of a copy that has arrived or not."""

    def __init__(self, arrived):
        self.arrived, self.waited = arrived, 0

    def query(self):
        return self.arrived

    def synchronize(self):
        self.waited += 1


def held_after(*arrived):
    """Which copies are held, and which were waited for, after copies of which these have arrived."""
    copy = DeviceCopy("cpu")
    events = [Copied(each) for each in arrived]
    for event in events:
        copy._hold(event, [])
    return [events.index(event) for event, _ in copy._in_flight], [event.waited for event in events]


def test_hold__the_oldest_copy_is_waited_for_where_as_many_are_under_way_as_may_be():
    assert IN_FLIGHT == 2
    assert held_after(False, False) == ([0, 1], [0, 0])
    assert held_after(False, False, False) == ([1, 2], [1, 0, 0])
    assert held_after(False, False, False, False) == ([2, 3], [1, 1, 0, 0])


def test_hold__copies_that_arrived_in_order_are_let_go():
    assert held_after(True, False) == ([1], [0, 0])
    assert held_after(True, True, True) == ([2], [0, 0, 0])
    assert held_after(False, True, False) == ([1, 2], [1, 0, 0])
