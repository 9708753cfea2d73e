"""What columns say of photos: labels, groups, clusters and splits, from tables and from paths."""
