"""Base class of errors that the user of a command can fix.

A command prints the message and ends with status 1; any other exception is a bug and keeps its
traceback.
"""


class UserError(Exception):
    """An error in a file, an option or the state of the shop, which the user can fix.

    The message says what happened, where, and what to do.
    """
