"""Big jobs on many machines: ``camtrace plan``, ``work``, ``status`` and ``finish``.

What a plan and a rank are is in ``builders.cluster``; here is what each kind of work means by them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
