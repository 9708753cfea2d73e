from .bank import Bank, BankView, bank_key, photos_bytes_hash
from .embed import PassCost, fill_banks
from .precision_gate import Verdict, judge
from .runtime_gate import RuntimeVerdict, settled

__all__ = [
    "Bank",
    "BankView",
    "PassCost",
    "RuntimeVerdict",
    "Verdict",
    "bank_key",
    "fill_banks",
    "judge",
    "photos_bytes_hash",
    "settled",
]
