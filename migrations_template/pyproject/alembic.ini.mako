# The rest of the configuration is in pyproject.toml.

[alembic]
sqlalchemy.url = driver://user:pass@localhost/dbname

[loggers]
keys = root,sqlalchemy,alembic

[handlers]
keys = console

[formatters]
keys = plain

[logger_root]
level = WARNING
handlers = console
qualname =

# level = INFO here shows every statement
[logger_sqlalchemy]
level = WARNING
handlers =
qualname = sqlalchemy.engine

[logger_alembic]
level = INFO
handlers =
qualname = alembic

[handler_console]
class = StreamHandler
args = (sys.stderr,)
level = NOTSET
formatter = plain

[formatter_plain]
format = %(levelname)-5.5s [%(name)s] %(message)s
