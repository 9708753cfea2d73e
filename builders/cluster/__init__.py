"""Work cut into ranks: a frozen plan, units of work for each rank, markers of finished ranks, engines that run them.

Independent of photos and encoders: a kind of work defines its units and the facts that must agree on every machine.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
