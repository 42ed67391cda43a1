"""Answers with variants that are made when they are first asked for."""

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
"""The answer to a variant that cannot be given: an error that the application's handlers answer, or an image."""

_FOR_GOOD = (b"cache-control", b"public, max-age=31536000, immutable")


class VariantDelivery:
    """Gives variants to whoever has their URL, by GET or HEAD, and makes those that are missing.

    Args:
        links: The URLs.
        pool: Makes the images; None for the shared one.
        mode: ``"proxy"`` gives them through the application, to be kept for good; ``"redirect"`` and None as for
            `DeliveryOptions`, which cannot be.
        errors: ``"problem"`` raises for the application's handlers, ``"image"`` answers with a grey image.
        front_server: Sends the files in the application's place: see `DeliveryOptions`.

    Raises:
        InvalidArgumentException: An option that cannot be.
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
            signature: The segment of the URL behind the links' `base_url`.
            path: The rest of it, percent-decoded.
            scope: As ASGI gives it.
            receive: As ASGI gives it.
            send: As ASGI gives it.

        Raises:
            StorageException: The variant cannot be given, and `errors` is ``"problem"``.
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
