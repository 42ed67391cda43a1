from datetime import UTC, datetime

import pytest
from pydantic import BaseModel, ValidationError

from async_storages import FileAttach, FileBasicInfo, FileDownload, PresignedUpload

NOW = datetime(2026, 11, 22, tzinfo=UTC)
UPLOAD = PresignedUpload(
    file_id="s3:b/k",
    url="https://b.example/?X-Amz-Signature=SECRET",
    fields={"x-amz-signature": "SECRET"},
    expires_at=NOW,
)
MODELS = [
    FileAttach(file_id="s3:b/k", file_name="k"),
    FileDownload(file_id="s3:b/k"),
    FileBasicInfo(
        file_id="s3:b/k", file_name="k", file_size=3, last_modify_time=NOW, metadata={"owner": "Ann"}, etag="1"
    ),
    UPLOAD,
]
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)


@each_model
def test_each_goes_through_json_unchanged(model):
    assert type(model).model_validate_json(model.model_dump_json()) == model


@each_model
def test_each_is_a_value(model):
    with pytest.raises(ValidationError, match="frozen"):
        model.file_id = "s3:b/other"


@pytest.mark.parametrize(
    ("model", "required"),
    [
        (FileAttach, {"file_id", "file_name"}),
        (FileDownload, {"file_id"}),
        (FileBasicInfo, {"file_id", "file_name", "file_size"}),
        (PresignedUpload, {"file_id", "url", "fields", "expires_at"}),
    ],
)
def test_what_a_body_must_hold(model, required):
    assert set(model.model_json_schema()["required"]) == required
    with pytest.raises(ValidationError) as refused:
        model.model_validate({})
    assert {error["loc"][0] for error in refused.value.errors()} == required


def test_what_is_not_told_is_none():
    info = FileBasicInfo(file_id="mem:a", file_name="a", file_size=0)
    assert info.metadata == {}
    assert [info.last_modify_time, info.storage_class, info.content_type, info.etag] == [None] * 4
    assert FileDownload(file_id="mem:a").file_name is None


def test_what_a_presigned_upload_holds_is_sent_but_never_shown():
    class Answer(BaseModel):
        uploads: list[PresignedUpload]

    for shown in (repr(UPLOAD), str(UPLOAD), repr(Answer(uploads=[UPLOAD]))):
        assert "SECRET" not in shown
        assert "s3:b/k" in shown
    assert UPLOAD.model_dump()["fields"] == {"x-amz-signature": "SECRET"}


@pytest.mark.parametrize("fields", ["SECRET", {"x-amz-signature": ["SECRET"]}], ids=["text", "list"])
def test_a_malformed_presigned_upload_shows_nothing_either(fields):
    with pytest.raises(ValidationError) as refused:
        PresignedUpload(file_id="s3:b/k", url="https://b.example/", fields=fields, expires_at=NOW)
    assert "SECRET" not in str(refused.value)
