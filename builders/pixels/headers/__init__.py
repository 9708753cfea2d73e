"""Headers of image files, read without decoding."""
