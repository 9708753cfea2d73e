"""The base of all commands: parsers with their help pages, lazy sub-commands, errors in one sentence, exit statuses."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
