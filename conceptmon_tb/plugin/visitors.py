"""Whom the data routes answer: not the pages of other sites (docs/decisions/007-foreign-hosts.md).

TensorBoard answers whoever reaches its port, under any name. A web page of a stranger reaches the port of a
machine that opens it, too: it can ask directly (and not read the answer), or give its own name the address
127.0.0.1 (DNS rebinding) and then read what it likes. Both are told apart from all uses that we know of.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from conceptmon_tb.plugin.errors import BadRequestError, ForbiddenError

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?", re.ASCII)
_SHOWN = 80


def own_names(flags: Any) -> frozenset[str]:
    """Names of this machine that no stranger can take.

    Args:
        flags: TensorBoard's parsed flags, or None.

    Returns:
        Lower-case names: what `--host` was given, and what the machine calls itself.
    """
    names = (getattr(flags, "host", None), socket.gethostname())
    return frozenset(name.strip("[]").rstrip(".").lower() for name in names if isinstance(name, str))


def check_visitor(environ: Mapping[str, Any], names: Collection[str]) -> None:
    """Refuse what a page of another site asks for.

    Args:
        environ: The WSGI environment of a request.
        names: Names of this machine, as `own_names` gives them.

    Raises:
        BadRequestError: The `Host` header is none.
        ForbiddenError: The request is from a page of another site.
    """
    site, mode = environ.get("HTTP_SEC_FETCH_SITE"), environ.get("HTTP_SEC_FETCH_MODE")
    if site == "cross-site" and mode != "navigate":
        raise ForbiddenError("asked for by a page of another site; open it in TensorBoard, or by its address")
    host = str(environ.get("HTTP_HOST", ""))
    if not host:
        return  # HTTP/1.0: no browser
    found = _HOST.fullmatch(host)
    if found is None:
        raise BadRequestError(
            f"the header Host is {host[:_SHOWN]!r}; it must be a name or address, and a port"
        )
    name, port = found[1].strip("[]").rstrip(".").lower(), int(found[2] or 80)
    # A rebound name carries the port of the server that it reaches. A proxy's or a tunnel's carries its own.
    is_direct = port == _number(environ.get("SERVER_PORT")) and _is_loopback(environ.get("SERVER_NAME"))
    if is_direct and not (_is_address(name) or _is_localhost(name) or name in names):
        raise ForbiddenError(
            f"TensorBoard listens on this machine alone and was asked for as {host[:_SHOWN]!r}, which a page "
            f"of another site can call itself. Open it as localhost or by an address; or, if the name is "
            f"yours, start TensorBoard with --host={name[:_SHOWN]}"
        )


def _number(text: object) -> int | None:
    return int(text) if isinstance(text, str) and text.isdecimal() else None


@lru_cache(maxsize=16)
def _is_loopback(bound: object) -> bool:
    """Whether what a server is bound to is reached from this machine alone."""
    if not isinstance(bound, str):
        return False
    return _is_localhost(bound) or (_is_address(bound) and ipaddress.ip_address(bound).is_loopback)


def _is_localhost(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
