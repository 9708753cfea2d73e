"""Work that is cut into ranks: one frozen plan, a share for each rank, markers of what is done, engines that run them.

Knows nothing of photos or encoders: a kind of work says what its units are and what every machine must agree on.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
