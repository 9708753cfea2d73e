"""Comparison of anybody's systems item by item: tables and logs of evaluation harnesses become scores by item."""
