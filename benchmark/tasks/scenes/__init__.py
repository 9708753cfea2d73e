"""Tasks about scenes that several groups of cameras show: pair retrieval, and components of variance."""
