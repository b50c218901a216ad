"""Two families of error, ours and theirs, each with a stable `code`: on the wire, in logs, metrics."""


class ConclaveError(Exception):
    """Base of every error that this project raises on purpose."""

    def __init__(self, code: str, message: str) -> None:
        """`code` is a stable snake_case identifier for programs, `message` a sentence for people."""
        super().__init__(message)
        self.code = code
        self.message = message


class LocalError(ConclaveError):
    """The caller's mistake: a command or a configuration that cannot be carried out."""


class RemoteError(ConclaveError):
    """The peer's mistake: malformed, forbidden or impossible in this state. Never a reason to crash."""
