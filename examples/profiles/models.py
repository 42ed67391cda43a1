"""The tables, and the files that they take."""

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from async_storages import FileTypeConfig, FileValidator, ImageRules, StoredFile, StoredImage
from async_storages.integrations.sqlalchemy import FileMapped, FileType, ImageType, add_ledger_tables

PICTURES = FileValidator(max_file_size=5_000_000, image=ImageRules(min_width=16, min_height=16))
DOCUMENTS = FileValidator(FileTypeConfig(type_whitelist=["application/pdf", "text/plain"]), max_file_size=20_000_000)


class Base(DeclarativeBase):
    pass


class Profile(Base):
    __tablename__ = "profiles"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    picture: FileMapped[StoredImage | None] = mapped_column(
        ImageType("files", folder="pictures", validators=[PICTURES], width="width", height="height"), index=True
    )
    width: Mapped[int | None]
    height: Mapped[int | None]
    documents: Mapped[list["Document"]] = relationship(
        back_populates="profile", cascade="all, delete-orphan", lazy="selectin", order_by="Document.id"
    )

    def __str__(self) -> str:
        return self.name


class Document(Base):
    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    profile_id: Mapped[int] = mapped_column(ForeignKey(Profile.id), index=True)
    file: FileMapped[StoredFile] = mapped_column(
        FileType("files", folder="documents", validators=[DOCUMENTS]), index=True
    )
    profile: Mapped[Profile] = relationship(back_populates="documents")


add_ledger_tables(Base.metadata)  # so that migrations make them
