"""A Hub on loopback for tests: the unmodified clients create, push, list, stream and load against it.

Git-LFS mode (clients run with ``HF_HUB_DISABLE_XET=1``) and Xet mode through a ``local://`` store. It can be told to
fail: statuses, Retry-After, dropped connections, another commit first (412). State is in memory and ends with it.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import os
import re
import threading
import time
import zlib
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

OWNER_TOKEN = "hf_owner_of_the_double"
"""May create repositories and commit."""
READER_TOKEN = "hf_reader_of_the_double"
"""May read, and open pull requests."""

_ROUTE = re.compile(r"^/(?:(?P<prefix>datasets|spaces)/)?(?P<id>[^/]+/[^/]+?)(?P<rest>\.git/info/lfs/.*|/resolve/.*)$")


@dataclass
class Repo:
    """One repository: named branches of commits, each a mapping of path to content."""

    kind: str
    id: str
    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)
    """Title by branch of pull requests (``refs/pr/1``)."""

    def resolve(self, revision: str) -> str | None:
        return self.branches.get(revision) or (revision if revision in self.commits else None)

    def commit(self, files: dict[str, bytes], message: str, branch: str = "main") -> str:
        sha = hashlib.sha1(f"{self.kind}{self.id}{len(self.commits)}{message}".encode()).hexdigest()
        self.commits[sha] = files
        self.branches[branch] = sha
        self.titles.setdefault(branch, message)
        self.messages.append(message)
        return sha

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[self.branches["main"]]


@dataclass
class Failure:
    """The next ``times`` matching requests fail."""

    method: str
    path: str
    """Regular expression, searched in the path."""
    times: int
    status: int | None = None
    """``None`` drops the connection without an answer."""
    headers: dict[str, str] = field(default_factory=dict)
    after_doing: bool = False
    """The request is carried out first and only its answer is lost."""
    hostile: str = ""
    """One of ``HOSTILE``: how it answers instead."""


HOSTILE = ("slow headers", "slow body", "breaks off", "endless", "too large", "packed", "packed as br")
"""A byte each 20 ms, one byte and a hang-up, a body without end, a length of 10**15, a gzip bomb, brotli."""


class HubDouble:
    """The server. ``with HubDouble() as hub: subprocess.run(..., env=hub.environment(tmp_path))``."""

    def __init__(self, xet_store: Path | None = None) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.xet_hashes: dict[str, str] = {}
        """Xet file hash by SHA-256 of everything that was committed from the Xet store."""
        self.requests: list[tuple[str, str]] = []
        self.sent: Counter[str] = Counter()
        """Bytes of bodies by the path of the request."""
        self.tokens_seen: set[str | None] = set()
        self.failures: list[Failure] = []
        self.xet_store = xet_store
        self.lock = threading.RLock()
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> HubDouble:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def environment(self, home: Path, token: str | None = OWNER_TOKEN) -> dict[str, str]:
        """Environment of a client process: this Hub, a cache of its own, nothing of this machine's Hub."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
        return {
            **inherited,
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            **({"HF_TOKEN": token} if token else {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}),
            **({} if self.xet_store else {"HF_HUB_DISABLE_XET": "1"}),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "OMP_NUM_THREADS": "1",
        }

    def repo(self, repo_id: str, kind: str = "dataset") -> Repo:
        return self.repos[kind, repo_id]

    def create(self, repo_id: str, kind: str = "dataset", private: bool = False) -> Repo:
        """A repository with one empty commit, as ``create_repo`` makes it."""
        with self.lock:
            repo = self.repos[kind, repo_id] = Repo(kind, repo_id, private)
            repo.commit({".gitattributes": b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"}, "initial commit")
            return repo

    def fail(self, method: str, path: str, times: int = 1, **how: object) -> None:
        """Make the next requests of that method whose path matches fail; see ``Failure``."""
        self.failures.append(Failure(method, path, times, **how))

    def count(self, method: str, path: str) -> int:
        """How many requests matched so far."""
        return sum(m == method and re.search(path, p) is not None for m, p in self.requests)

    def due_failure(self, method: str, path: str) -> Failure | None:
        with self.lock:
            for failure in self.failures:
                if failure.times > 0 and failure.method == method and re.search(failure.path, path):
                    failure.times -= 1
                    return failure
        return None


class _Dropped(Exception):
    pass


class _Handler(BaseHTTPRequestHandler):
    hub: HubDouble
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve("GET")

    def do_HEAD(self) -> None:
        self._serve("HEAD")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def log_message(self, *_: object) -> None:
        pass

    # ---- one request

    def _serve(self, method: str) -> None:
        self.body = self._read_body()
        split = urlsplit(self.path)
        self.route, self.query = split.path, {k: v[0] for k, v in parse_qs(split.query).items()}
        self.hub.requests.append((method, unquote(self.route)))
        header = self.headers.get("Authorization") or ""
        self.token = header.removeprefix("Bearer ") or None
        self.hub.tokens_seen.add(self.token)
        failure = self.hub.due_failure(method, unquote(self.route))
        self._lost = failure if failure and failure.after_doing else None
        try:
            if failure and not failure.after_doing:
                self._fail(failure)
            else:
                with self.hub.lock:
                    self._dispatch(method)
        except _Dropped:
            self.close_connection = True
            self.connection.close()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _fail(self, failure: Failure) -> None:
        if failure.hostile:
            return self._answer_hostile(failure.hostile)
        if failure.status is None:
            raise _Dropped
        self._lost = None
        self._json({"error": "told to fail"}, failure.status, failure.headers)

    def _answer_hostile(self, how: str) -> None:
        self.close_connection = True
        head = b'HTTP/1.1 200 OK\r\nX-Repo-Commit: 0\r\nETag: "0"\r\n'
        length = {"too large": 10**15, "slow body": 10**6, "breaks off": 10**6}.get(how)
        head += b"Transfer-Encoding: chunked\r\n" if length is None else b"Content-Length: %d\r\n" % length
        if how == "slow headers":
            self._slowly(head + b"X-Padding: " + b"a" * 10**6)
        if how.startswith("packed"):
            head += b"Content-Encoding: " + (b"br" if how == "packed as br" else b"gzip") + b"\r\n"
        self.wfile.write(head + b"\r\n")
        if how == "slow body":
            self._slowly(b"a" * 10**6)
        if how == "breaks off":
            self.wfile.write(b"a")
        pieces = [bytes(1 << 16)] * 20_000 if how == "endless" else [_bomb()] if how == "packed" else []
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if pieces:
            self.wfile.write(b"0\r\n\r\n")

    def _slowly(self, data: bytes) -> None:
        for at in range(len(data)):
            self.wfile.write(data[at : at + 1])
            self.wfile.flush()
            time.sleep(0.02)

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _dispatch(self, method: str) -> None:
        if self.route.startswith("/lfs-object/"):
            return self._lfs_object(method)
        if self.route.startswith("/api/"):
            return self._api(method, self.route.removeprefix("/api/"))
        match = _ROUTE.match(self.route)
        if match is None:
            return self._error(404, "EntryNotFound")
        repo = self._repo({"datasets": "dataset", "spaces": "space", None: "model"}[match["prefix"]], match["id"])
        if repo is None:
            return self._error(404 if self.token else 401, "RepoNotFound")
        if "/info/lfs/objects/batch" in match["rest"]:
            return self._lfs_batch()
        if match["rest"].startswith(".git/info/lfs"):
            return self._json({})
        _, _, revision, path = match["rest"].split("/", 3)
        return self._resolve(method, repo, unquote(revision), unquote(path))

    def _repo(self, kind: str, repo_id: str) -> Repo | None:
        repo = self.hub.repos.get((kind, repo_id))
        return None if repo is None or (repo.private and self.token is None) else repo

    # ---- /api

    def _api(self, method: str, path: str) -> None:
        if path == "whoami-v2":
            if self.token is None:
                return self._error(401, "")
            name = "owner" if self.token == OWNER_TOKEN else "reader"
            return self._json({"type": "user", "name": name, "auth": {"accessToken": {"role": "write"}}, "orgs": []})
        if path == "repos/create":
            return self._create()
        if path == "validate-yaml":
            return self._json({"errors": [], "warnings": []})
        match = re.match(r"^(models|datasets|spaces)/([^/]+/[^/]+)(?:/([^/]+))?(?:/([^/]+))?(?:/(.*))?$", path)
        if match is None:
            return self._error(404, "RepoNotFound")
        kind, repo_id, action, revision, rest = match.groups()
        repo = self._repo(kind.removesuffix("s"), repo_id)
        if repo is None:
            return self._error(404 if self.token else 401, "RepoNotFound")
        sha = repo.resolve(unquote(revision or "main"))
        if action in (None, "revision", "tree", "paths-info") and sha is None:
            return self._error(404, "RevisionNotFound")
        files = repo.commits.get(sha or "", {})
        if action in (None, "revision"):
            siblings = [{"rfilename": name, **self._entry(name, data)} for name, data in sorted(files.items())]
            about = {"id": repo.id, "sha": sha, "private": repo.private, "gated": False, "disabled": False}
            return self._json({**about, "tags": [], "downloads": 0, "likes": 0, "siblings": siblings})
        if action == "tree":
            return self._tree(files, unquote(rest or ""))
        if action == "paths-info":
            return self._paths_info(files)
        if action == "refs":
            refs = [
                {"name": name, "ref": f"refs/heads/{name}", "targetCommit": commit}
                for name, commit in repo.branches.items()
                if not name.startswith("refs/")
            ]
            return self._json({"branches": refs, "converts": [], "tags": []})
        if action == "preupload":
            return self._preupload(files)
        if action == "commit" and method == "POST":
            return self._commit(repo, unquote(revision or "main"))
        if action == "discussions" and method == "GET":
            return self._discussions(repo)
        if action in ("xet-read-token", "xet-write-token"):
            return self._xet_token()
        return self._error(404, "EntryNotFound")

    def _create(self) -> None:
        requested = json.loads(self.body)
        if self.token != OWNER_TOKEN:
            return self._error(401 if self.token is None else 403, "")
        kind = requested.get("type") or "model"
        repo_id = f"{requested.get('organization') or 'owner'}/{requested['name']}"
        prefix = "" if kind == "model" else f"{kind}s/"
        answer = {"url": f"{self.hub.url}/{prefix}{repo_id}", "name": repo_id, "id": repo_id}
        if (kind, repo_id) in self.hub.repos:
            return self._json({**answer, "error": "You already created this repo"}, 409)
        self.hub.create(
            repo_id, kind, private=bool(requested.get("private") or requested.get("visibility") == "private")
        )
        return self._json(answer)

    def _tree(self, files: dict[str, bytes], folder: str) -> None:
        prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
        inside = {name: data for name, data in sorted(files.items()) if name.startswith(prefix)}
        if prefix and not inside:
            return self._error(404, "EntryNotFound")
        recursive = self.query.get("recursive", "").lower() in ("true", "1")
        entries, folders = [], set()
        for name, data in inside.items():
            parts = name.removeprefix(prefix).split("/")
            for depth in range(1, len(parts) if recursive else min(2, len(parts))):
                folders.add(prefix + "/".join(parts[:depth]))
            if recursive or len(parts) == 1:
                entries.append({"type": "file", "path": name, **self._entry(name, data)})
        entries += [{"type": "directory", "path": name, "oid": "0" * 40, "size": 0} for name in sorted(folders)]
        return self._json(entries)

    def _paths_info(self, files: dict[str, bytes]) -> None:
        if "json" in (self.headers.get("Content-Type") or ""):
            paths = json.loads(self.body)["paths"]
        else:
            paths = parse_qs(self.body.decode()).get("paths", [])
        entries = []
        for path in [paths] if isinstance(paths, str) else paths:
            if path in files:
                entries.append({"type": "file", "path": path, **self._entry(path, files[path])})
            elif any(name.startswith(f"{path}/") for name in files):
                entries.append({"type": "directory", "path": path, "oid": "0" * 40, "size": 0})
        return self._json(entries)

    def _preupload(self, files: dict[str, bytes]) -> None:
        if self.token is None:
            return self._error(401, "")
        answers = []
        for requested in json.loads(self.body)["files"]:
            path = requested["path"]
            answer = {"path": path, "uploadMode": "lfs" if _is_lfs(path) else "regular", "shouldIgnore": False}
            if path in files:
                answer["oid"] = self._entry(path, files[path])["oid"]
            answers.append(answer)
        return self._json({"files": answers})

    def _commit(self, repo: Repo, branch: str) -> None:
        request = self.query.get("create_pr") == "1"
        if self.token != OWNER_TOKEN and not (request and self.token):
            return self._error(403, "")
        head = repo.resolve(branch)
        if head is None:
            return self._error(404, "RevisionNotFound")
        lines = [json.loads(line) for line in self.body.splitlines() if line.strip()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        if header.get("parentCommit") not in (None, head):
            return self._json({"error": "A commit has happened since. Please refresh and try again."}, 412)
        files = dict(repo.commits[head])
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                data = self.hub.objects.get(value["oid"])
                if data is None and self.hub.xet_store is not None:
                    data = self._from_xet(value["oid"], value["size"])
                if data is None:
                    return self._json({"error": f"LFS object {value['oid']} was never uploaded"}, 400)
                files[value["path"]] = data
            elif line["key"] == "deletedFile":
                files.pop(value["path"], None)
            elif line["key"] == "deletedFolder":
                folder = value["path"].rstrip("/") + "/"
                files = {name: data for name, data in files.items() if not name.startswith(folder)}
        number = sum(name.startswith("refs/pr/") for name in repo.branches) + 1
        target = f"refs/pr/{number}" if request else branch
        sha = repo.commit(files, header["summary"], target)
        prefix = "" if repo.kind == "model" else f"{repo.kind}s/"
        base = f"{self.hub.url}/{prefix}{repo.id}"
        answer = {"success": True, "commitOid": sha, "commitUrl": f"{base}/commit/{sha}"}
        if request:
            answer["pullRequestUrl"] = f"{base}/discussions/{number}"
        return self._json(answer)

    def _discussions(self, repo: Repo) -> None:
        requests = [
            {
                "num": int(branch.rsplit("/", 1)[1]),
                "title": repo.titles[branch],
                "author": {"name": "reader"},
                "createdAt": "2026-01-01T00:00:00.000Z",
                "isPullRequest": True,
                "status": "open",
                "repo": {"name": repo.id, "type": repo.kind},
            }
            for branch in repo.branches
            if branch.startswith("refs/pr/")
        ]
        return self._json({"discussions": requests, "count": len(requests), "start": 0})

    def _from_xet(self, sha256: str, size: int) -> bytes | None:
        from tests.support.xet_store import file_hashes, read_file

        self.hub.xet_hashes.update(file_hashes(self.hub.xet_store))
        if sha256 not in self.hub.xet_hashes:
            return None
        data = read_file(self.hub.xet_store, self.hub.xet_hashes[sha256], size)
        self.hub.objects[sha256] = data
        return data

    def _xet_token(self) -> None:
        url, expires = f"local://{self.hub.xet_store}", int(time.time()) + 3600
        names = {"X-Xet-Cas-Url": url, "X-Xet-Access-Token": "double", "X-Xet-Token-Expiration": str(expires)}
        return self._json({"casUrl": url, "accessToken": "double", "exp": expires}, headers=names)

    # ---- large files and downloads

    def _lfs_batch(self) -> None:
        if self.token is None:
            return self._error(401, "")
        answers = []
        for item in json.loads(self.body)["objects"]:
            answer = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in self.hub.objects:
                href = f"{self.hub.url}/lfs-object/{item['oid']}"
                answer["actions"] = {"upload": {"href": href}, "verify": {"href": href}}
            answers.append(answer)
        return self._json({"transfer": "basic", "objects": answers})

    def _lfs_object(self, method: str) -> None:
        oid = self.route.rsplit("/", 1)[-1]
        if method == "POST":  # verify
            return self._json({}) if oid in self.hub.objects else self._error(404, "EntryNotFound")
        if hashlib.sha256(self.body).hexdigest() != oid:
            return self._error(400, "")
        self.hub.objects[oid] = self.body
        return self._json({})

    def _resolve(self, method: str, repo: Repo, revision: str, path: str) -> None:
        sha = repo.resolve(revision)
        if sha is None:
            return self._error(404, "RevisionNotFound")
        if path not in repo.commits[sha]:
            return self._error(404, "EntryNotFound", {"X-Repo-Commit": sha})
        data = repo.commits[sha][path]
        entry = self._entry(path, data)
        headers = {"X-Repo-Commit": sha, "Accept-Ranges": "bytes", "ETag": f'"{entry["oid"]}"'}
        if "lfs" in entry:
            headers |= {"X-Linked-Etag": f'"{entry["lfs"]["oid"]}"', "X-Linked-Size": str(len(data))}
            if entry["lfs"]["oid"] in self.hub.xet_hashes:
                refresh = f"{self.hub.url}/api/{repo.kind}s/{repo.id}/xet-read-token/{sha}"
                headers |= {"X-Xet-Hash": self.hub.xet_hashes[entry["lfs"]["oid"]], "X-Xet-Refresh-Route": refresh}
        status, part = 200, data
        match = re.match(r"bytes=(\d*)-(\d*)$", self.headers.get("Range") or "")
        if match and method == "GET":
            first, last = match[1], match[2]
            start = int(first) if first else max(0, len(data) - int(last))
            stop = min(len(data), int(last) + 1) if first and last else len(data)
            if start >= len(data):
                return self._error(416, "")
            status, part = 206, data[start:stop]
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        self._send(status, part, {"Content-Type": "application/octet-stream", **headers}, body=method == "GET")
        return None

    @staticmethod
    def _entry(path: str, data: bytes) -> dict:
        if _is_lfs(path):
            oid = hashlib.sha256(data).hexdigest()
            pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n".encode()
            lfs = {"oid": oid, "sha256": oid, "size": len(data), "pointerSize": len(pointer)}
            return {"size": len(data), "oid": _blob(pointer), "blobId": _blob(pointer), "lfs": lfs}
        return {"size": len(data), "oid": _blob(data), "blobId": _blob(data)}

    # ---- answers

    def _json(self, value: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(value).encode()
        self._send(status, content, {"Content-Type": "application/json", **(headers or {})}, self.command != "HEAD")

    def _error(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        self._json(
            {"error": code or "refused"}, status, {**({"X-Error-Code": code} if code else {}), **(headers or {})}
        )

    def _send(self, status: int, content: bytes, headers: dict[str, str], body: bool) -> None:
        if self._lost is not None:
            return self._fail(self._lost)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)
            self.hub.sent[unquote(self.route)] += len(content)
        return None


@functools.cache
def _bomb() -> bytes:
    """64 MiB of zeros in 300 kB."""
    packer = zlib.compressobj(1, wbits=31)
    return packer.compress(bytes(64 << 20)) + packer.flush()


def _is_lfs(path: str) -> bool:
    return path.endswith((".parquet", ".safetensors", ".png", ".jpg"))


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
