"""Closed questions about photos, and what a vision-language model answers: options, logits, margins and flips.

Pure arithmetic: who asks and what is scored are ``encoders/`` and ``tasks/``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
