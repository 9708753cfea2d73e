"""The options of a run: ``run_options.py`` declares each once, ``presets.py`` names sets of them.

``roles.py`` defines what is declared of an option.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
