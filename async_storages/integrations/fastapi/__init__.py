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

from async_storages.integrations.fastapi.app import storage_lifespan
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
from async_storages.integrations.fastapi.direct import DirectUpload, DirectUploads
from async_storages.integrations.fastapi.direct_routes import direct_router
from async_storages.integrations.fastapi.front_server import XAccelRedirect, XSendfile
from async_storages.integrations.fastapi.handlers import Problem, problem_responses, register_exception_handlers
from async_storages.integrations.fastapi.listings import response_with_urls
from async_storages.integrations.fastapi.local import signed_downloads, signed_uploads
from async_storages.integrations.fastapi.openapi import file_responses
from async_storages.integrations.fastapi.responses import INLINE_TYPES, StoredFileResponse
from async_storages.integrations.fastapi.routers import files_router
from async_storages.integrations.fastapi.streaming import ClosingStreamingResponse, ZipResponse
from async_storages.integrations.fastapi.tokens import FileTokens
from async_storages.integrations.fastapi.uploads import StreamedForm, UploadProgress, stream_upload

__all__ = [
    "INLINE_TYPES",
    "ClosingStreamingResponse",
    "DeleteServiceDep",
    "DirectUpload",
    "DirectUploads",
    "DownloadServiceDep",
    "FileTokens",
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
]
