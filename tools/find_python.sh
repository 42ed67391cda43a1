#!/bin/sh
# Print the first Python that really runs, is 3.12 or newer and can make virtual environments.
# A name on PATH proves nothing: pyenv's shims exist for versions that are not selected, and fail.

works() {
    "$1" -c 'import ensurepip, sys, venv; assert sys.version_info >= (3, 12)' >/dev/null 2>&1
}

try() {
    works "$1" && printf '%s\n' "$1" && exit 0
}

[ -z "${PYTHON:-}" ] || try "$PYTHON"
IFS=:
for name in python3.12 python3.13 python3.14 python3 python; do
    for folder in $PATH; do
        [ ! -x "$folder/$name" ] || try "$folder/$name"
    done
done
for python in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python3; do
    [ ! -x "$python" ] || try "$python"
done

{
    echo 'No usable Python 3.12 or newer was found. One is needed that comes with its modules venv and ensurepip'
    echo '(Debian and Ubuntu: apt install python3-venv; pyenv: pyenv install 3.12). Then: make setup PYTHON=/path/to/python'
    echo "Tried: ${PYTHON:+$PYTHON, }python3.12, python3.13, python3.14, python3 and python on PATH, and pyenv's versions."
} >&2
exit 1
