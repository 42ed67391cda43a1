"""Modules without a test file of their name: `python -m tools.mirror` prints them.

A module `a/b.py` of the package has `tests/unit/a/test_b.py`, or `RUN_BY` says which tests run it. Modules that only
import and declare need none.
"""

from fnmatch import fnmatchcase

from tools.package import PACKAGE, ROOT

RUN_BY = {
    # Packages whose own module finds names when they are used.
    "async_storages": "unit/test_project.py",
    "integrations.alembic": "integration/alembic/test_round_trip.py",
    "testing": "unit/testing/test_fixtures.py",
    "integrations.sqlalchemy.columns.fact_columns": "integration/sqlalchemy/test_fact_columns.py",
    "integrations.sqlalchemy.columns.file_rows": "integration/sqlalchemy/test_fact_filling.py",
    "integrations.sqlalchemy.columns.walk_results": "integration/sqlalchemy/test_list_walks.py",
    "integrations.sqlalchemy.columns.verification": "integration/sqlalchemy/test_verification.py",
    "integrations.sqlalchemy.columns.fact_filling": "integration/sqlalchemy/test_fact_filling.py",
    "integrations.sqlalchemy.references.variant_cleaning": "integration/sqlalchemy/test_variant_cleaning.py",
    "integrations.sqlalchemy.columns.variant_regeneration": "integration/sqlalchemy/test_variant_regeneration.py",
    "integrations.sqlalchemy.columns.declared_variants": "integration/transactions/test_variants.py",
    "integrations.sqlalchemy.tracking.upload_variants": "integration/transactions/test_variants.py",
    # Pure tables and formats behind one function each.
    "_media_types.well_formed": "integration/test_contract.py",
    "_media_types.*": "unit/test_sniff.py",
    "_zip.*": "unit/test_zipping.py",
    "images.*": "unit/images/test_probe.py",
    "imaging.pdf": "unit/imaging/test_previewers.py",
    "imaging.ffmpeg": "unit/imaging/test_previewers.py",
    "imaging.p*": "unit/imaging/test_engines.py",
    "imaging.vips*": "unit/imaging/test_engines.py",
    "imaging.*": "unit/imaging/test_pool.py",
    # Powers of storages: the contract runs them for every storage.
    "direct_uploads.*": "integration/fastapi/test_direct.py",
    # Speakers to servers, run against servers.
    "backends.buckets.signatures": "integration/s3/test_signer.py",
    "backends.buckets.lost_answers": "integration/s3/test_fault_matrix.py",
    "backends.buckets.*": "integration/s3",
    "backends.s3.part_uploads": "integration/s3/test_part_uploads.py",
    "backends.s3.bucket": "integration/s3/test_bucket.py",
    "backends.s3.capabilities": "integration/s3/test_capabilities.py",
    "backends.s3.urls": "integration/s3/test_urls.py",
    "_checksums": "unit/test_content.py",
    "storage": "unit/test_moved.py",
    "integrations.admin_files": "integration/admin",
    "integrations.admin_uploads": "integration/admin",
    "integrations.sqladmin.*": "integration/admin",
    "integrations.starlette_admin.*": "integration/admin",
    "storage.contract": "unit/storage/test_base.py",
    "synchronous.methods": "unit/synchronous/test_storages.py",
    "integrations.litestar.*": "integration/frameworks",
    "integrations.starlette.*": "integration/frameworks",
    "receiving.*": "integration/fastapi/test_uploads.py",
    "serving.front_server": "integration/fastapi/test_front_server.py",
    "serving.signed_files": "integration/fastapi/test_serving_signed.py",
    "serving.*": "integration/fastapi/test_serving.py",
    "testing.faults.*": "unit/testing/test_faults.py",
    "backends.s3.checksum_headers": "integration/s3_stub/test_checksums.py",
    "backends.s3.conditions_probe": "integration/s3/test_conditions.py",
    "backends.s3.cloudfront_*": "unit/backends/s3/test_cloudfront.py",
    "backends.s3.config_options": "unit/backends/s3/test_configuration.py",
    "backends.s3.copy_source": "integration/s3/test_conditions.py",
    "backends.s3.batch_deletes": "integration/s3/test_fault_matrix.py",
    "backends.s3.*": "integration/s3/test_writes.py",
    "backends.gcs.bucket": "integration/gcs/test_bucket.py",
    "backends.gcs.object_options": "integration/gcs/test_upload_options.py",
    "backends.gcs.*": "integration/gcs/test_writes.py",
    "backends.fastdfs.links": "unit/backends/fastdfs/test_storage.py",
    "backends.fastdfs.checksums": "unit/backends/fastdfs/test_versions.py",
    "backends.fastdfs.replies": "unit/backends/fastdfs/test_protocol.py",
    "backends.fastdfs.*": "unit/backends/fastdfs/test_cluster.py",
    "backends.combined.*": "integration/combined",
    "backends.fallback.*": "integration/combined/test_fallback.py",
    "backends.mirrored.*": "integration/combined/test_mirrored.py",
    "backends.transport.network": "integration/s3/test_network.py",
    "backends.transport.tls": "integration/s3/test_network.py",
    "backends.transport.addresses": "unit/backends/s3/test_endpoint.py",
    "backends.transport.dates": "unit/backends/s3/test_file_info.py",
    "backends.local.folder_errors": "unit/backends/local/test_folder.py",
    "backends.local.*": "unit/backends/local/test_storage.py",
    "scanning.quarantine": "integration/scenarios/test_reviewed_documents.py",
    # Frameworks: run as applications and sessions.
    "integrations.alembic.normalise_file_ids": "integration/alembic/test_normalise.py",
    "integrations.fastapi.direct*": "integration/fastapi/test_direct.py",
    "integrations.fastapi.openapi": "integration/fastapi/test_routers.py",
    "integrations.fastapi.*": "integration/fastapi/test_uploads.py",
    "integrations.sqlalchemy.migration.verification": "integration/migration/test_verification.py",
    "integrations.sqlalchemy.migration.moved_files": "integration/migration/test_old_ids.py",
    "integrations.sqlalchemy.migration.nginx_map": "integration/migration/test_old_ids.py",
    "integrations.sqlalchemy.migration.copying": "integration/migration/test_storages.py",
    "integrations.sqlalchemy.migration.crash_points": "faults/moves/test_killed_moves.py",
    "integrations.sqlalchemy.migration.*": "integration/migration/test_moving.py",
    "integrations.sqlalchemy.columns.sqlmodel": "integration/test_sqlmodel.py",
    "integrations.sqlalchemy.columns.mapped": "typing/check_columns.py",
    "integrations.sqlalchemy.columns.list_*": "integration/sqlalchemy/test_lists.py",
    "integrations.sqlalchemy.ledger.inventory": "integration/transactions/test_ledger_inventory.py",
    "integrations.sqlalchemy.ledger.known_columns": "integration/transactions/test_ledger_columns.py",
    "integrations.sqlalchemy.ledger.mirroring": "integration/transactions/test_mirror_queue.py",
    "integrations.sqlalchemy.ledger.*": "integration/transactions/test_ledger.py",
    "integrations.sqlalchemy.references.*": "integration/transactions/test_database_decides.py",
    "integrations.sqlalchemy.tracking.*_statements": "integration/transactions/test_statements.py",
    "integrations.sqlalchemy.tracking.upload_to_objects": "integration/transactions/test_upload_to.py",
    "integrations.sqlalchemy.tracking.uploads": "integration/transactions/test_sources.py",
    "integrations.sqlalchemy.tracking.*": "integration/transactions/test_scenarios.py",
    # Programs and testing tools.
    "cli.doctor*": "integration/cli/test_doctor.py",
    "cli.findings": "integration/cli/test_doctor.py",
    "cli.http_requests": "integration/cli/test_doctor.py",
    "cli.remedies": "integration/cli/test_doctor.py",
    "cli.ledger_commands": "integration/cli/test_ledger_commands.py",
    "cli.app*": "integration/cli/test_ledger_commands.py",
    "cli.environment": "integration/cli/test_ledger_commands.py",
    "cli.row_commands": "unit/cli/test_row_walks.py",
    "cli.alembic_commands": "unit/cli/test_alembic_templates.py",
    "cli.move_progress": "unit/cli/test_migrate_commands.py",
    "cli.*": "integration/cli/test_transfers.py",
    "cli": "unit/cli/test_app.py",
    "testing.contract*": "unit/testing/test_contract_sabotage.py",
    "testing.fastdfs_server._versions": "unit/testing/test_fastdfs_versions.py",
    "testing.fastdfs_server._metadata": "unit/backends/fastdfs/test_storage.py",
    "testing.fastdfs_server.*": "unit/testing/test_fastdfs_server.py",
    "testing.s3_stub._forms": "integration/s3_stub/test_direct.py",
    "testing.s3_stub.*": "unit/testing/test_s3_stub.py",
    "testing.real_s3": "integration/s3/test_real_server.py",
    "testing._*": "unit/testing/test_faults.py",
}
"""Patterns of module names, and the tests below `tests/` that run those modules; the first that fits counts."""


