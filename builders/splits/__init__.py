"""Train, validation and test splits without common photos, owners, scenes or near-duplicates, and their validation."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
