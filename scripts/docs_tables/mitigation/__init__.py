"""The measured tables of docs/mitigation.md: ``python -m scripts.docs_tables.mitigation``."""
