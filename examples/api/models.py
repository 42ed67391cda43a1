"""The tables, and what files may be."""

from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from async_storages import FileTypeConfig, FileValidator, StoredFile
from async_storages.integrations.sqlalchemy import FileType, add_ledger_tables, add_move_table

FOLDER = "documents"
RULES = FileValidator(
    FileTypeConfig(type_whitelist=["application/pdf", "image/*", "text/plain"]), max_file_size=10_000_000
)


class Base(DeclarativeBase):
    pass


add_ledger_tables(Base.metadata)  # for the migrations
add_move_table(Base.metadata)  # so that whoever removes files knows of those that are being moved


class Document(Base):
    __tablename__ = "documents"
    __mapper_args__ = {"confirm_deleted_rows": False}  # noqa: RUF012 - of two clients that delete it neither is wrong

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(String(64), index=True)
    title: Mapped[str] = mapped_column(String(200))
    file: Mapped[StoredFile] = mapped_column(FileType("documents", folder=FOLDER, validators=[RULES]), index=True)

    @property
    def file_name(self) -> str:
        """The name for people."""
        return self.file.filename
