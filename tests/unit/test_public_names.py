"""All public names, in one list: to add one is a decision, to lose one breaks a program."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PUBLIC_NAMES = {
    "async_storages": [
        "ACTIVE_TYPES",
        "AccessDeniedException",
        "BaseStorage",
        "ChecksumMismatchException",
        "ClamdScanner",
        "Clean",
        "CloudFrontSigner",
        "Content",
        "CredentialsExpireWarning",
        "CustomerKey",
        "DeleteNotSupportedException",
        "DeleteService",
        "DownloadService",
        "FFmpegPreviewer",
        "FallbackStorage",
        "FastDFSClient",
        "FastDFSCluster",
        "FastDFSDetails",
        "FastDFSOptions",
        "FastDFSStorage",
        "FastdfsConfig",
        "FileArchivedException",
        "FileAttach",
        "FileBasicInfo",
        "FileDownload",
        "FileExistsException",
        "FileGoneException",
        "FileId",
        "FileInfo",
        "FileKind",
        "FileName",
        "FileNotFoundException",
        "FileTooLargeException",
        "FileTypeConfig",
        "FileUrls",
        "FileValidator",
        "FileValidatorImpl",
        "FolderStorage",
        "GCSBucketAdmin",
        "GCSConfig",
        "GCSStorage",
        "HttpOptions",
        "ImageEngine",
        "ImageLimits",
        "ImagePool",
        "ImageProcessingException",
        "ImageRules",
        "ImageSize",
        "Infected",
        "InfoService",
        "InsecureConnectionWarning",
        "InvalidArgumentException",
        "InvalidFileTypeException",
        "KmsEncryption",
        "LocalStorage",
        "MadeImage",
        "MemoryStorage",
        "MirroredStorage",
        "OperationNotSupportedException",
        "Original",
        "PartUploads",
        "PdfPreviewer",
        "PendingFile",
        "PillowEngine",
        "Pixels",
        "PresignMethod",
        "PresignOptions",
        "PresignedUpload",
        "PresigningStorage",
        "Previewer",
        "QuarantineReview",
        "Resynced",
        "Retries",
        "RouteNotSupportedException",
        "S3BucketAdmin",
        "S3Client",
        "S3Config",
        "S3Storage",
        "Scanner",
        "ServedBy",
        "SrcSet",
        "Storage",
        "StorageClosedException",
        "StorageException",
        "StorageFile",
        "StorageImage",
        "StorageManager",
        "StorageMode",
        "StorageModeConfig",
        "StorageOperationException",
        "StorageUnavailableException",
        "StoredFile",
        "StoredImage",
        "StoredPart",
        "SupportsCopy",
        "SupportsDirectUpload",
        "SupportsFolders",
        "SupportsList",
        "SupportsMetadata",
        "SupportsPartUploads",
        "SupportsPing",
        "SupportsPresign",
        "SweepRefusedException",
        "Unscanned",
        "UploadOptions",
        "UploadService",
        "Variant",
        "VariantLinks",
        "Variants",
        "Verdict",
        "VipsEngine",
        "ZipDownload",
        "ZipEntry",
        "__version__",
        "allow_in_event_loop",
        "byte_range",
        "check_metadata",
        "check_presign_method",
        "clean_filename",
        "delete_variants",
        "events",
        "fastdfs_ids",
        "file_urls",
        "make_variants",
        "original_filename",
        "prefetch",
        "registry",
        "review_quarantined_file",
        "run_sync",
        "stream_zip",
        "zip_size",
    ],
    "async_storages.integrations.sqlalchemy": [
        "CleanedVariants",
        "Drained",
        "FileLedger",
        "FileList",
        "FileListMapped",
        "FileListType",
        "FileMapped",
        "FileType",
        "FilledFacts",
        "Finished",
        "ImageListType",
        "ImageType",
        "LedgerStats",
        "Migration",
        "MigrationStatus",
        "MoveFailure",
        "Moved",
        "MovedFiles",
        "MovingFile",
        "Planned",
        "RegeneratedVariants",
        "RolledBack",
        "Verified",
        "VerifiedFiles",
        "add_ledger_tables",
        "add_move_table",
        "clean_variants",
        "enable_file_tracking",
        "fill_facts",
        "normalise_file_ids",
        "regenerate_variants",
        "verify_files",
    ],
    "async_storages.integrations.fastapi": [
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
    ],
    "async_storages.integrations.alembic": [
        "enable",
        "render_item",
    ],
}

PUBLIC_PATHS = re.compile(
    r"async_storages(\.(integrations(\.\w+)?|compat\.s3py_helper|testing(\.\w+)*))?",
)
"""Every other module is private: its path may change in any version."""


@pytest.mark.parametrize("module", PUBLIC_NAMES)
def test_the_public_names_are_these(module):
    assert set(import_module(module).__all__) == set(PUBLIC_NAMES[module])


@pytest.mark.parametrize("module", PUBLIC_NAMES)
def test_every_public_name_can_be_imported_and_is_offered_by_dir(module):
    package = import_module(module)
    assert {name for name in PUBLIC_NAMES[module] if not hasattr(package, name)} == set()
    assert set(PUBLIC_NAMES[module]) <= set(dir(package))


# ---- imports that are shown to users


def shown_imports() -> Iterator[tuple[str, str, str]]:
    """Each ``from async_storages… import …`` of the README, the docs and the examples: file, module, names."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for path in pages:
        for block in re.findall(r"^```python[^\n]*\n(.*?)^```", path.read_text("utf-8"), re.DOTALL | re.MULTILINE):
            yield from _imports_in(path, block)
    for path in sorted((ROOT / "examples").rglob("*.py")):
        yield from _imports_in(path, path.read_text("utf-8"))


