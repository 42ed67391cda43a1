"""People's profiles with a picture and documents, once with AsyncSession and once with plain Sessions.

`app.py` uses AsyncSession (PostgreSQL, MariaDB), `plain_app.py` Session (SQLite); models, schemas and the admin panel
are the same. `tests/` is how such an application is tested.
"""
