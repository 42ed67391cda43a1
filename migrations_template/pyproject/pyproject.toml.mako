# Every option: https://alembic.sqlalchemy.org/en/latest/tutorial.html#using-pyproject-toml-for-configuration
[tool.alembic]
script_location = "${script_location}"
# where env.py's imports are found; the folder that alembic runs in
prepend_sys_path = ["."]
