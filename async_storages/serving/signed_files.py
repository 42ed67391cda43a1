"""Answering requests to the presigned URLs and forms of a `LocalStorage`."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from async_storages._secrets import hidden
from async_storages.backends.local.storage import LocalStorage
from async_storages.errors import InvalidArgumentException
from async_storages.files import StoredFile
from async_storages.receiving.form_reader import FormReader
from async_storages.serving.front_server import FrontServer
from async_storages.serving.stored_file import DeliveryOptions

__all__ = ["SignedFiles"]


class SignedFiles:
    """Carries out the requests that a token allows. The routes of each framework call it.

    Args:
        storage: A storage with a `base_url` and a `secret_key`.
        front_server: A web server that sends the files: see `DeliveryOptions`.

    Raises:
        InvalidArgumentException: The storage is not a `LocalStorage`, for example a `FallbackStorage` of two folders.
    """

    def __init__(self, storage: LocalStorage, front_server: FrontServer | None = None) -> None:
        if not isinstance(storage, LocalStorage):
            raise InvalidArgumentException(
                f"signed_downloads and signed_uploads take a LocalStorage, not a {type(storage).__name__}: include "
                "them once for each of its folders, each with a `base_url` of its own, such as "
                'include_router(signed_downloads(new), prefix="/signed/new") and the same for the old one; '
                "of a mirror, signed_downloads(primary)",
                operation="serve",
            )
        self._storage = storage
        self._front_server = front_server

    def delivery(self, method: str, key: str, token: str) -> tuple[StoredFile, DeliveryOptions]:
        """Return the file of a presigned URL, and the options for its response.

        Args:
            method: ``"GET"`` or ``"HEAD"``.
            key: The rest of the path, percent-decoded.
            token: The query parameter ``token``. Empty if there is none.

        Raises:
            AccessDeniedException: The token does not allow this request.
        """
        token = hidden(token)
        allowed = self._storage.verify_presigned(method, key, token)
        return self._storage.file(allowed.key), {
            "filename": allowed.filename,
            "disposition": allowed.disposition or "inline",
            "content_type": allowed.content_type,
            "mode": "proxy",
            "front_server": self._front_server,
            "fresh_for": allowed.lasts,
        }

    async def delete(self, key: str, token: str) -> None:
        """Delete the file of a presigned URL."""
        token = hidden(token)
        await self._storage.delete(self._storage.verify_presigned("DELETE", key, token).key)

    async def put(
        self, key: str, token: str, headers: Mapping[str, str], body: AsyncGenerator[bytes]
    ) -> dict[str, str]:
        """Store the body of a PUT. Return the headers of the response with status 200.

        Args:
            key: The rest of the path, percent-decoded.
            token: The query parameter ``token``. Empty if there is none.
            headers: The headers of the request, by their names in lower case.
            body: The chunks of the body. It is closed at the end.
        """
        token = hidden(token)
        async with aclosing(body) as content:
            allowed = self._storage.verify_presigned("PUT", key, token)
            declared = headers.get("content-length")  # digits only: servers refuse others
            await self._storage.upload_presigned(
                allowed,
                content,
                content_type=headers.get("content-type"),
                content_length=None if declared is None else int(declared),
            )
        return await self._answer(key)

    async def post(self, headers: Mapping[str, str], body: AsyncGenerator[bytes]) -> dict[str, str]:
        """Store the file of a form. Return the headers of the response with status 204.

        Args:
            headers: The headers of the request, by their names in lower case.
            body: The chunks of the body. It is closed at the end.
        """

        async def store(_name: str, content: AsyncGenerator[bytes]) -> str:
            fields = hidden(dict(form.fields))  # S3 does not look at those behind the file either
            allowed = self._storage.verify_presigned("POST", fields.get("key", ""), fields.get("token", ""))
            return await self._storage.upload_presigned(allowed, content, content_type=fields.get("Content-Type"))

        form = FormReader(body, headers.get("content-type", ""), store, max_files=1)
        await form.read()
        if not form.files:
            raise InvalidArgumentException("the form holds no file", operation="upload_presigned")
        return await self._answer(form.files[0][1])

    async def _answer(self, key: str) -> dict[str, str]:
        etag = (await self._storage.stat(key)).etag
        return {"ETag": f'"{etag}"', "Location": await self._storage.url(key)}
