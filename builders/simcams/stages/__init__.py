"""The stages of a simulated shot in NumPy, which define the result."""
