"""What Google Cloud Storage does and fake-gcs-server does not, in front of it: tokens, preconditions of every kind
(atomically), resumable sessions, merge patches, and the XML API with its signed URLs and forms.

Specified in Google's reference of the JSON API and of the XML API; `gcs_signatures` judges signatures.
"""

import asyncio
import base64
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, quote, unquote
from uuid import uuid4

from aiohttp import ClientResponse, ClientSession, web
from yarl import URL

from tests.support.gcs_accounts import public_keys
from tests.support.gcs_signatures import Refused, is_signed, verify_form, verify_url

QUANTUM = 256 * 1024  # bytes, in multiples of which parts are kept
TOKEN = "token-of-the-test"
JSON = {"Content-Type": "application/json"}
_RANGE = re.compile(r"bytes (?:\*|(\d+)-(\d+))/(?:\*|(\d+))")


class RefusedJson(Exception):
    """What the JSON API answers instead."""

    def __init__(self, status: int, reason: str, message: str = "") -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.body = {"error": {"code": status, "message": message, "errors": [{"reason": reason}]}}


@dataclass
class Upload:
    """A resumable upload under way, or done if something was `made`."""

    bucket: str
    described: dict[str, Any]
    query: dict[str, str]
    content: bytearray = field(default_factory=bytearray)
    made: dict[str, Any] | None = None


