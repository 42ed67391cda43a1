"""Responses with variants that are made at their first request."""

from typing import Literal

from async_storages._secrets import hidden
from async_storages.errors import FileNotFoundException, InvalidArgumentException, StorageException
from async_storages.images.recipes import Variant
from async_storages.imaging.pool import ImagePool
from async_storages.serving.asgi import Message, Receive, Scope, Send, merged_headers
from async_storages.serving.front_server import FrontServer
from async_storages.serving.problems import reported_problem
from async_storages.serving.stored_file import HARMLESS, DeliveryMode, FileDelivery, check_delivery
from async_storages.variants.lazy import LazyVariants
from async_storages.variants.links import LinkedVariant, VariantLinks

__all__ = ["ErrorAnswer", "VariantDelivery"]

type ErrorAnswer = Literal["problem", "image"]
"""The response if a variant cannot be made: an error for the application's handlers, or a grey image."""

_FOR_GOOD = (b"cache-control", b"public, max-age=31536000, immutable")


class VariantDelivery:
    """Answers GET and HEAD for the URLs of variants, and makes missing variants.

    Args:
        links: The URLs.
        pool: The pool that makes the images. None uses the shared pool.
        mode: ``"proxy"`` sends variants through the application, and caches may keep them forever. ``"redirect"`` and
            None work as for `DeliveryOptions`, and caches cannot keep those responses.
        errors: ``"problem"`` raises errors for the application's handlers. ``"image"`` answers with a grey image.
        front_server: A web server that sends the files: see `DeliveryOptions`.

    Raises:
        InvalidArgumentException: An option is wrong.
    """

    def __init__(
        self,
        links: VariantLinks,
        *,
        pool: ImagePool | None = None,
        mode: DeliveryMode | None = "proxy",
        errors: ErrorAnswer = "problem",
        front_server: FrontServer | None = None,
    ) -> None:
        check_delivery(mode)
        if errors not in ("problem", "image"):
            raise InvalidArgumentException(f"errors is 'problem' or 'image', not {errors!r}")
        self._links = links
        self._lazy = LazyVariants(pool)
        self._mode: DeliveryMode | None = mode
        self._errors = errors
        self._front_server = front_server

    async def send(self, signature: str, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI).

        Args:
            signature: The first segment of the URL after the `base_url` of the links.
            path: The rest of the URL, percent-decoded.
            scope: The scope from ASGI.
            receive: The callable from ASGI.
            send: The callable from ASGI.

        Raises:
            StorageException: The variant cannot be sent, and `errors` is ``"problem"``.
        """
        signature = hidden(signature)
        recipe, begun = Variant(), list[Message]()

        async def noting(message: Message) -> None:
            begun[:] = [message]
            await send(message)

        try:
            variant = self._links.find(signature, path)
            recipe = variant.recipe
            await self._give(variant, scope, receive, noting)
        except StorageException as error:
            if begun or self._errors == "problem":
                raise
            await _send_image(error, recipe, scope["method"], send)

    async def _give(self, variant: LinkedVariant, scope: Scope, receive: Receive, send: Send) -> None:
        file = variant.file
        delivery = FileDelivery(file, mode=self._mode, front_server=self._front_server)
        if self._mode != "proxy" and not await file.exists():  # a redirect does not look
            await self._lazy.make(variant)
        try:
            await delivery.send([_FOR_GOOD], scope, receive, send)
        except FileNotFoundException:  # before its first byte
            await self._lazy.make(variant)
            await delivery.send([_FOR_GOOD], scope, receive, send)


async def _send_image(error: StorageException, recipe: Variant, method: str, send: Send) -> None:
    """Send a grey image with the proportions of the variant, and the status of the error."""
    width = recipe.width or recipe.height or 1
    height = recipe.height or width
    image = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        '<rect width="100%" height="100%" fill="#e5e7eb"/></svg>'
    ).encode()
    headers = {
        "content-type": "image/svg+xml",
        "content-length": str(len(image)),
        "cache-control": "no-store",
        **HARMLESS,
    }
    status = reported_problem(error).status
    await send({"type": "http.response.start", "status": status, "headers": merged_headers([], headers)})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else image})
