"""Embeddings of words that a reader types, by the encoder that made the space, if it is on this machine.

The encoder runs in a process of its own (`encoder_worker`), started when the first word is typed and ended
when none came for a while. No request waits for it to load.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from conceptmon_tb.plugin.cache import RecentItems
from conceptmon_tb.plugin.encoder_worker import LEXICON, OPEN_CLIP, WORLD
from conceptmon_tb.plugin.errors import TooManyRequestsError
from conceptmon_tb.private_files import empty_folder
from conceptmon_tb.snapshot import FloatArray

REMEMBERED_WORDS = 1000
BURST, PER_SECOND = 20, 5.0
IDLE_SECONDS = 600.0
LOAD_SECONDS = 180.0
ANSWER_SECONDS = 0.5
"""For so long a request waits for an encoder that is loaded already."""

_WORD_SECONDS = 60.0
_FORGET_SECONDS = 60.0
_MODULES = ("torch", "open_clip")
# Published models and Hugging Face's cache only: a log must not make TensorBoard open files that it names.
# And with weights only: a name without a tag would fill the memory with random numbers, of no use to a map.
_LOADABLE = re.compile(rf"{OPEN_CLIP}(hf-hub:\w[\w.-]*/\w[\w.-]*|\w[\w.-]* \w[\w.-]*)", re.ASCII)
_LAST_WORDS, _LAST_WORDS_SECONDS = 4000, 5.0
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from conceptmon_tb.plugin.encoder_worker import main; main()"
)

_logger = logging.getLogger(__name__)

RefusalCode = Literal["not_installed", "weights", "other_encoder", "vocabulary", "unknown_encoder", "failed"]


@dataclass(frozen=True)
class Refusal:
    """Why a word cannot be placed.

    Attributes:
        code: For programs.
        reason: For people: what is the matter and what would help.
    """

    code: RefusalCode
    reason: str


class LiveWords:
    """Embeds words in the background, one encoder at a time.

    Args:
        start: Starts the worker process; another one for tests.
        clock: Seconds, for the limit of requests.
    """

    def __init__(
        self,
        start: Callable[[str, int], subprocess.Popen[bytes]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start = start_worker if start is None else start
        self._clock = clock
        self._words: RecentItems[FloatArray | Refusal] = RecentItems(REMEMBERED_WORDS)
        self._refusals: RecentItems[tuple[float, Refusal]] = RecentItems(16)
        self._changed = threading.Condition()
        self._worker: _Worker | None = None
        self._tokens, self._filled = float(BURST), clock()

    def known(self, fingerprint: str, word: str) -> FloatArray | None:
        """Return the embedding of a word that was embedded before, `(dim,)` float32; else None."""
        found = self._words.get((fingerprint, _fold(word)))
        return None if isinstance(found, Refusal) else found

    def embed(self, encoder: str, fingerprint: str, word: str) -> FloatArray | Refusal | None:
        """Embed a word.

        Args:
            encoder: The encoder's name, as a concept space tells it.
            fingerprint: Its fingerprint.
            word: Any text.

        Returns:
            `(dim,)` float32 embedding, why there is none, or None while it is on its way: ask again.

        Raises:
            TooManyRequestsError: Too many words at once.
        """
        key = (fingerprint, _fold(word))
        found = self._words.get(key)
        if found is None:
            found = self._refusal(encoder, fingerprint)
        if found is not None:
            return found
        with self._changed:
            worker = self._worker
            if worker is not None and not worker.ended and worker.fingerprint != fingerprint:
                if worker.pending:
                    return None  # another encoder is at work: it is this one's turn afterwards
                worker.end()
            if worker is None or worker.ended or worker.fingerprint != fingerprint:
                self._take_token()
                worker = self._worker = _Worker(self, encoder, fingerprint)
                worker.add(word)
                worker.start()
            elif _fold(word) not in worker.pending:
                self._take_token()
                worker.add(word)
            if worker.ready:
                self._changed.wait_for(
                    lambda: self._words.get(key) is not None or worker.ended, ANSWER_SECONDS
                )
        return self._words.get(key)

    def _refusal(self, encoder: str, fingerprint: str) -> Refusal | None:
        """Why an encoder cannot be used, as far as is known."""
        if encoder not in (WORLD, LEXICON) and not _LOADABLE.fullmatch(encoder):
            return Refusal("unknown_encoder", _unknown_encoder(encoder))
        missing = [name for name in _MODULES if importlib.util.find_spec(name) is None]
        if missing:
            return Refusal("not_installed", _not_installed(missing))
        known = self._refusals.get(fingerprint)
        # Whoever mends what was missing should not have to start TensorBoard anew.
        return known[1] if known is not None and self._clock() - known[0] < _FORGET_SECONDS else None

    def _take_token(self) -> None:
        now = self._clock()
        self._tokens = min(float(BURST), self._tokens + (now - self._filled) * PER_SECOND)
        self._filled = now
        if self._tokens < 1:
            raise TooManyRequestsError("too many new words at once", retry_after=1)
        self._tokens -= 1

    def _settle(self, fingerprint: str, word: str | None, found: FloatArray | Refusal) -> None:
        """Remember what became of a word, or of the encoder as a whole."""
        with self._changed:
            if word is not None:
                self._words.put((fingerprint, _fold(word)), found)
            elif isinstance(found, Refusal):
                self._refusals.put(fingerprint, (self._clock(), found))
            self._changed.notify_all()


class _Worker(threading.Thread):
    """One worker process, and the words that wait for it."""

    def __init__(self, owner: LiveWords, encoder: str, fingerprint: str) -> None:
        super().__init__(name="conceptmon-words", daemon=True)
        self._owner, self._encoder, self.fingerprint = owner, encoder, fingerprint
        self.ready = self.ended = False
        self.pending: dict[str, str] = {}
        self._queue: deque[str] = deque()
        self._news = threading.Event()

    def add(self, word: str) -> None:
        """Let a word wait for the encoder."""
        self.pending[_fold(word)] = word
        self._queue.append(word)
        self._news.set()

    def end(self) -> None:
        """Let the process end after what it is at."""
        self.ended = True
        self._news.set()

    def run(self) -> None:
        """Start the process, serve words, and end it when none came for a while."""
        complaints = _Complaints()
        refusal: Refusal | None
        try:
            with empty_folder() as folder:
                refusal = self._run_process(str(folder), complaints)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            _logger.debug("the encoder's process failed", exc_info=True)
            refusal = Refusal(
                "failed", f"the encoder's process failed ({type(error).__name__}): see TensorBoard's log"
            )
        if refusal is not None:
            level = logging.WARNING if refusal.code == "failed" else logging.INFO
            _logger.log(
                level, "Concept Monitor cannot place new words: %s\n%s", refusal.reason, complaints.text
            )
        with self._owner._changed:  # noqa: SLF001
            self.ended, self.ready = True, False
            self.pending.clear()
        if refusal is not None:
            self._owner._settle(self.fingerprint, None, refusal)  # noqa: SLF001

    def _run_process(self, folder: str, complaints: _Complaints) -> Refusal | None:
        with self._owner._start(folder, subprocess.PIPE) as process:  # noqa: SLF001
            complaints.listen(process)
            try:
                return self._serve(process)
            finally:
                process.kill()
                complaints.wait()

    def _serve(self, process: subprocess.Popen[bytes]) -> Refusal | None:
        hello = _ask(process, {"encoder": self._encoder}, LOAD_SECONDS)
        if "fingerprint" not in hello:
            return _explain(self._encoder, hello)
        if hello["fingerprint"] != self.fingerprint:
            return Refusal(
                "other_encoder", _other_encoder(self._encoder, hello["fingerprint"], self.fingerprint)
            )
        self.ready = True
        while self._news.wait(IDLE_SECONDS) and not self.ended:
            self._news.clear()
            while self._queue:
                word = self._queue.popleft()
                answer = _ask(process, {"word": word}, _WORD_SECONDS)
                found: FloatArray | Refusal = Refusal(answer.get("code", "failed"), str(answer.get("reason")))
                if "embedding" in answer:
                    found = np.array(answer["embedding"], np.float32)
                self.pending.pop(_fold(word), None)
                self._owner._settle(self.fingerprint, word, found)  # noqa: SLF001
        return None


class _Complaints:
    """The end of what a process says on standard error."""

    def __init__(self) -> None:
        self._said = b""
        self._thread = threading.Thread(name="conceptmon-complaints", daemon=True)

    @property
    def text(self) -> str:
        """What was said so far, or the end of it."""
        return self._said.decode(errors="replace")

    def listen(self, process: subprocess.Popen[bytes]) -> None:
        """Begin to read: nobody else may, and a process that is not read stands still."""
        if process.stderr is not None:
            self._thread = threading.Thread(
                target=self._read, args=(process.stderr,), name="conceptmon-complaints", daemon=True
            )
            self._thread.start()

    def wait(self) -> None:
        """Wait until all was read, but not for a stream that something else keeps open."""
        if self._thread.is_alive():
            self._thread.join(_LAST_WORDS_SECONDS)

    def _read(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):  # closed while something else still held it open
            while piece := os.read(stream.fileno(), 65536):
                self._said = (self._said + piece)[-_LAST_WORDS:]


def start_worker(folder: str, complaints: int) -> subprocess.Popen[bytes]:
    """Start the process that embeds words.

    It runs isolated, in an empty folder and without a network, so that nothing that a log names can lead it
    to a file or a host; and on the CPU, because the GPU is the training's.

    Args:
        folder: An empty folder.
        complaints: Where its standard error goes, as `subprocess.Popen` takes it.
    """
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "2",
    }
    paths = [str(Path(path).absolute()) for path in sys.path if path]
    return subprocess.Popen(  # noqa: S603  # our own interpreter
        [sys.executable, "-I", "-c", _START, json.dumps(paths)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        cwd=folder,
        env=environment,
    )


def _ask(process: subprocess.Popen[bytes], content: dict[str, str], seconds: float) -> dict[str, Any]:
    """Send one line and wait for the answer; a process that takes too long is killed."""
    assert process.stdin is not None
    assert process.stdout is not None
    watchdog = threading.Timer(seconds, process.kill)
    watchdog.start()
    try:
        process.stdin.write(json.dumps(content).encode() + b"\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
    finally:
        watchdog.cancel()
    if not isinstance(answer, dict):
        raise TypeError(f"an answer of type {type(answer).__name__}")
    return answer


def _fold(word: str) -> str:
    return " ".join(word.split()).casefold()


def _explain(encoder: str, hello: dict[str, Any]) -> Refusal:
    """Say why the encoder could not be loaded, and what would help."""
    reason = str(hello.get("reason"))
    if hello.get("code") == "not_installed":
        return Refusal(
            "not_installed",
            f"the encoder cannot be loaded in TensorBoard's environment: {reason}",
        )
    if hello.get("code") == "weights":
        arguments = ", ".join(repr(part) for part in encoder.removeprefix(OPEN_CLIP).split(" "))
        return Refusal(
            "weights",
            f"the weights of {encoder} are not on the machine that runs TensorBoard, which does not download "
            f"any; load them there once with cm.OpenClipEncoder({arguments})",
        )
    return Refusal("failed", f"the encoder {encoder} cannot be loaded: {reason}")


def _unknown_encoder(encoder: str) -> str:
    return (
        f"new words are placed by the encoder that made the map, {encoder!r}; TensorBoard can load the "
        f"bundled encoders and published open_clip models, and opens no other files that a log names"
    )


def _not_installed(missing: list[str]) -> str:
    return (
        f"new words are placed by the encoder that made the map, and TensorBoard's environment lacks "
        f"{' and '.join(missing)}; install torch and open_clip_torch there and start TensorBoard anew"
    )


def _other_encoder(encoder: str, here: object, there: str) -> str:
    return (
        f"the map was made with other weights, templates or precision of {encoder} ({there}) than those that "
        f"TensorBoard finds here ({here}), so its words would land in wrong places"
    )
