"""Index of vectors: do nearest neighbours follow codec, size or quality beyond content, and a repair without encoding.

Vectors and photos -> neighbours -> shares beyond label and chance -> ``IndexAudit`` -> page; map -> files.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
