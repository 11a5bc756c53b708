"""The program `archive`, and `python -m archive`: its first word says who goes on."""

import sys
from typing import NoReturn

from archive.cli import faces


def main() -> NoReturn:
    """Run one command and end the process with its exit code."""
    name = next(iter(sys.argv[1:]), "")
    if name in faces.FACES:
        try:
            sys.exit(faces.load(name).run(sys.argv[2:]))
        except Exception as error:  # noqa: BLE001 - ended by those who know how, or raised again
            from archive.cli.main import end_with  # loads click

            end_with(error)
    from archive.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
