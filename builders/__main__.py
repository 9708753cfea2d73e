"""``python -m builders COMMAND``: make, check and publish data sets."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from builders.command_line import Command, run_command

COMMANDS: dict[str, Command] = {
    "imagenet": Command("builders.processed.command:imagenet", "ImageNet-1k, processed in known ways"),
    "inat2018": Command("builders.processed.command:inat2018", "iNaturalist 2018, processed in known ways"),
    "folder": Command("builders.processed.command:folder", "any labelled photos, processed in known ways"),
    "paircams": Command("builders.paircams.builder:main", "pairs of photos by a phone and by an older camera"),
    "check": Command("builders.check:main", "read a built folder as a stranger would, and test its labels"),
    "publish": Command(
        "builders.publishing.command:main", "a built folder, or its recipe, to the Hub (dry run by default)"
    ),
    "flickrexif": Command("builders.flickrexif.cli:main", "photos of Flickr with labels of how they were taken"),
    "simcams": Command("builders.simcams.cli:main", "one scene through many simulated cameras, exact labels"),
}
"""Each entry is added by the change that adds its module."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__.strip() + "\n\ncommands:")
        for name, command in COMMANDS.items():
            print(f"  {name:12} {command.summary}")
        print("\n'python -m builders COMMAND --help' explains one of them.")
        return 0
    return run_command(arguments[0], arguments[1:], COMMANDS)


if __name__ == "__main__":
    sys.exit(main())
