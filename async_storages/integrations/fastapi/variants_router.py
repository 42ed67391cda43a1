"""The routes for variants that are made at their first request."""

from fastapi import APIRouter

from async_storages.imaging.pool import ImagePool
from async_storages.integrations.starlette.variant_routes import VARIANT_PATH, VariantEndpoint
from async_storages.serving.front_server import FrontServer
from async_storages.serving.stored_file import DeliveryMode
from async_storages.serving.variants import ErrorAnswer, VariantDelivery
from async_storages.variants.links import VariantLinks

__all__ = ["variants_router"]


def variants_router(
    links: VariantLinks,
    *,
    pool: ImagePool | None = None,
    mode: DeliveryMode | None = "proxy",
    errors: ErrorAnswer = "problem",
    front_server: FrontServer | None = None,
) -> APIRouter:
    """Return a router that answers GET and HEAD for variants.

    Include it with the path of the links' `base_url` as the prefix.

    The first request waits until the variant is made and stored. Later requests get the stored variant. Browsers and
    CDNs may keep the responses forever. A URL with a wrong signature gets status 403. If the image is missing, or no
    column declares the variant any more, the status is 404.

    Args:
        links: The `VariantLinks` of the columns.
        pool: The pool that makes the images. None uses the shared pool.
        mode: ``"proxy"`` sends variants through the application. ``"redirect"`` redirects to presigned URLs of the
            storage, which CDNs do not keep. None redirects if the storage can presign, and otherwise proxies.
        errors: ``"problem"`` raises errors for `register_exception_handlers`. ``"image"`` answers with a grey image,
            which has the proportions of the variant, and the status of the error.
        front_server: A web server that sends the files: see `DeliveryOptions`.

    Example:
        >>> app.include_router(variants_router(VariantLinks("/variants", secret)), prefix="/variants")
    """
    router = APIRouter(include_in_schema=False)
    endpoint = VariantEndpoint(VariantDelivery(links, pool=pool, mode=mode, errors=errors, front_server=front_server))
    router.add_api_route(VARIANT_PATH, endpoint.read, methods=["GET", "HEAD"])
    return router
