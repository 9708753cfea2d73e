"""One HTML page about a built folder for its curator: pictures, counts, licences, duplicates, what is missing."""
