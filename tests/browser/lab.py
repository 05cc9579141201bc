"""A real JupyterLab on this machine, for the tests and the measurements that need one."""
from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from clock import PATIENCE, held

SETTINGS = {  # no news from outside, and MyST text opens as a notebook
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension/plugin": {
        "defaultViewers": {"markdown": "Jupytext Notebook", "myst": "Jupytext Notebook"}},
}


class Lab(NamedTuple):
    """A running JupyterLab: `folder` is what it serves."""

    url: str
    token: str
    folder: Path

    def open(self, browser, notebook: str, hold: str = ""):
        """A page with the notebook (MyST text, or .ipynb) open and its kernel idle.

        With `hold`, frames that functions of this name ask for come when the test says so (`clock`).
        """
        page = browser.new_page(viewport={"width": 1200, "height": 1000})
        page.set_default_timeout(PATIENCE)
        if hold:
            page.add_init_script(held(hold))
        page.goto(f"{self.url}/lab/tree/{notebook}?reset&token={self.token}")
        page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell")
        page.wait_for_function(
            "window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'")
        return page


def run(page, command: str) -> None:
    """Run a command of JupyterLab, such as "notebook:run-all-cells", and wait until it is done."""
    page.evaluate("(command) => window.jupyterapp.commands.execute(command)", command)


def run_cell(page, index: int) -> None:
    """Run one code cell of the open notebook, counted from 0, and wait until it is done."""
    page.locator(".jp-CodeCell .cm-content").nth(index).click()
    run(page, "notebook:run-cell")


@contextlib.contextmanager
def jupyter_lab(folder: Path) -> Iterator[Lab]:
    """JupyterLab serving `folder` on loopback, its settings, token and runtime files beside the notebooks."""
    private = folder / ".jupyter"
    private.mkdir()
    (private / "jupyter_server_config.py").write_text("c.ServerApp.allow_root = True\n")
    for name, settings in SETTINGS.items():
        file = private / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    own = {"JUPYTER_CONFIG_DIR": private, "JUPYTER_RUNTIME_DIR": private / "runtime",
           "IPYTHONDIR": private / "ipython", "JUPYTERLAB_SETTINGS_DIR": private / "settings",
           "JUPYTERLAB_WORKSPACES_DIR": private / "workspaces"}
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.ip=127.0.0.1",
         f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}",
         f"--IdentityProvider.token={token}",
         "--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"],
        cwd=folder, env=os.environ | {key: str(value) for key, value in own.items()}, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    rest, log = None, []
    try:
        for line in server.stderr:  # ends when the server does
            log.append(line)
            if "is running at" in line:
                break
        else:
            raise RuntimeError("JupyterLab did not start:\n" + "".join(log))
        rest = threading.Thread(target=lambda: list(server.stderr))  # a full pipe would stop the server
        rest.start()
        yield Lab(f"http://127.0.0.1:{port}", token, folder)
    finally:
        server.terminate()  # takes its kernels with it
        server.wait()
        if rest is not None:
            rest.join()
        server.stderr.close()
