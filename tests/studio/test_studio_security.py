"""Attacks on the studio: foreign sites, names that were rebound, tokens, sizes."""

import asyncio

import pytest
from conftest_studio import client_of

from duel.studio.security import Gate, has_token, is_loopback, refusal

LOCAL = Gate("127.0.0.1", 7860, None)
REMOTE = Gate("0.0.0.0", 7860, "secret")
OWN = {"host": "127.0.0.1:7860", "x-duel": "studio"}


def status(gate, method="GET", path="/api/runs", query="", **headers):
    said = refusal(gate, method, path, query, {**OWN, **{k.replace("_", "-"): v for k, v in headers.items()}})
    return None if said is None else said.status


@pytest.mark.parametrize(
    "host", ["127.0.0.1:7860", "localhost", "localhost:9999", "[::1]:7860", "LOCALHOST:1"]
)
def test_the_loopback_names_are_ours_behind_any_port(host):
    assert status(LOCAL, host=host) is None


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:7860", "127.0.0.1.evil.example", "localhost.evil.example:7860",
     "127.0.0.1@evil.example", "localhost:7860:80", "[::1", "[::1]evil", "192.168.0.7:7860", "0.0.0.0:7860"],
)  # fmt: skip
def test_a_foreign_host_is_refused(host):
    assert status(LOCAL, host=host) == 403


@pytest.mark.parametrize("host", ["10.1.2.3:7860", "[fe80::1]:7860", "localhost"])
def test_elsewhere_addresses_are_ours_and_names_are_not(host):
    assert status(REMOTE, host=host, authorization="token secret") is None
    assert status(REMOTE, host="evil.example", authorization="token secret") == 403


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://127.0.0.1:7861", "http://127.0.0.1", "http://localhost:7860",
     "http://127.0.0.1:7860.evil.example", "file://", ""],
)  # fmt: skip
def test_a_foreign_origin_is_refused(origin):
    assert status(LOCAL, origin=origin) == 403
    assert status(LOCAL, "POST", origin=origin) == 403


def test_our_own_origin_is_not():
    assert status(LOCAL, "POST", origin="http://127.0.0.1:7860") is None
    assert status(LOCAL, "POST", host="localhost:80", origin="http://localhost:80") is None


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_foreign_page_may_link_here_but_not_embed_or_ask(site):
    assert status(LOCAL, sec_fetch_site=site, sec_fetch_mode="no-cors", sec_fetch_dest="image") == 403
    assert status(LOCAL, sec_fetch_site=site, sec_fetch_mode="navigate", sec_fetch_dest="iframe") == 403
    assert status(LOCAL, sec_fetch_site=site, sec_fetch_mode="navigate", sec_fetch_dest="document") is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_what_changes_something_needs_the_header_that_forms_cannot_send(method):
    assert refusal(LOCAL, method, "/api/jobs", "", {"host": "127.0.0.1:7860"}).status == 403
    assert refusal(LOCAL, method, "/api/jobs", "", {"host": "127.0.0.1:7860", "x-duel": "x"}).status == 403


@pytest.mark.parametrize("shown", ["", "wrong", "secre", "secrets", "SECRET"])
def test_a_missing_or_wrong_token_is_refused(shown):
    assert status(REMOTE, authorization=f"token {shown}") == 401
    assert status(REMOTE, authorization=f"Bearer {shown}") == 401
    assert status(REMOTE, query=f"token={shown}") == 401
    assert status(REMOTE, cookie=f"{REMOTE.cookie}={shown}") == 401


def test_the_token_opens_in_each_of_its_places_and_the_cookie_does_not_tell_it():
    assert status(REMOTE, authorization="token secret") is None
    assert status(REMOTE, authorization="Bearer secret") is None
    assert status(REMOTE, query="token=secret") is None
    assert status(REMOTE, cookie=f"other=1; {REMOTE.cookie}={REMOTE.pass_value}") is None
    assert "secret" not in REMOTE.pass_value
    assert not has_token(REMOTE, "", {"cookie": f"{REMOTE.cookie}=secret"})
    assert not has_token(REMOTE, "", {"cookie": "=;;=\x00"})


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("192.168.1.2", False),
        ("box", False),
    ],
)
def test_which_addresses_need_no_token(host, local):
    assert is_loopback(host) is local


# ---------------------------------------------------------------- through the server


def test_the_token_leaves_the_address_and_becomes_a_cookie(made):
    client = client_of(made, host="0.0.0.0", token="secret")
    assert client.get("/api/runs").status_code == 401
    entry = client.get("/")
    assert entry.status_code == 401
    assert "printed" in entry.text
    answer = client.get("/?token=secret&x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?x=1")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert client.get("/api/runs").status_code == 200
    assert client_of(made, host="0.0.0.0", token="secret").get("/?token=wrong").status_code == 401


def test_refusals_reach_every_address(made):
    client = client_of(made)
    for path in ("/", "/api/runs", "/assets/studio.js", "/explain", "/nothing"):
        assert client.get(path, headers={"Host": "evil.example"}).status_code == 403
        assert client.get(path, headers={"Origin": "http://evil.example"}).status_code == 403
    for path in ("/api/jobs", "/api/runs/0001-plain/stop", "/api/judge", "/api/playground"):
        assert client.post(path, json={}, headers={"Origin": "http://evil.example"}).status_code == 403
        assert client.post(path, json={}, headers={"X-Duel": ""}).status_code == 403


def test_answers_carry_the_headers_that_keep_pages_apart(reader):
    for path in ("/", "/api/runs", "/nothing", "/api/runs/nothing/overview"):
        headers = reader.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_there_are_no_pages_that_load_from_elsewhere(reader, path):
    assert reader.get(path).status_code == 404


def test_a_body_that_is_too_large_is_not_read(reader):
    assert reader.post("/api/form", content=b"x" * (64 * 1024 + 1)).status_code == 413
    assert (
        reader.post("/api/runs/0004-codes/explore/encode", content=b"x" * (8 * 2**20 + 1)).status_code == 413
    )
    assert reader.post("/api/form", content=b"{}", headers={"Content-Length": "x"}).status_code in (400, 413)


def test_a_body_that_lies_about_its_length_is_not_read(made):
    """In pieces without a length: as chunked transfer sends them."""
    app = client_of(made).app
    sent, answers = [0], []

    async def receive():
        sent[0] += 1
        return {"type": "http.request", "body": b"x" * 2**16, "more_body": True}

    async def send(message):
        answers.append(message)

    headers = [(b"host", b"127.0.0.1:7860"), (b"x-duel", b"studio")]
    scope = {"type": "http", "method": "POST", "path": "/api/form", "query_string": b"", "headers": headers,
             "http_version": "1.1", "scheme": "http", "server": ("127.0.0.1", 7860)}  # fmt: skip
    asyncio.run(app(scope, receive, send))
    assert answers[0]["status"] == 413
    assert sent[0] <= 3


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b"1", b"{" * 5000, b"\xff\xfe", b'{"source": 1}'])
def test_what_is_no_request_is_told_so(reader, body):
    answer = reader.post("/api/form", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_websockets_are_not_spoken(made):
    app = client_of(made).app
    answers = []

    async def send(message):
        answers.append(message)

    asyncio.run(app({"type": "websocket", "headers": []}, None, send))
    assert answers == []
