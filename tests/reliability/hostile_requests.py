"""Right requests of every route, and what is put into them to break the plugin."""

from __future__ import annotations

JSON, BINARY = "application/json", "application/octet-stream"

# A right request of every route, with the type of its answer.
RIGHT: dict[str, tuple[dict[str, str], str]] = {
    "runs": ({}, JSON),
    "space": ({"run": "one"}, BINARY),
    "timeline": ({"run": "one"}, JSON),
    "alerts": ({"run": "one"}, JSON),
    "layer": ({"run": "one", "layer": "layer1", "from": "0", "to": "2", "after": "0", "part": "all"}, BINARY),
    "neuron": ({"run": "one", "layer": "layer1", "neuron": "1", "step": "1", "k": "2", "film": "1"}, JSON),
    "distances": ({"run": "one", "layer": "layer1", "step": "1", "word": "cat"}, JSON),
    "scalars": ({"run": "one", "tag": "loss/train"}, JSON),
    "images": ({"run": "one", "step": "0"}, "image/jpeg"),
    "anchor": ({"run": "one", "word": "garden", "missing": "404"}, JSON),
    "evolutions": ({"run": "one"}, JSON),
    "export": ({"run": "one", "layer": "layer1", "step": "1", "format": "csv"}, "text/csv; charset=utf-8"),
}
# Parameters that are right in another log than ours.
MORE = {"evolutions": ("from", "to", "class", "layer", "k", "order")}
# The route that is asked with all hostile values of a parameter; what checks it is the same in the others.
FIRST = {name: route for route, (right, _) in reversed(RIGHT.items()) for name in right}
FILES = {"index.js": "text/javascript; charset=utf-8", "static/style.css": "text/css; charset=utf-8"}

# Percent-encoded as they are sent: what is wrong as text, as a number, as UTF-8 and as an encoding.
HOSTILE = (
    "", "%20", "nobody", "-1", "99", "2147483648", "-2147483649", "9" * 18, "9" * 400, "1e3", "0x1", "1.0",
    "%D9%A1", "NaN", "null", "%00", "one%00", "%0d%0aSet-Cookie:a=b", "..%2f..%2fetc%2fpasswd",
    "%2fetc%2fpasswd", "%ff%fe", "%C0%AF", "%ED%A0%80", "%F0%9F%A6%93", "%E2%80%AE", "%zz", "%", "%25",
    "<script>alert(1)</script>", "%27%22%60", "x" * 5000, "[1]", "{}", "$%7B7*7%7D", "%25s%25n",
)  # fmt: skip

METHODS = (
    "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "GETT", "X" * 100,
)  # fmt: skip

WAYS_OUT = (
    "../plugin/app.py", "..%2fplugin%2fapp.py", "%2e%2e/plugin/app.py", "%2e%2e%2fplugin%2fapp.py",
    "%252e%252e%252fplugin%252fapp.py", "..%5cplugin%5capp.py", "....//plugin/app.py", "..;/plugin/app.py",
    "..%c0%afplugin%c0%afapp.py", "%c0%ae%c0%ae/plugin/app.py", "..%ef%bc%8fplugin/app.py",
    "model/../style.css", "model/../../plugin/app.py", "./style.css", "/style.css", "//style.css",
    "style.css/", "style.css/..", "style.css%00", "style.css%00.js", "%00style.css", "style.css%20",
    "STYLE.CSS", "style.css::$DATA", "style.css~", "/etc/passwd", "%2fetc%2fpasswd", "//etc/passwd",
    "file:///etc/passwd", "C:%5cWindows%5cwin.ini", "%5c%5chost%5cshare%5ca.js", "~/.ssh/id_rsa", "", ".",
    "..", "model", "model/", "vendor", "*", "%2a", "vendor/*", "__init__.py",
    "__pycache__/__init__.cpython-311.pyc", "vendor/fetch.py", "vendor/d3/LICENSE", ".git/config",
    "a" * 5000, "a/" * 2000, "%F0%9F%A6%93", "%ED%A0%80", "%ff",
)  # fmt: skip

PIECES = (
    "..", ".", "", "~", "%2e%2e", "%2f", "..%2f", "%5c", "%00", "model", "vendor", "d3", "etc", "passwd",
    "style.css", "index.js", "fetch.py", "__init__.py", "%c0%ae", "%252e", "\\", ";", "C:", "plugin",
    "app.py",
)  # fmt: skip

STRANGE = (
    ("If-None-Match", "*"), ("If-None-Match", 'W/"x", "' + "y" * 5000), ("If-None-Match", "\xff\x01"),
    ("If-Modified-Since", "yesterday"), ("Range", "bytes=0-1"), ("Range", "bytes=5-1,x"),
    ("Accept", "text/html"), ("Accept-Encoding", "gzip;q=0"), ("Accept-Encoding", "br, x" * 500),
    ("Accept-Charset", "utf-7"), ("X-HTTP-Method-Override", "DELETE"), ("X-Original-URL", "/etc/passwd"),
    ("X-Rewrite-URL", "/etc/passwd"), ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Prefix", "/../.."), ("Forwarded", "host=evil.example"), ("Origin", "http://evil.example"),
    ("Referer", "http://evil.example/"), ("Cookie", "a=b;" * 1000), ("Content-Type", "multipart/form-data"),
    ("Transfer-Encoding", "chunked"), ("Content-Length", "-1"), ("Content-Length", "9" * 40),
    ("Expect", "100-continue"), ("Upgrade", "websocket"), ("Authorization", "x" * 5000),
    ("X-TensorBoard-Feature-Flags", "{"), ("X-TensorBoard-Feature-Flags", "[1]"),
)  # fmt: skip
