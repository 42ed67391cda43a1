# Every option: https://alembic.sqlalchemy.org/en/latest/tutorial.html#editing-the-ini-file

[alembic]
script_location = ${script_location}
# where env.py's imports are found; the folder that alembic runs in
prepend_sys_path = .
path_separator = os
# revisions sort by date: file_template = %%(year)d-%%(month).2d-%%(day).2d_%%(rev)s_%%(slug)s

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
