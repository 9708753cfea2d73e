"""Tables of the documentation that scripts write: ``python -m scripts.docs_tables.NAME``."""
