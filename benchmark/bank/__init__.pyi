from .bank import Bank, BankView, bank_key, key_hash
from .embed import PassCost, fill_banks
from .from_file import fill_from_file
from .photo_hashes import PhotoHashes, photos_bytes_hash
from .precision_gate import Verdict, judge
from .runtime_gate import RuntimeVerdict, settled
from .several_devices import fill_banks_on, workers_each

__all__ = [
    "Bank",
    "BankView",
    "PassCost",
    "PhotoHashes",
    "RuntimeVerdict",
    "Verdict",
    "bank_key",
    "fill_banks",
    "fill_banks_on",
    "fill_from_file",
    "judge",
    "key_hash",
    "photos_bytes_hash",
    "settled",
    "workers_each",
]
