"""Uploads, downloads and errors for FastAPI.

```python
from async_storages.integrations.fastapi import (
    StoredFileResponse, UploadServiceDep, register_exception_handlers, storage_lifespan
)

app = FastAPI(lifespan=storage_lifespan(manager))
register_exception_handlers(app)

@app.post("/files")
async def upload(file: UploadFile, uploads: UploadServiceDep) -> FileAttach | None:
    return await uploads.upload_file(file)
```
"""

try:
    import fastapi as _fastapi  # noqa: F401
    import python_multipart as _python_multipart  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError('this needs FastAPI: run  pip install "sqlalchemy-async-storages[fastapi]"') from error

from async_storages.direct_uploads.uploads import DirectUpload, DirectUploads
from async_storages.file_tokens import FileTokens
from async_storages.integrations.fastapi.dependencies import (
    DeleteServiceDep,
    DownloadServiceDep,
    InfoServiceDep,
    ManagerDep,
    UploadDep,
    UploadServiceDep,
    get_manager,
    session_dependency,
)
from async_storages.integrations.fastapi.direct_router import direct_router
from async_storages.integrations.fastapi.encoders import register_encoders
from async_storages.integrations.fastapi.exception_handlers import register_exception_handlers
from async_storages.integrations.fastapi.files_router import files_router
from async_storages.integrations.fastapi.openapi import file_responses, problem_responses
from async_storages.integrations.fastapi.signed_files import signed_downloads, signed_uploads
from async_storages.integrations.fastapi.variants_router import variants_router
from async_storages.integrations.lifespan import storage_lifespan
from async_storages.integrations.starlette.listings import response_with_urls
from async_storages.integrations.starlette.responses import ClosingStreamingResponse, StoredFileResponse, ZipResponse
from async_storages.integrations.starlette.streamed_forms import stream_upload
from async_storages.receiving.form_upload import FormOptions, StreamedForm, UploadProgress
from async_storages.serving.front_server import XAccelRedirect, XSendfile
from async_storages.serving.problems import Problem
from async_storages.serving.stored_file import INLINE_TYPES, DeliveryOptions

__all__ = [
    "INLINE_TYPES",
    "ClosingStreamingResponse",
    "DeleteServiceDep",
    "DeliveryOptions",
    "DirectUpload",
    "DirectUploads",
    "DownloadServiceDep",
    "FileTokens",
    "FormOptions",
    "InfoServiceDep",
    "ManagerDep",
    "Problem",
    "StoredFileResponse",
    "StreamedForm",
    "UploadDep",
    "UploadProgress",
    "UploadServiceDep",
    "XAccelRedirect",
    "XSendfile",
    "ZipResponse",
    "direct_router",
    "file_responses",
    "files_router",
    "get_manager",
    "problem_responses",
    "register_exception_handlers",
    "response_with_urls",
    "session_dependency",
    "signed_downloads",
    "signed_uploads",
    "storage_lifespan",
    "stream_upload",
    "variants_router",
]

register_encoders()
