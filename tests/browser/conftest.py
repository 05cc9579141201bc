import chromium
import pytest
from built import site  # noqa: F401  (a fixture)
from lab import jupyter_lab


@pytest.fixture(scope="module")
def browser():
    """A running Chromium. By the module: Playwright's event loop would be in the way of other tests."""
    path = chromium.find()
    if path is None:
        pytest.skip("no Chromium or Chrome here (on Debian and Ubuntu: apt install chromium)")
    with chromium.browser(path) as running:
        yield running


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab over an empty folder: write a notebook into `lab.folder`, then `lab.open(browser, name)`."""
    with jupyter_lab(tmp_path_factory.mktemp("lab")) as running:
        yield running
