"""A clock whose time passes only when somebody waits."""

import threading


class SimulatedClock:
    """Time that passes only when somebody waits or works."""

    def __init__(self, at=1_500_000_000.0):
        self.at = at
        self._lock = threading.Lock()

    def now(self):
        return self.at

    def sleep(self, seconds):
        with self._lock:
            self.at += seconds

    def stop(self):
        pass
