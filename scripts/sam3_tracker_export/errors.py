"""The one error that the command reports without a traceback."""


class ExportError(Exception):
    """The export cannot be done: the message says why, and what would help."""
