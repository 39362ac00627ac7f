"""Base of errors that the user of a command can mend.

A command prints the message and ends with status 1; any other exception is a bug and keeps its
traceback.
"""


class UserError(Exception):
    """A file, an option or a state of the shop that must change before the command can succeed.

    The message says what happened, where, and what to do.
    """
