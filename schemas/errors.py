"""The one exception that a user's mistake raises."""


class InputError(ValueError):
    """Bad input: a config key, a contract, a file, a column or a row.

    The message is one line for the user: it names the file and the row, column or key, the
    value seen and the value wanted. The command line prints it without a traceback and exits
    with code 2.
    """
