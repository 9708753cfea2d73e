"""Tasks about a given group such as a scanner or a site: can it be read, does it move neighbours, which prevails?"""