def _imports_in(path: Path, code: str) -> Iterator[tuple[str, str, str]]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "async_storages":
            for alias in node.names:
                yield path.relative_to(ROOT).as_posix(), str(node.module), alias.name


SHOWN = sorted(set(shown_imports()))


def test_docs_and_examples_import_from_public_paths_only():
    assert [shown for shown in SHOWN if not PUBLIC_PATHS.fullmatch(shown[1])] == []


@pytest.mark.parametrize("name", sorted({(module, name) for _, module, name in SHOWN}), ids=".".join)
def test_an_import_that_is_shown_works(name):
    module, attribute = name
    package = import_module(module)
    assert hasattr(package, attribute) or import_module(f"{module}.{attribute}")


# ---- what users of the projects that this one unites rely on

EARLIER = {
    "async_storages": """
        S3Storage FastDFSStorage GCSStorage LocalStorage MemoryStorage Storage BaseStorage StorageManager S3Client
        FastDFSClient FileId StoredFile StoredImage StorageFile StorageImage PendingFile FileBasicInfo FileInfo
        FileAttach FileDownload PresignedUpload S3Config FastdfsConfig GCSConfig StorageModeConfig StorageMode
        FileTypeConfig FileValidatorImpl StorageException InvalidArgumentException InvalidFileTypeException
        FileTooLargeException FileNotFoundException FileExistsException FileGoneException DeleteNotSupportedException
        RouteNotSupportedException AccessDeniedException StorageOperationException StorageUnavailableException
        ChecksumMismatchException registry events prefetch
    """,
    "async_storages.integrations.sqlalchemy": """
        FileType ImageType FileListType ImageListType FileLedger enable_file_tracking normalise_file_ids
    """,
    "async_storages.testing": "StorageContract FaultProxy",
    "async_storages.validation": "FileTypeConfig FileValidator",
    "async_storages.fastdfs_ids": "FastDFSDetails",
}


@pytest.mark.parametrize("module", EARLIER)
def test_names_of_earlier_versions_can_be_imported_without_a_warning(module):
    program = f"from {module} import {', '.join(EARLIER[module].split())}"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
