"""The measured tables of docs/reference/erasers-measured.md: ``python -m scripts.docs_tables.mitigation``."""
