from .asking import ANSWER_STORAGE, Asking, answering, read_answers_of
from .bank import Bank, BankView
from .block_files import BlockBank, blocks_bytes, merge_blocks
from .fill.answers import fill_answers
from .fill.devices import fill_banks_on, workers_each
from .fill.fill import PassCost, begin_views, fill_banks
from .fill.members import missing_parts
from .fill.targets import OutputsBank, fill_from_file
from .gates import PrecisionVerdict, RuntimeVerdict, check_precision, resolve_runtime
from .keys import bank_key, key_hash, key_of
from .photo_hashes import PhotoHashes, hash_of_block
from .view_file import Blocks

__all__ = [
    "ANSWER_STORAGE",
    "Asking",
    "Bank",
    "BankView",
    "BlockBank",
    "Blocks",
    "OutputsBank",
    "PassCost",
    "PhotoHashes",
    "PrecisionVerdict",
    "RuntimeVerdict",
    "answering",
    "bank_key",
    "begin_views",
    "blocks_bytes",
    "check_precision",
    "fill_answers",
    "fill_banks",
    "fill_banks_on",
    "fill_from_file",
    "hash_of_block",
    "key_hash",
    "key_of",
    "merge_blocks",
    "missing_parts",
    "read_answers_of",
    "resolve_runtime",
    "workers_each",
]
