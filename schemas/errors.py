"""The exceptions that end a command with one line."""


class InputError(ValueError):
    """Bad input: a config key, a contract, a file, a column or a row.

    The message is one line for the user: it names the file and the row, column or key, the
    value seen and the value wanted. The command line prints it without a traceback and exits
    with code 2.
    """


class RunError(RuntimeError):
    """A run was ended by what no input explains: a full disk, a bug.

    The message is one line with the stage, the error and the file that holds its traceback. The
    command line prints it and exits with code 1.
    """
