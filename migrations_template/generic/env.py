from logging.config import fileConfig
from typing import Any

from alembic import context
from sqlalchemy import Connection, engine_from_config, pool

try:
    from async_storages.integrations import alembic as file_columns
except ImportError:  # needed to generate migrations, not to run those that there are
    render_item = None
else:
    file_columns.enable()  # Alembic 1.18 and newer have done it
    render_item = file_columns.render_item

config = context.config
if config.config_file_name is not None:
    fileConfig(config.config_file_name, disable_existing_loggers=False)

# What migrations are generated from: your models' metadata, such as app.models.Base.metadata
target_metadata = None
# Where a FileLedger is used, its tables too: async_storages.integrations.sqlalchemy.add_ledger_tables(target_metadata)


def run_migrations(**options: Any) -> None:
    context.configure(
        target_metadata=target_metadata,
        render_item=render_item,
        compare_type=True,
        **options,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_migrations_offline() -> None:
    """Write SQL instead of running it."""
    url = config.get_main_option("sqlalchemy.url")
    run_migrations(url=url, literal_binds=True, dialect_opts={"paramstyle": "named"})


def run_migrations_on(connection: Connection) -> None:
    is_sqlite = connection.dialect.name == "sqlite"  # which alters columns by copying the table
    run_migrations(connection=connection, render_as_batch=is_sqlite)


def run_migrations_online() -> None:
    section = config.get_section(config.config_ini_section, {})
    engine = engine_from_config(section, prefix="sqlalchemy.", poolclass=pool.NullPool)
    with engine.connect() as connection:
        run_migrations_on(connection)


if context.is_offline_mode():
    run_migrations_offline()
else:
    run_migrations_online()
