"""Photos in, labelled data sets out. Never imports torch, never imports ``benchmark``."""
