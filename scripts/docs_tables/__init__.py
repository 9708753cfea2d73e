"""Tables of the documentation that scripts write: ``python scripts/docs_tables/NAME.py``."""
