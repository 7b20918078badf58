"""The one error of this package."""


class ClusterError(Exception):
    """Something that the user can mend: one line that says what is wrong and what to do."""
