"""The process that embeds typed words for the tab; `live_words` starts it and talks with it in JSON lines.

A process and not a thread of TensorBoard: torch takes seconds to load and 800 MB to stay, and only a process
gives that back. Here no network can be reached either: an encoder is used if its weights are on this machine.

The first line in names the encoder, the first line out tells its fingerprint or why there is none. Then every
line in is a word and every line out its embedding. It ends when its input ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

if TYPE_CHECKING:
    from conceptmon_tb.encoders import ConceptEncoder

OPEN_CLIP = "open_clip "
WORLD = "conceptmon world"
LEXICON = "conceptmon lexicon"

_NOT_HERE = ("LocalEntryNotFoundError", "OfflineModeIsEnabled", "NetworkClosedError")
_LONGEST = 300


class NetworkClosedError(OSError):
    """Something wanted to reach the network."""


def main() -> None:
    """Serve one encoder over standard input and output."""
    with _own_stdout() as answers:
        close_network()
        limit_memory()
        hello = json.loads(sys.stdin.readline())
        try:
            encoder = load_encoder(hello["encoder"])
            _write(answers, {"fingerprint": encoder.fingerprint})
        except Exception as error:  # noqa: BLE001  # whatever it is, the tab must be told
            traceback.print_exc()
            _write(answers, {"code": explain_failure(error), "reason": describe_failure(error)})
            return
        for line in sys.stdin:
            word = json.loads(line)["word"]
            try:
                encoder.check_words([word])
            except ValueError as error:
                _write(answers, {"code": "vocabulary", "reason": str(error)})
                continue
            try:
                _write(answers, {"embedding": encoder.encode_text([word])[0].tolist()})
            except Exception as error:  # noqa: BLE001
                traceback.print_exc()
                _write(answers, {"reason": describe_failure(error)})


def load_encoder(name: str) -> ConceptEncoder:
    """Load an encoder by the name that a concept space gives it.

    Args:
        name: "conceptmon world", "conceptmon lexicon", or "open_clip MODEL" with or without a tag.
    """
    if name == LEXICON:
        from conceptmon_tb.lexicon import LexiconEncoder

        return LexiconEncoder()
    from conceptmon_tb.encoders import OpenClipEncoder, WorldEncoder

    if name == WORLD:
        return WorldEncoder()
    model, _, tag = name.removeprefix(OPEN_CLIP).partition(" ")
    return OpenClipEncoder(model, tag or None, device="cpu")


def explain_failure(error: BaseException) -> str:
    """Return the code of an encoder that cannot be loaded."""
    for cause in _causes(error):
        if isinstance(cause, ImportError):
            return "not_installed"
        if type(cause).__name__ in _NOT_HERE:
            return "weights"
    return "failed"


def describe_failure(error: BaseException) -> str:
    """Say what failed, for the tab: without the paths of this machine that messages of libraries hold."""
    for cause in _causes(error):
        if isinstance(cause, ModuleNotFoundError) and cause.name:
            return f"the module {cause.name} is missing"
        if isinstance(cause, MemoryError) or "allocate memory" in str(cause):
            return "it needs more than half of this machine's memory"
    message = str(error)
    is_plain = message and len(message) <= _LONGEST and not {"/", "\\"} & set(message)
    return f"{type(error).__name__}: {message if is_plain else 'see the log of TensorBoard'}"


def limit_memory() -> None:
    """Let this process take half of the machine's memory at most: a log chooses the encoder."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    with contextlib.suppress(ValueError, OSError):  # a lower limit is set already
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def close_network() -> None:
    """Make every attempt to reach a host fail."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise NetworkClosedError("this process must not reach the network")

    socket.socket.connect = refuse  # type: ignore[method-assign]
    socket.socket.connect_ex = refuse  # type: ignore[method-assign]
    socket.getaddrinfo = refuse


@contextlib.contextmanager
def _own_stdout() -> Iterator[TextIO]:
    """Keep standard output for answers; what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    with answers:
        yield answers


def _write(answers: TextIO, content: dict[str, Any]) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
