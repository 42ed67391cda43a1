"""The servers of Google's that give tokens and signatures, on 127.0.0.1: OAuth, a machine's metadata, IAM."""

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from tests.support.gcs_accounts import EMAIL, private_key, service_account

LIFETIME = 3600


class GoogleServers:
    """What they were asked, and how they answer.

    Attributes:
        asked: The ends of the paths, in order.
        was_asked: Set by the first request.
        failures: Answers (status, body) that are given first.
        lifetime: Of tokens, in seconds.
        scopes: Those that tokens were asked for.
        subjects: Who asked for tokens without a key.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.was_asked = asyncio.Event()
        self.failures: list[tuple[int, Any]] = []
        self.lifetime = LIFETIME
        self.scopes: list[str] = []
        self.subjects: list[str] = []
        self.url = ""

    @property
    def account(self) -> dict[str, Any]:
        """A service account whose tokens come from here."""
        return service_account(token_uri=f"{self.url}/token")

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._note])
        app.router.add_post("/token", self._token)
        app.router.add_get("/computeMetadata/v1/instance/service-accounts/default/token", self._machine_token)
        app.router.add_get("/computeMetadata/v1/instance/service-accounts/default/email", self._machine_email)
        app.router.add_post("/v1/projects/-/serviceAccounts/{email}:signBlob", self._sign)
        app.router.add_post("/v1/projects/-/serviceAccounts/{email}:generateAccessToken", self._impersonate)
        return app

    @web.middleware
    async def _note(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(request.path.rpartition("/")[2])
        self.was_asked.set()
        if self.failures:
            status, body = self.failures.pop(0)
            return web.Response(status=status, text=body if isinstance(body, str) else json.dumps(body))
        return await handler(request)

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form["grant_type"] != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            self.subjects.append(str(form.get("subject_token")))
            return self._new_token()
        key = private_key().public_key()
        claims = jwt.decode(
            form["assertion"],
            key,
            algorithms=["RS256"],
            audience=f"{self.url}/token",
            issuer=EMAIL,
            options={"verify_iat": False},  # tests set the clock
        )
        self.scopes.append(claims["scope"])
        return self._new_token()

    async def _machine_token(self, request: web.Request) -> web.Response:
        if request.headers["Metadata-Flavor"] != "Google":
            raise web.HTTPForbidden
        return self._new_token()

    async def _machine_email(self, request: web.Request) -> web.Response:
        return web.Response(text=EMAIL)

    async def _impersonate(self, request: web.Request) -> web.Response:
        self._check_token(request)
        return web.json_response({"accessToken": f"token {len(self.asked)}", "expireTime": "2099-01-01T00:00:00Z"})

    async def _sign(self, request: web.Request) -> web.Response:
        self._check_token(request)
        message = b64decode((await request.json())["payload"], altchars=b"-_")
        signature = private_key(request.match_info["email"]).sign(message, PKCS1v15(), SHA256())
        return web.json_response({"keyId": "1", "signedBlob": b64encode(signature).decode()})

    def _new_token(self) -> web.Response:
        return web.json_response({"access_token": f"token {len(self.asked)}", "expires_in": self.lifetime})

    def _check_token(self, request: web.Request) -> None:
        if not request.headers["Authorization"].startswith("Bearer token "):
            raise web.HTTPUnauthorized


@asynccontextmanager
async def google_servers(port: int | None = None) -> AsyncIterator[GoogleServers]:
    """Them, with gcloud-aio-auth pointed at them, and no credentials in the environment."""
    servers = GoogleServers()
    async with TestServer(servers.app(), port=port) as server:
        servers.url = str(server.make_url("")).rstrip("/")
        metadata = f"{servers.url}/computeMetadata/v1"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("gcloud.aio.auth.token.GCE_METADATA_BASE", metadata)
            patch.setattr(
                "gcloud.aio.auth.token.GCE_ENDPOINT_TOKEN", f"{metadata}/instance/service-accounts/default/token"
            )
            patch.setattr("gcloud.aio.auth.iam.API_ROOT_IAM_CREDENTIALS", f"{servers.url}/v1")
            patch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
            patch.setenv("CLOUDSDK_CONFIG", "/nonexistent")
            yield servers