class Gate:
    """The server.

    Attributes:
        url: Its root.
        token: What requests to the JSON API must come with; None for nothing.
        issued: What whoever asks for a token gets.
        payer: The project that requests must name; None for any or none.
        noncurrent: Keys of which a version is kept that was deleted as the live one, where buckets keep versions.
        uploads: Resumable uploads that were neither completed nor given up, nor are forgotten.
        kept_at_once: Bytes of one part that are kept at the most; the rest has to be sent again.
        begun_at: Of the content, where each request of an upload in parts began.
        steps_of_copies: Requests that a copy takes.
        stored_as: Changes the content on its way to where it is stored.
    """

    def __init__(self, upstream: str) -> None:
        self.url = ""
        self.token: str | None = TOKEN
        self.issued = TOKEN
        self.payer: str | None = None
        self.noncurrent: list[str] = []
        self.uploads: dict[str, Upload] = {}
        self.kept_at_once = 1 << 40
        self.begun_at: list[int] = []
        self.steps_of_copies = 1
        self.stored_as = bytes
        self._upstream = upstream
        self._locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._metagenerations: defaultdict[tuple[str, str, str], int] = defaultdict(lambda: 1)
        self._buckets: dict[str, dict[str, Any]] = {}
        self._keys = public_keys()

    @property
    def open_uploads(self) -> list[str]:
        """The keys of those that are neither completed nor given up."""
        return [upload.described["name"] for upload in self.uploads.values() if upload.made is None]

    def revoke(self) -> None:
        """From now on another token is good."""
        self.token = self.issued = f"another-{self.issued}"

    # ---- the door

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path, _, query_string = request.raw_path.partition("?")
        query = dict(parse_qsl(query_string, keep_blank_values=True))
        try:
            if path == "/token":
                return web.json_response({"access_token": self.issued, "expires_in": 3600, "token_type": "Bearer"})
            if path.startswith(("/storage/v1/", "/upload/storage/v1/")):
                return await self._json_api(request, path, query)
            return await self._xml_api(request, path, query_string)
        except RefusedJson as refused:
            return web.json_response(refused.body, status=refused.status)
        except Refused as refused:
            return web.Response(status=refused.status, text=f"<Error><Code>{refused.code}</Code></Error>")
        except ConnectionError:  # the client's; nobody reads this
            return web.Response(status=400)

    async def _json_api(self, request: web.Request, path: str, query: dict[str, str]) -> web.StreamResponse:
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            raise RefusedJson(401, "required", "Anonymous caller does not have storage access.")
        bucket, key, target = _addressed(path)
        if "upload_id" in query:
            return await self._session(request, query["upload_id"])
        if self.payer not in {None, query.get("userProject")}:
            message = "Bucket is a requester pays bucket but no user project provided."
            if query.get("alt") == "media":
                return web.Response(status=400, text=message)
            raise RefusedJson(400, "required", message)
        if path.startswith("/upload/"):
            begin = self._begin if query["uploadType"] == "resumable" else self._insert
            return await begin(request, bucket, query)
        if key is None:
            return await self._bucket(request, bucket, path, query)
        if target is not None:
            return await self._rewrite(request, bucket, key, target, query)
        return await self._object(request, bucket, key, query)

    # ---- buckets

    async def _bucket(self, request: web.Request, bucket: str, path: str, query: dict[str, str]) -> web.Response:
        if request.method == "PATCH":
            found = await self._found_bucket(bucket)
            _check("metageneration", found["metageneration"], query.get("ifMetagenerationMatch"))
            counted = {"metageneration": str(int(found["metageneration"]) + 1)}
            self._buckets[bucket] = {**self._buckets.get(bucket, {}), **await request.json(), **counted}
            return web.json_response(await self._found_bucket(bucket))
        if request.method == "GET" and bucket and not path.endswith("/o"):
            return web.json_response(await self._found_bucket(bucket))
        status, body = await self._ask(request.method, request.raw_path, await request.read())
        if status == 404:
            raise RefusedJson(404, "notFound", "The specified bucket does not exist.")
        return web.Response(status=status, body=body, headers=JSON)

    async def _found_bucket(self, bucket: str) -> dict[str, Any]:
        status, body = await self._ask("GET", f"/storage/v1/b/{bucket}")
        if status == 404:
            raise RefusedJson(404, "notFound", "The specified bucket does not exist.")
        return {**json.loads(body), **self._buckets.get(bucket, {})}

    # ---- objects

    async def _object(self, request: web.Request, bucket: str, key: str, query: dict[str, str]) -> web.StreamResponse:
        body = await request.read()
        async with self._locks[bucket, key]:
            found = await self._existing(bucket, key, query)
            if request.method == "PATCH":
                return web.json_response(await self._patch(bucket, key, found, json.loads(body)))
            if request.method == "DELETE":
                self.noncurrent += [] if "generation" in query else [key]
                status, _ = await self._ask("DELETE", _object_path(bucket, key))
                return web.Response(status=204 if status == 200 else status)
            if query.get("alt") != "media":
                return web.json_response(found)
            response = await self._open(bucket, key, request)
        if found["size"] == "0" and response.status == 206:
            response.close()
            return web.Response(status=416)
        return await _passed_on(request, response)

    async def _patch(self, bucket: str, key: str, found: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
        merged = {**found.get("metadata", {}), **patch["metadata"]}
        metadata = {name: value for name, value in merged.items() if value is not None}
        changed = {"metadata": metadata, "contentType": found["contentType"]}
        await self._ask("PUT", _object_path(bucket, key), json.dumps(changed).encode())
        self._metagenerations[bucket, key, found["generation"]] += 1
        return await self._existing(bucket, key, {})

    async def _rewrite(
        self, request: web.Request, bucket: str, key: str, target: str, query: dict[str, str]
    ) -> web.Response:
        body = await request.read()
        async with self._locks[bucket, target]:
            source = await self._found(bucket, key)
            if source is None:
                raise RefusedJson(404, "notFound", f"No such object: {bucket}/{key}")
            _check("generation", source["generation"], query.get("ifSourceGenerationMatch"))
            await self._check_target(bucket, target, query)
            step = int(query.get("rewriteToken", "0")) + 1
            if step < self.steps_of_copies:
                return web.json_response({"done": False, "rewriteToken": str(step)})
            _, answer = await self._ask("POST", request.raw_path, body)
        return web.Response(body=answer, headers=JSON)

    async def _check_target(self, bucket: str, key: str, query: dict[str, str]) -> None:
        found = await self._found(bucket, key)
        _check("generation", found["generation"] if found else "0", query.get("ifGenerationMatch"))

    async def _existing(self, bucket: str, key: str, query: dict[str, str]) -> dict[str, Any]:
        found = await self._found(bucket, key)
        if found is None or query.get("generation", found["generation"]) != found["generation"]:
            raise RefusedJson(404, "notFound", f"No such object: {bucket}/{key}")
        _check("generation", found["generation"], query.get("ifGenerationMatch"))
        _check("metageneration", found["metageneration"], query.get("ifMetagenerationMatch"))
        return found

    async def _found(self, bucket: str, key: str) -> dict[str, Any] | None:
        status, body = await self._ask("GET", _object_path(bucket, key))
        if status == 404:
            await self._found_bucket(bucket)
            return None
        found: dict[str, Any] = json.loads(body)
        return {**found, "metageneration": str(self._metagenerations[bucket, key, found["generation"]])}

    # ---- uploads

    async def _insert(self, request: web.Request, bucket: str, query: dict[str, str]) -> web.Response:
        described, content = _related(request.headers["Content-Type"], await request.read())
        return web.json_response(await self._store(bucket, described, content, query))

    async def _begin(self, request: web.Request, bucket: str, query: dict[str, str]) -> web.Response:
        described = await request.json()
        await self._found_bucket(bucket)
        await self._check_target(bucket, described["name"], query)
        upload_id = uuid4().hex
        self.uploads[upload_id] = Upload(bucket, described, query)
        location = f"{self.url}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={upload_id}"
        return web.Response(headers={"Location": location})

    async def _session(self, request: web.Request, upload_id: str) -> web.Response:
        upload = self.uploads.get(upload_id)
        if upload is None:
            raise RefusedJson(404, "notFound")
        if request.method == "DELETE":
            if upload.made is None:
                del self.uploads[upload_id]
            return web.Response(status=499)
        if upload.made is None:
            await self._take(upload, request)
        if upload.made is None:
            range_ = {"Range": f"bytes=0-{len(upload.content) - 1}"} if upload.content else {}
            return web.Response(status=308, headers=range_)
        return web.json_response(upload.made)

    async def _take(self, upload: Upload, request: web.Request) -> None:
        said = _RANGE.fullmatch(request.headers["Content-Range"])
        assert said, request.headers["Content-Range"]
        first, last, total = (None if each is None else int(each) for each in said.groups())
        if first is not None:
            await self._keep(upload, request, first, is_last=total is not None)
        if len(upload.content) == total:
            expected = request.headers.get("X-Goog-Hash", "").removeprefix("md5=")
            described = {**upload.described, **({"md5Hash": expected} if expected else {})}
            upload.made = await self._store(upload.bucket, described, bytes(upload.content), upload.query)
        elif last is not None and total is None and (last + 1) % QUANTUM:
            raise RefusedJson(400, "invalid", "not a multiple of 256 KiB")

    async def _keep(self, upload: Upload, request: web.Request, first: int, *, is_last: bool) -> None:
        """What arrives, also where the rest does not."""
        if first > len(upload.content):
            raise RefusedJson(400, "invalid", "bytes are missing before these")
        self.begun_at.append(first)
        received, is_whole = bytearray(), False
        try:
            async for chunk in request.content.iter_any():
                received += chunk
            is_whole = len(received) == int(request.headers["Content-Length"])
        except (ConnectionError, web.RequestPayloadError):
            pass
        kept = min(len(received), self.kept_at_once)
        if not is_whole or kept < len(received):
            kept -= (first + kept) % QUANTUM
        upload.content[first:] = received[: max(0, kept)]
        if not is_whole:
            raise ConnectionResetError

    async def _store(
        self, bucket: str, described: dict[str, Any], content: bytes, query: dict[str, str]
    ) -> dict[str, Any]:
        key, expected = described["name"], described.pop("md5Hash", None)
        found = base64.b64encode(hashlib.md5(content).digest()).decode()
        if expected not in {None, found}:
            raise RefusedJson(400, "invalid", f'Provided MD5 hash "{expected}" doesn\'t match calculated MD5 hash')
        async with self._locks[bucket, key]:
            await self._check_target(bucket, key, query)
            stored = self.stored_as(content)
            body = _as_related(described, stored)
            kind = {"Content-Type": "multipart/related; boundary=gate"}
            path = f"/upload/storage/v1/b/{bucket}/o?uploadType=multipart"
            status, _ = await self._ask("POST", path, body, kind)
            assert status == 200, status
            return await self._existing(bucket, key, {})

    # ---- the XML API

    async def _xml_api(self, request: web.Request, path: str, query: str) -> web.StreamResponse:
        _, bucket, *rest = path.split("/", 2)
        key = unquote(rest[0]) if rest else ""
        body = await request.read()
        if request.method == "POST" and not key:
            return await self._form(request, bucket, body)
        if not is_signed(query):
            raise Refused(403, "AccessDenied", "nobody asked")
        verify_url(request.method, path, query, request.headers.items(), keys=self._keys)
        given = dict(parse_qsl(query))
        if self.payer not in {None, given.get("userProject")}:
            raise Refused(400, "UserProjectMissing", "nobody pays")
        try:
            return await self._xml_object(request, bucket, key, given, body)
        except RefusedJson as refused:
            raise Refused(refused.status, "Failed", str(refused)) from None

    async def _xml_object(
        self, request: web.Request, bucket: str, key: str, query: dict[str, str], body: bytes
    ) -> web.StreamResponse:
        if request.method == "PUT":
            kind = request.headers.get("Content-Type", "application/octet-stream")
            await self._store(bucket, {"name": key, "contentType": kind}, body, {})
            return web.Response()
        await self._existing(bucket, key, {})
        if request.method == "DELETE":
            await self._ask("DELETE", _object_path(bucket, key))
            return web.Response(status=204)
        named = {"response-content-type": "Content-Type", "response-content-disposition": "Content-Disposition"}
        said = {header: query[name] for name, header in named.items() if name in query}
        return await _passed_on(request, await self._open(bucket, key, request), said)

    async def _form(self, request: web.Request, bucket: str, body: bytes) -> web.Response:
        header = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
        parts = BytesParser().parsebytes(header + body).get_payload()
        named = [
            (part.get_param("name", header="Content-Disposition"), part.get_payload(decode=True)) for part in parts
        ]
        fields = [(name, value.decode()) for name, value in named if name != "file"]
        [content] = [value for name, value in named if name == "file"]
        verify_form(bucket, fields, len(content), keys=self._keys)
        given = {name.lower(): value for name, value in fields}
        kind = given.get("content-type", "application/octet-stream")
        await self._store(bucket, {"name": given["key"], "contentType": kind}, content, {})
        return web.Response(status=204)

    # ---- behind the gate

    async def _ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        url = URL(self._upstream + path, encoded=True)
        async with self._client.request(method, url, data=BytesIO(body), headers=headers or JSON) as response:
            return response.status, await response.read()

    async def _open(self, bucket: str, key: str, request: web.Request) -> ClientResponse:
        url = URL(f"{self._upstream}{_object_path(bucket, key)}?alt=media", encoded=True)
        headers = {name: request.headers[name] for name in ("Range",) if name in request.headers}
        return await self._client.get(url, headers=headers)

    @asynccontextmanager
    async def served(self) -> AsyncIterator["Gate"]:
        """Serve in this loop."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{tail:.*}", self.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
        async with ClientSession(auto_decompress=False) as self._client:
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
                yield self
            finally:
                await runner.cleanup()


def _addressed(path: str) -> tuple[str, str | None, str | None]:
    """Bucket, key, and the key that is copied to."""
    segments = [unquote(segment) for segment in path.partition("/v1/b")[2].split("/")]
    bucket, key, target = (segments[n] if len(segments) > n else None for n in (1, 3, 8))
    return bucket or "", key, target


def _object_path(bucket: str, key: str) -> str:
    return f"/storage/v1/b/{bucket}/o/{quote(key, safe='')}"


def _check(what: str, found: str, expected: str | None) -> None:
    if expected not in {None, found}:
        raise RefusedJson(412, "conditionNotMet", f"{what} is {found}")


def _related(kind: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    end = b"\r\n--" + kind.partition("boundary=")[2].encode()
    described, _, rest = body.partition(b"\r\n\r\n")[2].partition(end)
    content, said, _ = rest.partition(b"\r\n\r\n")[2].rpartition(end + b"--")
    if not said:
        raise RefusedJson(400, "invalid", "the body has no end")
    return json.loads(described), content


def _as_related(described: dict[str, Any], content: bytes) -> bytes:
    head = f"--gate\r\nContent-Type: application/json\r\n\r\n{json.dumps(described)}\r\n--gate\r\n"
    return f"{head}Content-Type: {described['contentType']}\r\n\r\n".encode() + content + b"\r\n--gate--\r\n"


async def _passed_on(
    request: web.Request, response: ClientResponse, said: dict[str, str] | None = None
) -> web.StreamResponse:
    async with response:
        answer = web.StreamResponse(status=response.status)
        answer.headers.update({name: value for name, value in response.headers.items() if name != "Transfer-Encoding"})
        answer.headers.update(said or {})
        await answer.prepare(request)
        if request.method != "HEAD":
            async for chunk in response.content.iter_any():
                await answer.write(chunk)
        await answer.write_eof()
        return answer
