"""What the checks of Slurm and Ray share."""
