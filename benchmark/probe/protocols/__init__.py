"""How probes are fitted: one module for each protocol."""
