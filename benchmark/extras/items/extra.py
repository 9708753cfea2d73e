"""What ``benchmark/extras/items`` adds."""

COMPARISONS = {"items": "benchmark.extras.items.command"}
NAMES = {"ItemComparison": "benchmark.extras.items", "compare_items": "benchmark.extras.items"}
