"""Answers of vision-language models in a run: their banks, and what these cost."""
