"""The schema of results, their files, and what people see of them: report and picture.

Asks the scores themselves what they are; knows no task by its name.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
