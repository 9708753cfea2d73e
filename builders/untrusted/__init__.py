"""The one door for files, names and addresses from outside: bounded, plain, and refused with a reason.

What strangers and broken machines send is judged here, once, so that no other room has to.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
