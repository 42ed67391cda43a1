"""File columns for SQLAlchemy.

```python
from async_storages.integrations.sqlalchemy import FileType, ImageType

class Document(Base):
    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[StoredFile | None] = mapped_column(FileType("documents"))
```
"""

try:
    import sqlalchemy as _sqlalchemy  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError('this needs SQLAlchemy: run  pip install "sqlalchemy-async-storages[sqlalchemy]"') from error

from async_storages.integrations.sqlalchemy.columns import attributes, statement_errors
from async_storages.integrations.sqlalchemy.columns.fact_filling import FilledFacts, fill_facts
from async_storages.integrations.sqlalchemy.columns.file_list import FileList
from async_storages.integrations.sqlalchemy.columns.list_types import FileListType, ImageListType
from async_storages.integrations.sqlalchemy.columns.mapped import FileListMapped, FileMapped
from async_storages.integrations.sqlalchemy.columns.queries import normalise_file_ids
from async_storages.integrations.sqlalchemy.columns.types import FileType, ImageType
from async_storages.integrations.sqlalchemy.columns.variant_regeneration import (
    RegeneratedVariants,
    regenerate_variants,
)
from async_storages.integrations.sqlalchemy.columns.verification import VerifiedFiles, verify_files
from async_storages.integrations.sqlalchemy.ledger.file_ledger import Drained, FileLedger
from async_storages.integrations.sqlalchemy.ledger.statistics import LedgerStats
from async_storages.integrations.sqlalchemy.ledger.tables import add_ledger_tables
from async_storages.integrations.sqlalchemy.migration.finish import Finished
from async_storages.integrations.sqlalchemy.migration.migration import Migration
from async_storages.integrations.sqlalchemy.migration.moved_files import MovedFiles
from async_storages.integrations.sqlalchemy.migration.mover import Moved
from async_storages.integrations.sqlalchemy.migration.plan import Planned
from async_storages.integrations.sqlalchemy.migration.rollback import RolledBack
from async_storages.integrations.sqlalchemy.migration.route import MovingFile
from async_storages.integrations.sqlalchemy.migration.statistics import MigrationStatus, MoveFailure
from async_storages.integrations.sqlalchemy.migration.tables import add_move_table
from async_storages.integrations.sqlalchemy.migration.verification import Verified
from async_storages.integrations.sqlalchemy.references.variant_cleaning import CleanedVariants, clean_variants
from async_storages.integrations.sqlalchemy.tracking.session_events import enable_file_tracking

__all__ = [
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
]

attributes.listen()
statement_errors.listen()
