"""Uploads, downloads and errors for Litestar.

```python
from litestar import Request, post

from async_storages import FileAttach
from async_storages.integrations.litestar import (
    StoredFileResponse, exception_handlers, get_manager, storage_lifespan, stream_upload
)

@post("/photos", request_max_body_size=50_000_000)
async def upload(request: Request) -> list[FileAttach]:
    return (await stream_upload(request, await get_manager(request), folder="photos")).attachments

app = Litestar([upload], lifespan=[storage_lifespan(manager)], exception_handlers=exception_handlers)
```
"""

try:
    import litestar as _litestar  # noqa: F401
    import python_multipart as _python_multipart  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError('this needs Litestar: run  pip install "sqlalchemy-async-storages[litestar]"') from error

from async_storages.direct_uploads.uploads import DirectUpload, DirectUploads
from async_storages.file_tokens import FileTokens
from async_storages.integrations.lifespan import storage_lifespan
from async_storages.integrations.litestar.direct_router import direct_router
from async_storages.integrations.litestar.exception_handlers import exception_handlers
from async_storages.integrations.litestar.responses import StoredFileResponse
from async_storages.integrations.litestar.signed_files import signed_files
from async_storages.integrations.litestar.streamed_forms import get_manager, stream_upload
from async_storages.receiving.form_upload import FormOptions, StreamedForm, UploadProgress
from async_storages.serving.front_server import XAccelRedirect, XSendfile
from async_storages.serving.problems import Problem
from async_storages.serving.stored_file import INLINE_TYPES, DeliveryOptions

__all__ = [
    "INLINE_TYPES",
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
    "direct_router",
    "exception_handlers",
    "get_manager",
    "signed_files",
    "storage_lifespan",
    "stream_upload",
]
