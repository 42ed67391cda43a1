"""The routes for variants that are made at their first request."""

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
"""The path of the routes after the prefix."""


def variant_routes(
    links: VariantLinks,
    *,
    prefix: str,
    pool: ImagePool | None = None,
    mode: DeliveryMode | None = "proxy",
    errors: ErrorAnswer = "problem",
    front_server: FrontServer | None = None,
) -> list[Route]:
    """Return the routes that answer GET and HEAD for variants.

    The first request waits until the variant is made and stored. Later requests get the stored variant. Browsers and
    CDNs may keep the responses forever. A URL with a wrong signature gets status 403. If the image is missing, or no
    column declares the variant any more, the status is 404.

    Args:
        links: The `VariantLinks` of the columns.
        prefix: The prefix of the routes, for example ``"/variants"``. It is the path of the links' `base_url`.
        pool: The pool that makes the images. None uses the shared pool.
        mode: ``"proxy"`` sends variants through the application. ``"redirect"`` redirects to presigned URLs of the
            storage, which CDNs do not keep. None redirects if the storage can presign, and otherwise proxies.
        errors: ``"problem"`` raises errors for `register_exception_handlers`. ``"image"`` answers with a grey image,
            which has the proportions of the variant, and the status of the error.
        front_server: A web server that sends the files: see `DeliveryOptions`.

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
        """Send a variant."""
        return _VariantResponse(self._delivery)


class _VariantResponse(Response):
    def __init__(self, delivery: VariantDelivery) -> None:
        super().__init__()
        self._delivery = delivery

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        signature, path = hidden(scope["path_params"]["signature"]), scope["path_params"]["path"]
        await self._delivery.send(signature, path, scope, receive, send)
