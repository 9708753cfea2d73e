"""An encoder in, scores out."""
