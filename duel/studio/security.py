"""Who may ask: Host, Origin, token and size are looked at before anything else happens.

A page of another site may make a browser send requests here. What stops it: the name that it thinks it talks
to (Host: a name that was rebound to this machine is not ours), where the request comes from (Origin and
Sec-Fetch-Site), and a header that only our own pages can send. Beyond the loopback address there is a token,
as Jupyter does it: in the address once, then in a cookie.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_JSON = 64 * 1024  # bytes of a request's body
MOST_UPLOAD = 8 * 1024 * 1024  # of an image
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_READS = ("GET", "HEAD")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Gate:
    """host, port: where the studio listens. token: what must be shown; None on the loopback address."""

    host: str
    port: int
    token: str | None

    @property
    def cookie(self) -> str:
        """The cookie's name: studios on several ports of one machine do not disturb each other."""
        return f"duel-studio-{self.port}"

    @property
    def pass_value(self) -> str:
        """What the cookie holds: it opens this studio, and does not tell the token."""
        return hashlib.sha256(f"cookie {self.token}".encode()).hexdigest()


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered."""

    status: int
    sentence: str


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refusal(gate: Gate, method: str, path: str, query: str, headers: dict[str, str]) -> Refusal | None:
    """Why this request may not pass, or None. Header names in small letters."""
    host = headers.get("host", "")
    if not _known_host(gate, host):
        return Refusal(403, f"this studio is not called {host[:100]!r}: open the address that it printed")
    if not _own_origin(headers, host):
        return Refusal(403, "the request comes from another site")
    if method not in _READS and headers.get("x-duel") != "studio":
        return Refusal(403, "the request does not come from the studio's own pages")
    if not has_token(gate, query, headers):
        return Refusal(401, "this studio wants a token: open the address that it printed when it started")
    return None


def _known_host(gate: Gate, given: str) -> bool:
    """Whether a Host header names us. The port may be another one: that of a tunnel."""
    name = _without_port(given)
    if name is None:
        return False
    if is_loopback(gate.host):
        return name in _LOOPBACK or name == gate.host.strip("[]")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in (*_LOOPBACK, gate.host, socket.gethostname().lower(), socket.getfqdn().lower())
    return True  # an address cannot be rebound


def _without_port(host: str) -> str | None:
    host = host.strip().lower()
    if host.startswith("["):
        inside, bracket, rest = host[1:].partition("]")
        return inside if bracket and (not rest or _is_port(rest)) else None
    name, colon, port = host.partition(":")
    return name if name and (not colon or port.isdecimal()) else None


def _is_port(rest: str) -> bool:
    return rest.startswith(":") and rest[1:].isdecimal()


def _own_origin(headers: dict[str, str], host: str) -> bool:
    """Whether the browser says that our own page asks, or nobody's: an address that was typed or followed."""
    origin = headers.get("origin")
    if origin is not None and origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}"):
        return False
    if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return True
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def has_token(gate: Gate, query: str, headers: dict[str, str]) -> bool:
    """Whether the token is in the address, in a header, or its sign in the cookie."""
    if gate.token is None:
        return True
    shown = [value for name, value in parse_qsl(query) if name == "token"]
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() in ("token", "bearer"):
        shown.append(value.strip())
    if any(hmac.compare_digest(each.encode(), gate.token.encode()) for each in shown):
        return True
    return hmac.compare_digest(_cookie(gate, headers).encode(), gate.pass_value.encode())


def _cookie(gate: Gate, headers: dict[str, str]) -> str:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(headers.get("cookie", ""))
    except CookieError:
        return ""
    return jar[gate.cookie].value if gate.cookie in jar else ""


# ---------------------------------------------------------------- as part of the server


class Guard:
    """Stands before the app: refuses, takes the token out of the address, measures bodies, adds headers."""

    def __init__(self, app: App, gate: Gate) -> None:
        self._app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # nothing here speaks WebSocket
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        query = scope["query_string"].decode("latin-1")
        said = refusal(self._gate, scope["method"], scope["path"], query, headers)
        if said is not None:
            await _refuse(send, said, scope["path"])
            return
        if self._gate.token is not None and scope["path"] == "/" and "token=" in query:
            await self._enter(send, query)
            return
        if scope["method"] not in _READS:
            body = await _whole_body(receive, _limit(scope["path"]), headers)
            if isinstance(body, Refusal):
                await _refuse(send, body, scope["path"])
                return
            receive = _again(body, receive)
        await self._app(scope, receive, _with_headers(send))

    async def _enter(self, send: Send, query: str) -> None:
        """To the same address without the token, with the cookie in its place."""
        rest = urlencode([pair for pair in parse_qsl(query) if pair[0] != "token"])
        cookie = f"{self._gate.cookie}={self._gate.pass_value}; Path=/; HttpOnly; SameSite=Strict"
        headers = {**HEADERS, "Location": f"/?{rest}" if rest else "/", "Set-Cookie": cookie}
        await _send(send, 303, headers, b"")


def _limit(path: str) -> int:
    return MOST_UPLOAD if path.endswith("/explore/encode") else MOST_JSON


async def _whole_body(receive: Receive, most: int, headers: dict[str, str]) -> bytes | Refusal:
    """The body, no longer than allowed, whatever its length was said to be."""
    too_large = Refusal(413, f"the request is too large: at most {most:,} bytes are read")
    said = headers.get("content-length", "0")
    if not said.isdecimal() or int(said) > most:
        return too_large
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return Refusal(400, "the request was cut off")
        body += message.get("body", b"")
        if len(body) > most:
            return too_large
        if not message.get("more_body"):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that hands out a body that was read already, then waits as before."""
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            own = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
            message["headers"] = [*message["headers"], *(pair for pair in own if pair[0] not in given)]
        await send(message)

    return sending


_ENTRY = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>duel studio</title></head><body>
<h1>duel studio</h1><p>This studio wants a token: it was printed with the address when it started.</p>
<form action="/" method="get"><label>Token <input name="token" type="password" autofocus></label>
<button>Enter</button></form></body></html>"""


async def _refuse(send: Send, said: Refusal, path: str) -> None:
    if said.status == 401 and path == "/":
        await _send(send, 401, {**HEADERS, "Content-Type": "text/html; charset=utf-8"}, _ENTRY.encode())
        return
    headers = {**HEADERS, "Content-Type": "application/json"}
    from json import dumps

    await _send(send, said.status, headers, dumps({"error": said.sentence}).encode())


async def _send(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    raw = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
