"""The plugin and its routes: HTTP in, HTTP out. The routes are described in `docs/http_api.md`."""

from __future__ import annotations

import json
import logging
import re
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from tensorboard import errors as tb_errors
from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

from conceptmon_tb.metadata import PLUGIN_NAME
from conceptmon_tb.plugin.answer_room import AnswerRoom
from conceptmon_tb.plugin.errors import BadRequestError, ForbiddenError, NotFoundError, TooManyRequestsError
from conceptmon_tb.plugin.source import Source
from conceptmon_tb.plugin.static_files import FOR_EVER, VERSIONED, StaticFiles
from conceptmon_tb.plugin.visitors import check_visitor, own_names

if TYPE_CHECKING:
    from conceptmon_tb.plugin.answers import Answers
    from conceptmon_tb.plugin.evolutions import Order
    from conceptmon_tb.plugin.neurons import Part

JSON = "application/json"
BINARY = "application/octet-stream"
TAB_NAME = "Concept Monitor"
MAX_NEAREST = 100
MAX_EVOLUTIONS = 200
MAX_WORDS = 64
MAX_FILM = 64
_MAX_IN_NAME = 80
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'self'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""On every answer: none is a page, and none is for the pages of other sites."""

NO_DATA_SERVER = "TensorBoard's data server has ended, and is not started by itself: start TensorBoard again"

PARTS: tuple[Part, ...] = ("all", "frames", "details")
ORDERS: tuple[Order, ...] = ("most", "least")

_logger = logging.getLogger(__name__)

_Choice = TypeVar("_Choice", bound=str)

Handler = Callable[["_Request"], wrappers.Response]


class ConceptMonitorPlugin(base_plugin.TBPlugin):  # type: ignore[misc]  # TensorBoard has no types
    """The Concept Monitor tab.

    Args:
        context: TensorBoard's `TBContext`; its data provider is used, and what `--host` was given.
    """

    plugin_name = PLUGIN_NAME

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self._provider = context.data_provider
        self._names = own_names(getattr(context, "flags", None))
        self._static = StaticFiles()
        self._room = AnswerRoom()
        self._active = False
        self._made: Answers | None = None
        self._lock = threading.Lock()

    def is_active(self) -> bool:
        """Whether any run has concept data. Once true it stays so; before, it costs one light call.

        The tab's own page explains what to do where there is no data: it opens from TensorBoard's menu
        of inactive plugins and at `#conceptmon`.
        """
        if not self._active:
            try:
                self._active = Source(self._provider).has_data()
            except Exception:  # must not break the page of all other plugins
                _logger.debug("could not ask for concept data", exc_info=True)
        return self._active

    def frontend_metadata(self) -> Any:
        """Tell TensorBoard which module draws the tab, by an address that changes with the tab's files.

        TensorBoard asks whenever a page needs it, and its page around the tab is never kept by a browser.
        """
        version = self._static.version()
        path = f"/index.js?version={version}" if version else "/index.js"
        return base_plugin.FrontendMetadata(es_module_path=path, tab_name=TAB_NAME)

    def get_plugin_apps(self) -> dict[str, Any]:
        """Routes below `/data/plugin/conceptmon`."""
        data: dict[str, Handler] = {
            "/runs": self._runs,
            "/space": self._space,
            "/timeline": self._timeline,
            "/alerts": self._alerts,
            "/layer": self._layer,
            "/neuron": self._neuron,
            "/distances": self._distances,
            "/evolutions": self._evolutions,
            "/scalars": self._scalars,
            "/images": self._images,
            "/anchor": self._anchor,
            "/export": self._export,
        }
        # The tab's own files are no secret, and the tab is what tells its reader that data were refused.
        files: dict[str, Handler] = {"/index.js": self._index_js, "/static/*": self._static_file}
        return {
            **{route: self._serve(handler, is_data=True) for route, handler in data.items()},
            **{route: self._serve(handler, is_data=False) for route, handler in files.items()},
        }

    @property
    def _answers(self) -> Answers:
        with self._lock:
            if self._made is None:
                # What decodes payloads takes a while to import: TensorBoard's start need not wait for it.
                from conceptmon_tb.plugin.answers import Answers

                self._made = Answers()
            return self._made

    def _serve(self, handler: Handler, is_data: bool) -> Any:
        """Wrap a route: methods, visitors, headers, and every error as JSON."""

        def application(request: wrappers.Request) -> wrappers.Response:
            response = self._answer(request, handler, is_data)
            response.headers.update(HEADERS)
            return response

        return wrappers.Request.application(application)

    def _answer(self, request: wrappers.Request, handler: Handler, is_data: bool) -> wrappers.Response:
        if request.method not in ("GET", "HEAD"):
            message = f"method {request.method[:80]} is not allowed: this plugin only reads"
            return _error(request, 405, message, headers=[("Allow", "GET, HEAD")])
        asked = _Request(request, self._provider, self._room)
        try:
            if is_data:
                check_visitor(request.environ, self._names)
            return handler(asked)
        except BadRequestError as error:
            return _error(request, 400, str(error))
        except ForbiddenError as error:
            return _error(request, 403, str(error))
        except NotFoundError as error:
            return _error(request, 404, f"not found: {error}", details=error.details)
        except TooManyRequestsError as error:
            headers = [("Retry-After", str(error.retry_after))]
            return _error(request, 429, str(error), headers=headers)
        except tb_errors.PublicError as error:
            return _error(request, error.http_code, str(error))
        except Exception as error:  # a reader's bug must reach the log and the tab, not just "500"
            if _has_no_data_server(error):
                return _error(request, 503, NO_DATA_SERVER)
            _logger.exception("Concept Monitor could not answer %r", request.path)
            return _error(request, 500, f"internal error ({type(error).__name__}): see TensorBoard's log")
        finally:
            asked.give_back()

    def _runs(self, request: _Request) -> wrappers.Response:
        answer = self._answers.runs(request.source)
        if request.optional_text("revision") == answer["revision"]:
            return request.json({"revision": answer["revision"], "unchanged": True})
        return request.json(answer)

    def _space(self, request: _Request) -> wrappers.Response:
        run, fingerprint = request.text("run"), request.optional_text("fingerprint")
        return request.binary(self._answers.space(request.source, run, fingerprint))

    def _timeline(self, request: _Request) -> wrappers.Response:
        return request.json(self._answers.timeline(request.source, request.text("run")))

    def _alerts(self, request: _Request) -> wrappers.Response:
        return request.json(self._answers.alerts(request.source, request.text("run")))

    def _layer(self, request: _Request) -> wrappers.Response:
        run, layer, after = request.text("run"), request.text("layer"), request.optional_number("after")
        first, last = request.optional_number("from"), request.optional_number("to")
        if first is not None and last is not None and first > last:
            raise BadRequestError(f"parameter 'from' is {first}, which is after 'to', {last}")
        if after is not None:
            first = after + 1 if first is None else max(first, after + 1)
        part = request.choice("part", PARTS)
        return request.binary(
            self._answers.layer(request.source, run, layer, first, last, part, request.take_room)
        )

    def _neuron(self, request: _Request) -> wrappers.Response:
        run, layer = request.text("run"), request.text("layer")
        neuron, step = request.number("neuron"), request.number("step")
        k = request.optional_number("k")
        if k is not None and not 0 <= k <= MAX_NEAREST:
            raise BadRequestError(f"parameter 'k' is {k}; it must be from 0 to {MAX_NEAREST}")
        nearest = 10 if k is None else k
        across = request.choice("across", ("0", "1")) == "1"
        film = request.numbers("film", MAX_FILM)
        return request.json(
            self._answers.neuron(request.source, run, layer, neuron, step, nearest, across, film)
        )

    def _distances(self, request: _Request) -> wrappers.Response:
        run, layer, step = request.text("run"), request.text("layer"), request.optional_number("step")
        words = request.texts("word", MAX_WORDS)
        return request.json(self._answers.distances(request.source, run, layer, words, step))

    def _evolutions(self, request: _Request) -> wrappers.Response:
        run, tables = request.text("run"), self._answers.evolutions
        first, last = request.optional_number("from"), request.optional_number("to")
        class_name, layer = request.optional_text("class"), request.optional_text("layer")
        k, order = request.optional_number("k"), request.choice("order", ORDERS)
        if k is not None and not 1 <= k <= MAX_EVOLUTIONS:
            raise BadRequestError(f"parameter 'k' is {k}; it must be from 1 to {MAX_EVOLUTIONS}")
        if first is None and last is None:
            if class_name is not None:
                raise BadRequestError("parameters 'from' and 'to' are missing: give them with 'class'")
            return request.json(tables.pairs(request.source, run))
        if first is None or last is None:
            raise BadRequestError("parameters 'from' and 'to' belong together: give both")
        if class_name is None:
            return request.json(tables.describe(request.source, run, first, last))
        most = 20 if k is None else k
        return request.json(tables.ranked(request.source, run, (first, last), class_name, layer, most, order))

    def _scalars(self, request: _Request) -> wrappers.Response:
        run, tag = request.text("run"), request.optional_text("tag")
        if tag is None:
            return request.json(self._answers.scalar_tags(request.source, run))
        return request.json(self._answers.scalar_points(request.source, run, tag))

    def _images(self, request: _Request) -> wrappers.Response:
        run, step = request.text("run"), request.optional_number("step")
        if step is None:
            return request.json(self._answers.images(request.source, run))
        page = self._answers.image_page(request.source, run, step)
        return request.respond(page, "image/jpeg", etag=f"{zlib.crc32(page):08x}-{len(page):x}")

    def _anchor(self, request: _Request) -> wrappers.Response:
        run, word, fingerprint = (
            request.text("run"),
            request.text("word"),
            request.optional_text("fingerprint"),
        )
        missing = request.choice("missing", ("404", "200"))
        try:
            answer = self._answers.anchor(request.source, run, word, fingerprint)
        except NotFoundError as error:
            # A browser writes every 404 into its console: the tab asks for what it expects in another way.
            if missing == "404" or "suggestions" not in error.details:
                raise
            return request.json({"status": "unplaced", "error": f"not found: {error}", **error.details})
        return request.json(
            {"status": "loading"} if answer is None else answer, 202 if answer is None else 200
        )

    def _export(self, request: _Request) -> wrappers.Response:
        run, layer, step = request.text("run"), request.text("layer"), request.number("step")
        spelling = request.choice("format", ("csv", "json"))
        # Names may have any length; a header and a file's name may not.
        parts = ("concepts", run[:_MAX_IN_NAME], layer[:_MAX_IN_NAME], str(step))
        name = re.sub(r"[^A-Za-z0-9.-]+", "_", "_".join(parts))
        headers = [("Content-Disposition", f'attachment; filename="{name}.{spelling}"')]
        if spelling == "csv":
            table = self._answers.export_csv(request.source, run, layer, step)
            return request.respond(table, "text/csv", headers=headers)
        rows = self._answers.export_rows(request.source, run, layer, step)
        return request.respond(_dump({"neurons": rows}), JSON, headers=headers)

    def _index_js(self, request: _Request) -> wrappers.Response:
        return self._file(request, "index.js", request.optional_text("version"))

    def _static_file(self, request: _Request) -> wrappers.Response:
        name = request.path.partition(f"/plugin/{PLUGIN_NAME}/static/")[2]
        versioned = VERSIONED.fullmatch(name)
        if versioned:
            return self._file(request, versioned[2], versioned[1])
        return self._file(request, name, None)

    def _file(self, request: _Request, name: str, version: str | None) -> wrappers.Response:
        found = self._static.read(name)
        if found is None:
            raise NotFoundError(f"file {name!r} of the tab")
        response = request.respond(found.content, found.mime_type, etag=found.tag)
        if self._static.belongs(name, found.tag, version):
            del response.headers["Expires"]
            response.headers["Cache-Control"] = FOR_EVER
        return response


class _Request:
    """A request's checked parameters, and answers to it."""

    def __init__(self, request: wrappers.Request, provider: Any, room: AnswerRoom) -> None:
        self._request = request
        self._room = room
        self._taken: list[Callable[[], None]] = []
        self.path = request.path
        self.source = Source.of_request(provider, request.environ)

    def take_room(self, num_bytes: int) -> None:
        """Wait until there is room for an answer of this size, which is given back when the answer was sent.

        Raises:
            TooManyRequestsError: There was none for too long.
        """
        self._taken.append(self._room.take(num_bytes))

    def give_back(self) -> None:
        """Give back the room that no answer holds."""
        for release in self._taken:
            release()

    def optional_text(self, name: str) -> str | None:
        values = self._request.args.getlist(name)
        if len(values) > 1:
            raise BadRequestError(f"parameter {name!r} is given {len(values)} times; give it once")
        return values[0] if values else None

    def texts(self, name: str, most: int) -> list[str]:
        """A parameter that may be given several times, without repetitions."""
        values = list(dict.fromkeys(self._request.args.getlist(name)))
        if len(values) > most:
            raise BadRequestError(
                f"parameter {name!r} is given {len(values)} times; at most {most} are answered"
            )
        return values

    def numbers(self, name: str, most: int) -> list[int]:
        """A parameter of whole numbers that may be given several times, without repetitions."""
        values = self.texts(name, most)
        for value in values:
            _check_number(name, value)
        return [int(value) for value in values]

    def text(self, name: str) -> str:
        value = self.optional_text(name)
        if value is None:
            raise BadRequestError(f"parameter {name!r} is missing")
        return value

    def choice(self, name: str, choices: Sequence[_Choice]) -> _Choice:
        """One of several words; the first where the parameter is absent or empty."""
        value = self.optional_text(name) or choices[0]
        for choice in choices:
            if choice == value:
                return choice
        listed = ", ".join(repr(choice) for choice in choices)
        raise BadRequestError(f"parameter {name!r} is {value[:80]!r}; it must be one of {listed}")

    def optional_number(self, name: str) -> int | None:
        value = self.optional_text(name)
        if value is None:
            return None
        _check_number(name, value)
        return int(value)

    def number(self, name: str) -> int:
        value = self.optional_number(name)
        if value is None:
            raise BadRequestError(f"parameter {name!r} is missing")
        return value

    def json(self, content: Mapping[str, Any], code: int = 200) -> wrappers.Response:
        return self.respond(_dump(content), JSON, code=code)

    def binary(self, content: bytes) -> wrappers.Response:
        return self.respond(content, BINARY)

    def respond(
        self,
        content: str | bytes,
        mime_type: str,
        headers: list[tuple[str, str]] | None = None,
        etag: str = "",
        code: int = 200,
    ) -> wrappers.Response:
        if etag and etag in self._request.if_none_match:
            return wrappers.Response(status=304, headers=[("ETag", f'"{etag}"')])
        response: wrappers.Response = http_util.Respond(
            self._request, content, mime_type, code=code, headers=headers
        )
        if etag:
            response.set_etag(etag)
        while self._taken:
            response.call_on_close(self._taken.pop())
        return response


def _has_no_data_server(error: Exception) -> bool:
    """Whether a call failed because nobody is there; grpc's errors are of no public type."""
    code = getattr(error, "code", None)
    return callable(code) and getattr(code(), "name", "") == "UNAVAILABLE"


def _check_number(name: str, value: str) -> None:
    if not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise BadRequestError(f"parameter {name!r} is {value[:80]!r}; it must be a whole number")


def _error(
    request: wrappers.Request,
    code: int,
    message: str,
    headers: list[tuple[str, str]] | None = None,
    details: Mapping[str, Any] | None = None,
) -> wrappers.Response:
    content = _dump({"error": message, **(details or {})})
    response: wrappers.Response = http_util.Respond(request, content, JSON, code=code, headers=headers)
    return response


def _dump(content: Mapping[str, Any]) -> str:
    return json.dumps(content, allow_nan=False, separators=(",", ":"))
