"""The measured tables of docs/reference/erasers-measured.md: ``python scripts/docs_tables/mitigation``."""
