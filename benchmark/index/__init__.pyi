from .page import write_index
from .result import IndexAudit
from .run import audit_index

__all__ = ["IndexAudit", "audit_index", "write_index"]
