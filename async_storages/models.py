"""The pydantic models of request and response bodies. Importing this module imports pydantic."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

__all__ = ["FileAttach", "FileBasicInfo", "FileDownload", "PresignedUpload"]


class FileBasicInfo(BaseModel):
    """Facts about a file: everything that a storage knows besides the content.

    Attributes:
        file_id: The fusion id.
        file_name: The name to show to people: the uploaded name if the storage kept it, otherwise a name from the id.
        file_size: The size in bytes.
        last_modify_time: The time of the last write, with a time zone. None if the backend does not tell it.
        storage_class: The storage class on S3 and GCS. None elsewhere.
        metadata: The user's key-value pairs.
        content_type: The stored type, or a guess from the name if no type is stored.
        etag: A text without quotes that changes whenever the content changes. None if the backend has none.
        cache_control: The ``Cache-Control`` header, from `UploadOptions`. S3 listings leave out this and the following
            fields.
        content_disposition: The ``Content-Disposition`` header.
        content_encoding: The ``Content-Encoding`` header. `file_size` is the size of the encoded content.
        content_language: The ``Content-Language`` header.
        expires: The time of the ``Expires`` header.
    """

    model_config = ConfigDict(frozen=True)

    file_id: str
    file_name: str
    file_size: int
    last_modify_time: datetime | None = None
    storage_class: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    content_type: str | None = None
    etag: str | None = None
    cache_control: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    expires: datetime | None = None


class FileAttach(BaseModel):
    """An uploaded file. Upload services return it, and it can be assigned to a column.

    Attributes:
        file_id: The id, in the form that the uploading service uses.
        file_name: The name under which the file was uploaded.
    """

    model_config = ConfigDict(frozen=True)

    file_id: str
    file_name: str
    _fusion_id: str | None = PrivateAttr(default=None)

    @property
    def fusion_id(self) -> str:
        """The id that columns store. It has a scheme even if a raw client wrote `file_id` without one."""
        return self._fusion_id or self.file_id


class FileDownload(BaseModel):
    """A file to download, and the name for it in the download."""

    model_config = ConfigDict(frozen=True)

    file_id: str
    file_name: str | None = None


class PresignedUpload(BaseModel):
    """A form with which a browser uploads one file straight to the storage: a URL and hidden fields.

    Send a ``multipart/form-data`` POST to `url`. Send all `fields` first and the file last, as the part ``file``.

    Attributes:
        file_id: The id of the file once it is uploaded.
        url: The URL to which the browser posts the form.
        fields: The hidden fields. They hold a signature, so the repr shows neither the fields nor the URL.
        expires_at: The time at which the signature expires.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    file_id: str
    url: str = Field(repr=False)
    fields: dict[str, str] = Field(repr=False)
    expires_at: datetime
