"""``python -m async_storages``: the command line."""

from async_storages.cli import main

if __name__ == "__main__":
    main()
