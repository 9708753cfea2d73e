"""Commands that share results: publish them, publish the metrics, verify what was published."""
