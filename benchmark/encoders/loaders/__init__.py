"""Loaders, one module for each kind of encoder specification."""
