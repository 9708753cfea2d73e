from .asked_views import begin_views
from .bank import Bank, BankView
from .block_files import BlockBank, BlockRows, merge_blocks, view_path
from .embed import PassCost, fill_banks
from .from_file import fill_from_file
from .keys import bank_key, key_hash, key_of
from .outputs_bank import OutputsBank
from .photo_hashes import PhotoHashes, hash_of_block, photos_bytes_hash
from .precision_gate import Verdict, judge
from .runtime_gate import RuntimeVerdict, settled
from .several_devices import fill_banks_on, workers_each
from .view_file import Blocks

__all__ = [
    "Bank",
    "BankView",
    "BlockBank",
    "BlockRows",
    "Blocks",
    "OutputsBank",
    "PassCost",
    "PhotoHashes",
    "RuntimeVerdict",
    "Verdict",
    "bank_key",
    "begin_views",
    "fill_banks",
    "fill_banks_on",
    "fill_from_file",
    "hash_of_block",
    "judge",
    "key_hash",
    "key_of",
    "merge_blocks",
    "photos_bytes_hash",
    "settled",
    "view_path",
    "workers_each",
]
