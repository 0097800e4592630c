"""Lines that a run prints at its end, also when all went well; a conftest.py that has them imports both."""

import pytest

LINES = pytest.StashKey()


def lines(config):
    return config.stash.setdefault(LINES, [])


@pytest.fixture
def figures(request):
    """figures("moments tried 8"): one more."""
    return lines(request.config).append


def pytest_terminal_summary(terminalreporter, config):
    for line in lines(config):
        terminalreporter.write_line(line)
