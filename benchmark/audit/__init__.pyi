from .run import audit
from .values import Audit

__all__ = [
    "Audit",
    "audit",
]
