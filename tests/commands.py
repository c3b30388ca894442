"""Commands as a user gives them."""

from collections.abc import Callable

from hqdm.cli.main import main


def command(*first: str) -> Callable[..., tuple[int, str, list[str]]]:
    """Runs `hqdm FIRST ...` with pytest's capsys: exit status, stdout, the lines of stderr."""
    def run(capsys, *arguments):
        status = main([*first, *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err.splitlines()
    return run
