"""The routes of variants that are made when they are first asked for."""

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
    """GET and HEAD of variants; include it where the links' `base_url` points.

    Who asks first waits until the variant is made and stored; from then on it is given from the storage. Answers are
    kept for good by browsers and CDNs. A URL that was not made here is refused (403); without its image, or without a
    column that declares it, there is no variant (404).

    Args:
        links: The URLs, as the columns have them.
        pool: Makes the images; None for the shared one.
        mode: ``"proxy"`` gives them through the application; ``"redirect"`` by presigned URLs of the storage, which no
            CDN keeps; None does so where the storage can.
        errors: ``"problem"`` for errors that `register_exception_handlers` answers, ``"image"`` for a grey image with
            the proportions of the variant and the status of the error.
        front_server: Sends the files in the application's place: see `DeliveryOptions`.

    Example:
        >>> app.include_router(variants_router(VariantLinks("/variants", secret)), prefix="/variants")
    """
    router = APIRouter(include_in_schema=False)
    endpoint = VariantEndpoint(VariantDelivery(links, pool=pool, mode=mode, errors=errors, front_server=front_server))
    router.add_api_route(VARIANT_PATH, endpoint.read, methods=["GET", "HEAD"])
    return router
