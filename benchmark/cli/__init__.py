"""The commands of camtrace: parsers, console output and exit statuses. Loaded by name; nothing imports them."""
