"""The command line in two languages: what it says itself, and what click and plugins say through it."""

from lanmu.i18n import Catalog, Filled, Rewording, _, terminal_locale
from lanmu.i18n import told as told_as_text
from lanmu.interfaces.errors import LanmuError

_known = Catalog()

CLICK = Rewording(
    {
        "No such option {name}. {more}": _("There is no option %(name)s. %(more)s"),
        "No such option {name}.": _("There is no option %(name)s."),
        "No such command {name}. {more}": _("There is no command %(name)s. %(more)s"),
        "No such command {name}.": _("There is no command %(name)s."),
        "Did you mean {near}?": _("Did you mean %(near)s?"),
        "(Did you mean one of: {near}?)": _("Did you mean %(near)s?"),
        "Missing command.": _("A command is missing."),
        "Missing argument {name}. {more}": _("The argument %(name)s is missing. %(more)s"),
        "Missing argument {name}.": _("The argument %(name)s is missing."),
        "Missing option {name}. {more}": _("The option %(name)s is missing. %(more)s"),
        "Missing option {name}.": _("The option %(name)s is missing."),
        "Got unexpected extra argument ({names})": _("There is no place for this: %(names)s"),
        "Got unexpected extra arguments ({names})": _("There is no place for this: %(names)s"),
        "Option {name} requires an argument.": _("The option %(name)s needs a value."),
        "Option {name} does not take a value.": _("The option %(name)s takes no value."),
        "Invalid value for {name}: {fault}": "%(name)s: %(fault)s",
        "{value} is not a valid integer.": _("%(value)s is not a whole number."),
        "{value} is not a valid integer range.": _("%(value)s is not a whole number."),
        "{value} is not a valid float.": _("%(value)s is not a number."),
        "{value} is not in the range {range}.": _("%(value)s is not in the range %(range)s."),
        "{value} is not one of {choices}.": _("%(value)s is none of %(choices)s."),
        "{kind} {name} does not exist.": _("%(name)s does not exist."),
        "{kind} {name} is a directory.": _("%(name)s is a folder."),
        "{kind} {name} is a file.": _("%(name)s is a file."),
        "{kind} {name} is not readable.": _("%(name)s cannot be read."),
        "{kind} {name} is not writable.": _("%(name)s cannot be written."),
        "Could not open file {name}: {fault}": "%(name)s: %(fault)s",
        "Choose from: {choices}": _("Choose from: %(choices)s"),
        "[OPTIONS]": _("[OPTIONS]"),
        "COMMAND [ARGS]...": _("COMMAND [ARGS]..."),
        "default: {value}": _("default: %(value)s"),
        "required": _("required"),
    }
)
"""What click says when a command is mistyped, and beside an option in its help."""


def learn(catalog: Catalog) -> None:
    """Speak with this catalog from now on: a server's knows the words of its plugins too."""
    global _known
    _known = catalog


def say(text: str, **params: object) -> str:
    """The text in the reader's language, its slots filled."""
    return _known.gettext(terminal_locale(), Filled(text, **params) if params else text)


def told(error: LanmuError) -> str:
    """An error as a person reads it, a line for each fault."""
    return say(told_as_text(error))
