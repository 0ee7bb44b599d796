"""What `bayescale` raises when it is given something it cannot use."""


class InputError(ValueError):
    """What the user gave cannot be used as it is.

    The message names the column or input, the row where there is one, and the remedy. It is a
    `ValueError`, so code that catches those needs no change.

    Parameters
    ----------
    message
        What is wrong and how to undo it.
    code
        What kind of error it is, for programs: ``"missing-values"``, ``"checkpoints"``, ...;
        ``"input"`` where it has no name of its own.

    Examples
    --------
    >>> from bayescale.common.errors import InputError
    >>> from bayescale.language.columns import check_values
    >>> try:
    ...     check_values("D", 20.0)
    ... except InputError as error:
    ...     print(error)
    'D': 20 is below 1e+06 tokens; if it is in billions, multiply it by 1e9
    """

    def __init__(self, message: str = "", *, code: str = "input") -> None:
        super().__init__(message)
        self.code = code
