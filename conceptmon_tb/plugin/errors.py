"""What a request can get wrong; `app` answers it as JSON."""

from __future__ import annotations

from typing import Any


class BadRequestError(ValueError):
    """A parameter is missing or malformed."""


class ForbiddenError(PermissionError):
    """Asked for by somebody whom the routes do not answer."""


class NotFoundError(LookupError):
    """Something that a request names is not in the log; `details` go into the answer."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class TooManyRequestsError(RuntimeError):
    """More of something than is answered at once; `retry_after` seconds later there is room again."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after
