"""Big jobs on many machines: ``camtrace plan``, ``work``, ``status`` and ``finish``.

``builders.cluster`` defines plans and ranks; this package defines the ranks of each kind of work.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
