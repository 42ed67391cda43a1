"""Made by ``alembic init -t "$(async-storages alembic-template async)"``."""

import asyncio
from logging.config import fileConfig
from typing import Any

from alembic import context
from api.models import Base
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import async_engine_from_config

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

target_metadata = Base.metadata


def run_migrations(**options: Any) -> None:
    """Run what is to be run."""
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
    """Run them on a database."""
    is_sqlite = connection.dialect.name == "sqlite"  # which alters columns by copying the table
    run_migrations(connection=connection, render_as_batch=is_sqlite)


async def run_migrations_online() -> None:
    """Connect, and run them."""
    section = config.get_section(config.config_ini_section, {})
    engine = async_engine_from_config(section, prefix="sqlalchemy.", poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run_migrations_on)


if context.is_offline_mode():
    run_migrations_offline()
else:
    asyncio.run(run_migrations_online())
