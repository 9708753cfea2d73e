"""Tasks about the answers of vision-language models."""
