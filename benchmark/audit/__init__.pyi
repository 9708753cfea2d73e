from .repair_plan import parse_repair
from .repairs import repair
from .report import card_section, write_audit
from .result import Audit
from .run import audit

__all__ = [
    "Audit",
    "audit",
    "card_section",
    "parse_repair",
    "repair",
    "write_audit",
]
