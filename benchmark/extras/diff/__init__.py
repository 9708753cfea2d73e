"""Difference between ways to the embedding of the same photos, in units of the encoder's weakest trace.

Way (decoder, resize, library, runtime, precision) -> embeddings -> measures by photo -> ``Diff`` -> text, page.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
