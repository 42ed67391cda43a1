"""File moves.

Revision ID: 0002
Revises: 0001
Create Date: 2026-12-01 05:34:43.915693
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INDEXES = {"arriving": ["arriving"], "retained": ["retained"], "state_until": ["state", "until"], "target": ["target"]}


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "file_moves",
        sa.Column("source", sa.Unicode(length=1024), nullable=False),
        sa.Column("target", sa.Unicode(length=1024), nullable=True),
        sa.Column("arriving", sa.Unicode(length=1024), nullable=True),
        sa.Column("retained", sa.Unicode(length=1024), nullable=True),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.Column("mover", sa.String(length=32), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("checksum", sa.String(length=80), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Unicode(length=1000), nullable=True),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("moved", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("source"),
    )
    for name, columns in INDEXES.items():
        op.create_index(f"ix_file_moves_{name}", "file_moves", columns)


def downgrade() -> None:
    """Drop it."""
    op.drop_table("file_moves")
