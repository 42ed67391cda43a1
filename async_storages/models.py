"""The pydantic models of request and response bodies; importing them costs what importing pydantic costs."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

__all__ = ["FileAttach", "FileBasicInfo", "FileDownload", "PresignedUpload"]


class FileBasicInfo(BaseModel):
    """Facts about a file: all that a storage knows without giving its content.

    Attributes:
        file_id: The fusion id.
        file_name: The name for people: as uploaded where the storage kept it, else taken from the id.
        file_size: Bytes.
        last_modify_time: When it was written, with a time zone; None where the backend does not say.
        storage_class: The backend's storage class (S3, GCS), else None.
        metadata: The user's key-value pairs.
        content_type: The stored type, else the one its name suggests.
        etag: Changes whenever the content does; without quotes; None where the backend has none.
        cache_control: As `UploadOptions` said, like the following ones; listings of S3 leave them out.
        content_disposition: Likewise.
        content_encoding: Likewise; `file_size` is that of the encoded content.
        content_language: Likewise.
        expires: Likewise.
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
    """An uploaded file: what an upload answers and what is put into a column.

    Attributes:
        file_id: The id, as the service that uploaded it writes ids.
        file_name: The name that it was uploaded under.
    """

    model_config = ConfigDict(frozen=True)

    file_id: str
    file_name: str
    _fusion_id: str | None = PrivateAttr(default=None)

    @property
    def fusion_id(self) -> str:
        """The id that columns hold: also where a raw client wrote it without its scheme."""
        return self._fusion_id or self.file_id


class FileDownload(BaseModel):
    """A file that is asked for, and the name it is to have in the download."""

    model_config = ConfigDict(frozen=True)

    file_id: str
    file_name: str | None = None


class PresignedUpload(BaseModel):
    """A form with which a browser uploads one file by itself: a URL and hidden fields.

    Send a ``multipart/form-data`` POST to `url` with all `fields` first and the file last, as the part ``file``.

    Attributes:
        file_id: The id that the uploaded file will have.
        url: Where the form goes.
        fields: The hidden fields; they hold a signature, so neither they nor the URL are shown in a repr.
        expires_at: When the signature ends.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    file_id: str
    url: str = Field(repr=False)
    fields: dict[str, str] = Field(repr=False)
    expires_at: datetime
