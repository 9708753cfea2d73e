"""How arithmetic uses this machine: threads, matrix products by the faster BLAS, compiled kernels, batch sizes.

Knows nothing of photos or encoders.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
