"""Documents.

Revision ID: 0001
Revises:
Create Date: 2026-11-22 07:28:41.431179
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "documents",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("file", sa.Unicode(length=1024), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("documents", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_documents_file"), ["file"], unique=False)
        batch_op.create_index(batch_op.f("ix_documents_owner"), ["owner"], unique=False)

    op.create_table(
        "stored_files",
        sa.Column("id", sa.Unicode(length=1024), nullable=False),
        sa.Column("storage", sa.Unicode(length=255), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("stored_files", schema=None) as batch_op:
        batch_op.create_index("ix_stored_files_state_until", ["state", "until"], unique=False)

    op.create_table(
        "stored_files_journal",
        sa.Column("id", sa.Unicode(length=1024), nullable=False),
        sa.Column("storage", sa.Unicode(length=255), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("stored_files_journal", schema=None) as batch_op:
        batch_op.create_index("ix_stored_files_journal_until", ["until"], unique=False)

    op.create_table(
        "stored_files_columns",
        sa.Column("table_name", sa.Unicode(length=255), nullable=False),
        sa.Column("column_name", sa.Unicode(length=255), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("table_name", "column_name"),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("stored_files_columns")
    with op.batch_alter_table("stored_files_journal", schema=None) as batch_op:
        batch_op.drop_index("ix_stored_files_journal_until")

    op.drop_table("stored_files_journal")
    with op.batch_alter_table("stored_files", schema=None) as batch_op:
        batch_op.drop_index("ix_stored_files_state_until")

    op.drop_table("stored_files")
    with op.batch_alter_table("documents", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_documents_owner"))
        batch_op.drop_index(batch_op.f("ix_documents_file"))

    op.drop_table("documents")
