"""Use of the machine by computations: threads, memory, devices, compiled kernels, and small records on disk.

Independent of photos and encoders.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
