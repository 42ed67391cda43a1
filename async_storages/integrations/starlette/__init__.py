"""Uploads, downloads and errors for Starlette.

```python
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from async_storages.integrations.starlette import (
    get_manager, register_exception_handlers, storage_lifespan, stream_upload
)

async def upload(request: Request) -> Response:
    form = await stream_upload(request, await get_manager(request), folder="photos")
    return JSONResponse([attach.model_dump() for attach in form.attachments])

app = Starlette(routes=[Route("/photos", upload, methods=["POST"])], lifespan=storage_lifespan(manager))
register_exception_handlers(app)
```
"""

try:
    import python_multipart as _python_multipart  # noqa: F401
    import starlette as _starlette  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError('this needs Starlette: run  pip install "sqlalchemy-async-storages[starlette]"') from error

from async_storages.direct_uploads.uploads import DirectUpload, DirectUploads
from async_storages.file_tokens import FileTokens
from async_storages.integrations.lifespan import storage_lifespan
from async_storages.integrations.starlette.direct_routes import direct_routes
from async_storages.integrations.starlette.exception_handlers import register_exception_handlers
from async_storages.integrations.starlette.listings import response_with_urls
from async_storages.integrations.starlette.responses import ClosingStreamingResponse, StoredFileResponse, ZipResponse
from async_storages.integrations.starlette.signed_files import signed_downloads, signed_uploads
from async_storages.integrations.starlette.streamed_forms import get_manager, stream_upload
from async_storages.integrations.starlette.variant_routes import variant_routes
from async_storages.receiving.form_upload import FormOptions, StreamedForm, UploadProgress
from async_storages.serving.front_server import XAccelRedirect, XSendfile
from async_storages.serving.problems import Problem
from async_storages.serving.stored_file import INLINE_TYPES, DeliveryOptions

__all__ = [
    "INLINE_TYPES",
    "ClosingStreamingResponse",
    "DeliveryOptions",
    "DirectUpload",
    "DirectUploads",
    "FileTokens",
    "FormOptions",
    "Problem",
    "StoredFileResponse",
    "StreamedForm",
    "UploadProgress",
    "XAccelRedirect",
    "XSendfile",
    "ZipResponse",
    "direct_routes",
    "get_manager",
    "register_exception_handlers",
    "response_with_urls",
    "signed_downloads",
    "signed_uploads",
    "storage_lifespan",
    "stream_upload",
    "variant_routes",
]
