"""Parts that can be deleted, a folder each, which ``builders/plugins.py`` finds by their module ``extra``."""