def has_own_tests(module: str) -> bool:
    """Tell if there is a test file of a module's name; the underscore of a private module is left away."""
    path = PACKAGE.modules[module]
    name = path.parent.name if path.name == "__init__.py" else path.stem
    folder = path.parents[path.name == "__init__.py"].relative_to(PACKAGE.folder.parent).parts[1:]
    return ROOT.joinpath("tests", "unit", *folder, f"test_{name.strip('_')}.py").exists()


def run_by(module: str) -> str | None:
    """The pattern of `RUN_BY` that a module fits."""
    return next((pattern for pattern in RUN_BY if fnmatchcase(module, pattern)), None)


def untested() -> list[str]:
    """The modules without a test file of their name that do more than declare."""
    return [module for module in PACKAGE.modules if not (has_own_tests(module) or PACKAGE.only_declares(module))]


def main() -> int:
    """Print how each module is tested, and last the modules of which nobody says it."""
    missing = [module for module in untested() if not run_by(module)]
    for module in PACKAGE.modules:
        if module not in missing:
            pattern = run_by(module)
            means = "its own" if has_own_tests(module) else pattern and RUN_BY[pattern]
            print(f"{module}: {means or 'declares only'}")
    print(*(f"{module}: MISSING" for module in missing), sep="\n")
    return bool(missing)


if __name__ == "__main__":
    raise SystemExit(main())
