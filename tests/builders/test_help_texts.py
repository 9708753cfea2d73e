"""What the help pages of ``camtrace build`` say: descriptions, examples, and a line for each option, as recorded."""

import argparse

from builders.__main__ import COMMANDS


def of_parser(parser, name):
    """By command: description, end of the page, options that it shows first, examples, and the help of each option."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    texts = {
        "description": parser.description,
        "end": parser.epilog,
        "first": list(parser.most_used),
        "examples": list(parser.examples),
        "options": {
            " ".join(action.option_strings) or action.metavar or action.dest: action.help
            for action in parser._actions
            if not isinstance(action, (argparse._HelpAction, argparse._SubParsersAction))
        },
    }
    yield name, texts
    for group in groups:
        for line in group._choices_actions:
            texts["options"][line.dest] = line.help
        for word, child in group.choices.items():
            yield from of_parser(child, f"{name} {word}")


def test_help__of_every_command():
    texts = dict(part for name, command in COMMANDS.items() for part in of_parser(command.parser(), f"build {name}"))
    assert len(texts) > 15
