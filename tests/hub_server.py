"""The part of the Hub's protocol that publishing and fetching a model takes, on the loopback, in memory.

Written from what the client sends and reads. A token may be "hf_owner" (reads and writes) or "hf_reader".
"""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".png", ".onnx")  # what goes through LFS


@dataclass
class Repository:
    """Commits in order, each a whole tree: path → content."""

    private: bool = False
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)

    def at(self, revision):
        """(commit, files) of "main" or a commit; None where there is none."""
        if revision == "main":
            return self.commits[-1]
        return next((each for each in self.commits if each[0] == revision), None)

    def add(self, files):
        """Another commit; its name."""
        name = hashlib.sha1(repr((len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits.append((name, files))
        return name


@dataclass
class Hub:
    """What is there, and what was asked: (method, path, token)."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)  # what is announced in place of the truth
    broken: bool = False  # every answer is an error

    def publish(self, name, files, **options):
        """A repository made by somebody else; its commit."""
        repository = self.repositories.setdefault(name, Repository(**options))
        return repository.add(dict(files))

    def files(self, name):
        """The files of a repository now."""
        return self.repositories[name].commits[-1][1]


@contextmanager
def serving():
    """A Hub that answers while the context lasts."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(hub):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            self.answer()

        def do_HEAD(self):
            self.answer()

        def do_POST(self):
            self.answer()

        def do_PUT(self):
            self.answer()

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            path = unquote(urlsplit(self.path).path)
            hub.asked.append((self.command, path, token))
            if hub.broken:
                self.fail(400, "Bad", "the server is upset")
                return
            for method, pattern, function in ROUTES:
                if self.command in method and (found := re.fullmatch(pattern, path)):
                    function(hub, self, token, body, *found.groups())
                    return
            self.fail(404, "NotFound", f"no route {self.command} {path}")

        def send(self, status, content=b"", **headers):
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def json(self, value):
            self.send(200, json.dumps(value).encode(), Content_Type="application/json")

        def fail(self, status, code, message):
            error = json.dumps({"error": message}).encode()
            self.send(status, error, X_Error_Code=code, X_Error_Message=message)

    return Handler


# ---------------------------------------------------------------- writing


def _may_write(handler, token):
    if not token.startswith("hf_"):
        handler.fail(401, "", "Invalid username or password.")
        return False
    if token != "hf_owner":
        handler.fail(403, "", "Forbidden: you need write rights.")
        return False
    return True


def _create(hub, handler, token, body):
    if not _may_write(handler, token):
        return
    asked = json.loads(body)
    name = f"{asked['organization']}/{asked['name']}"
    if name in hub.repositories:
        handler.fail(409, "", "You already created this model repo.")
        return
    hub.publish(name, {".gitattributes": b"*.png filter=lfs\n"}, private=asked.get("visibility") == "private")
    handler.json({"url": f"{hub.url}/{name}", "id": "1"})


def _validate(hub, handler, token, body):
    handler.json({"errors": [], "warnings": []})


def _preupload(hub, handler, token, body, name, revision):
    if _may_write(handler, token):
        files = [
            {
                "path": each["path"],
                "uploadMode": "lfs" if each["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False,
            }
            for each in json.loads(body)["files"]
        ]
        handler.json({"files": files})


def _batch(hub, handler, token, body, name):
    if _may_write(handler, token):
        objects = [
            {**each, "actions": {"upload": {"href": f"{hub.url}/lfs/{each['oid']}"}}}
            for each in json.loads(body)["objects"]
        ]
        handler.json({"transfer": "basic", "objects": objects})


def _blob(hub, handler, token, body, oid):
    assert hashlib.sha256(body).hexdigest() == oid
    hub.blobs[oid] = body
    handler.send(200)


def _commit(hub, handler, token, body, name, revision):
    if not _may_write(handler, token):
        return
    files = dict(hub.files(name))
    for line in map(json.loads, body.splitlines()):
        value = line["value"]
        if line["key"] == "file":
            assert value["encoding"] == "base64"
            files[value["path"]] = base64.b64decode(value["content"])
        elif line["key"] == "lfsFile":
            files[value["path"]] = hub.blobs[value["oid"]]
        elif line["key"] == "deletedFile":
            del files[value["path"]]
    commit = hub.repositories[name].add(files)
    handler.json({"success": True, "commitOid": commit, "commitUrl": f"{hub.url}/{name}/commit/{commit}"})


# ---------------------------------------------------------------- reading


def _seen(hub, handler, token, name, revision):
    """(commit, files) that this reader may see; None after an answer that says why not."""
    repository = hub.repositories.get(name)
    if repository is None or (repository.private and not token.startswith("hf_")):
        # as the Hub: who is not logged in shall not learn what there is
        handler.fail(404 if token else 401, "RepoNotFound" if token else "", "Repository not found")
        return None
    found = repository.at(revision or "main")
    if found is None:
        handler.fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    return found


def _info(hub, handler, token, body, name, revision=None):
    if (found := _seen(hub, handler, token, name, revision)) is not None:
        commit, files = found
        siblings = [
            {"rfilename": path, "size": hub.sizes.get(path, len(content))} for path, content in files.items()
        ]
        private = hub.repositories[name].private
        handler.json({"id": name, "sha": commit, "private": private, "tags": [], "siblings": siblings})


def _resolve(hub, handler, token, body, name, revision, path):
    if (found := _seen(hub, handler, token, name, revision)) is not None:
        commit, files = found
        if path not in files:
            handler.fail(404, "EntryNotFound", "Entry not found")
            return
        etag = hashlib.sha256(files[path]).hexdigest()
        handler.send(200, files[path], ETag=f'"{etag}"', X_Repo_Commit=commit)


_NAME = r"([^/]+/[^/]+)"
ROUTES = (
    ("POST", r"/api/repos/create", _create),
    ("POST", r"/api/validate-yaml", _validate),
    ("POST", rf"/api/models/{_NAME}/preupload/(.+)", _preupload),
    ("POST", rf"/{_NAME}\.git/info/lfs/objects/batch", _batch),
    ("PUT", r"/lfs/([0-9a-f]{64})", _blob),
    ("POST", rf"/api/models/{_NAME}/commit/(.+)", _commit),
    ("GET", rf"/api/models/{_NAME}", _info),
    ("GET", rf"/api/models/{_NAME}/revision/(.+)", _info),
    (("GET", "HEAD"), rf"/{_NAME}/resolve/([^/]+)/(.+)", _resolve),
)
