"""Reading of untrusted files, names and addresses: with limits, as plain values, or an error with a reason.

Input of other people and of broken machines is checked here, so that no other package has to.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
