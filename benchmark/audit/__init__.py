"""Is the label of a data set confounded with codec, size or camera? Headers in, a verdict in words out, and repairs.

Photo -> facts (``features``) -> scan (resumable blocks) -> counts -> questions -> ``Audit`` -> page.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
