"""From downloaded photos to a data set."""
