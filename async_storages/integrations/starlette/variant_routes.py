"""The routes of variants that are made when they are first asked for."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from async_storages._secrets import hidden
from async_storages.imaging.pool import ImagePool
from async_storages.serving.front_server import FrontServer
from async_storages.serving.stored_file import DeliveryMode
from async_storages.serving.variants import ErrorAnswer, VariantDelivery
from async_storages.variants.links import VariantLinks

__all__ = ["VARIANT_PATH", "VariantEndpoint", "variant_routes"]

VARIANT_PATH = "/{signature}/{path:path}"
"""The path of the routes, below the prefix."""


def variant_routes(
    links: VariantLinks,
    *,
    prefix: str,
    pool: ImagePool | None = None,
    mode: DeliveryMode | None = "proxy",
    errors: ErrorAnswer = "problem",
    front_server: FrontServer | None = None,
) -> list[Route]:
    """GET and HEAD of variants; their prefix is the path of the links' `base_url`.

    Who asks first waits until the variant is made and stored; from then on it is given from the storage. Answers are
    kept for good by browsers and CDNs. A URL that was not made here is refused (403); without its image, or without a
    column that declares it, there is no variant (404).

    Args:
        links: The URLs, as the columns have them.
        prefix: The routes', such as ``"/variants"``.
        pool: Makes the images; None for the shared one.
        mode: ``"proxy"`` gives them through the application; ``"redirect"`` by presigned URLs of the storage, which no
            CDN keeps; None does so where the storage can.
        errors: ``"problem"`` for errors that `register_exception_handlers` answers, ``"image"`` for a grey image with
            the proportions of the variant and the status of the error.
        front_server: Sends the files in the application's place: see `DeliveryOptions`.

    Example:
        >>> from starlette.applications import Starlette
        >>> app = Starlette([*variant_routes(VariantLinks("/variants", secret), prefix="/variants")])
    """
    endpoint = VariantEndpoint(VariantDelivery(links, pool=pool, mode=mode, errors=errors, front_server=front_server))
    return [Route(f"{prefix}{VARIANT_PATH}", endpoint.read, methods=["GET", "HEAD"])]


class VariantEndpoint:
    """Answers the requests for variants."""

    def __init__(self, delivery: VariantDelivery) -> None:
        self._delivery = delivery

    async def read(self, request: Request) -> Response:
        """Give a variant."""
        return _VariantResponse(self._delivery)


class _VariantResponse(Response):
    def __init__(self, delivery: VariantDelivery) -> None:
        super().__init__()
        self._delivery = delivery

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        signature, path = hidden(scope["path_params"]["signature"]), scope["path_params"]["path"]
        await self._delivery.send(signature, path, scope, receive, send)
