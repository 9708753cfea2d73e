"""One module for each kind of encoder specification."""
