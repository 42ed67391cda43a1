"""File columns in the pages of SQLAdmin.

```python
from sqladmin import Admin

from async_storages.integrations.sqladmin import FileModelView

class DocumentAdmin(FileModelView, model=Document):
    column_list = [Document.id, Document.file]

admin = Admin(app, session_maker=enable_file_tracking(async_sessionmaker(engine)))
admin.add_view(DocumentAdmin)
```
"""

try:
    import sqladmin as _sqladmin  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError('this needs SQLAdmin: run  pip install "sqlalchemy-async-storages[sqladmin]"') from error

from async_storages.integrations.sqladmin.converter import FileModelConverter
from async_storages.integrations.sqladmin.view import FileModelView

__all__ = ["FileModelConverter", "FileModelView"]
