"""File columns in the pages of Starlette-Admin.

```python
from starlette_admin.contrib.sqla import Admin

from async_storages.integrations.starlette_admin import FileModelView

admin = Admin(enable_file_tracking(async_sessionmaker(engine)), secret_key=secret)
admin.add_view(FileModelView(Document))
admin.mount_to(app)
```
"""

try:
    import starlette_admin as _starlette_admin  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(
        'this needs Starlette-Admin: run  pip install "sqlalchemy-async-storages[starlette-admin]"'
    ) from error

from async_storages.integrations.starlette_admin.converter import FileModelConverter
from async_storages.integrations.starlette_admin.view import FileModelView

__all__ = ["FileModelConverter", "FileModelView"]
