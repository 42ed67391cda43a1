"""Run as a script: a process that has imported the command line, and forks for each command that it reads.

A command begins in a few milliseconds then, and is a process of its own all the same. Standard input has a JSON object
a line (`arguments`, `cwd`, `env`, and the paths of `stdin`, `stdout`, `stderr`), standard output the exit codes.
"""

import json
import os
import sys
import traceback

import aiosqlite  # noqa: F401 - imported here, so that no command need do it
import asyncpg  # noqa: F401
import boto3  # noqa: F401

import async_storages.backends.gcs.storage
import async_storages.backends.s3.storage
import async_storages.cli.app
import async_storages.cli.doctor_database
import async_storages.cli.row_walks  # noqa: F401
from async_storages.cli import main


def become(command):
    os.chdir(command["cwd"])
    os.environ.clear()
    os.environ.update(command["env"])
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.dup2(os.open(command[name], os.O_RDWR | os.O_CREAT), number)
    sys.argv = ["async-storages", *command["arguments"]]
    code = 1
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
    except BaseException:  # noqa: BLE001 - nothing is above it
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    for line in sys.stdin:
        child = os.fork()
        if not child:
            become(json.loads(line))
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()
