"""A headless Chromium, told what to do through its debugging protocol; it cannot reach any host."""

from __future__ import annotations

import base64
import io
import itertools
import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from websockets.sync.client import connect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LOCAL = ("file:", "data:", "blob:", "about:")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking", "--disable-component-update"),
    *("--no-first-run", "--disable-sync", "--disable-extensions", "--hide-scrollbars", "--remote-debugging-port=0"),
)


class Page:
    """A tab. What it asked for and what it complained about is remembered."""

    def __init__(self, socket):
        self._socket, self._numbers = socket, itertools.count(1)
        self.requested, self.complaints = [], []
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method, **params):
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=60))
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._heard(message)

    def _heard(self, message):
        method, params = message["method"], message["params"]
        if method == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"])[:600])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.complaints.append(json.dumps(params["args"])[:600])

    def wait(self, seconds):
        """Let the page work, and hear what it says meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.run("0")
            time.sleep(0.05)

    def run(self, code):
        found = self.ask("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def open(self, path, *, width_px, height_px, is_dark=False):
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width_px, height=height_px, deviceScaleFactor=1, mobile=False
        )
        scheme = "dark" if is_dark else "light"
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.ask("Page.navigate", url=Path(path).absolute().as_uri())
        end = time.monotonic() + 60
        while self.run("document.readyState") != "complete" or self.run("location.protocol") != "file:":
            assert time.monotonic() < end
            time.sleep(0.1)

    def picture(self, *, whole=False):
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=whole)
        return Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")

    def box(self, selector):
        """Return left, top, width, height of an element in the window."""
        code = f"(r => [r.x, r.y, r.width, r.height])(document.querySelector({selector!r}).getBoundingClientRect())"
        return self.run(code)

    def click(self, selector):
        left, top, width, height = self.box(selector)
        self._mouse("mousePressed", left + width / 2, top + height / 2)
        self._mouse("mouseReleased", left + width / 2, top + height / 2)

    def drag(self, start, end, moves=8):
        self._mouse("mousePressed", *start)
        for part in np.linspace(0, 1, moves + 1)[1:]:
            self._mouse("mouseMoved", *(np.array(start) + part * (np.array(end) - np.array(start))))
            time.sleep(0.05)
        self._mouse("mouseReleased", *end)

    def _mouse(self, kind, x, y):
        self.ask(
            "Input.dispatchMouseEvent",
            **{"type": kind, "x": float(x), "y": float(y), "button": "left", "buttons": 1, "clickCount": 1},
        )

    def requests_elsewhere(self):
        return [url[:200] for url in self.requested if not url.startswith(LOCAL)]


@contextmanager
def chromium(folder):
    """Give a page of a new Chromium with its profile in a folder; it is ended with all its children."""
    log = (folder / "chromium.log").open("wb")
    process = subprocess.Popen(
        [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"], stdout=log, stderr=log
    )
    try:
        with connect(_address(folder / "profile", process), max_size=None) as socket:
            yield Page(socket)
            socket.send(json.dumps({"id": 0, "method": "Browser.close"}))
        process.wait(timeout=20)
    finally:
        process.terminate()
        process.wait(timeout=20)
        log.close()


def _address(profile, process):
    """Return the socket of the first tab, as soon as Chromium says on which port it listens."""
    from urllib.request import urlopen

    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        port = profile / "DevToolsActivePort"
        if port.is_file() and port.read_text().strip():
            with urlopen(f"http://127.0.0.1:{port.read_text().split()[0]}/json/list") as answer:
                tabs = [tab for tab in json.load(answer) if tab["type"] == "page"]
            if tabs:
                return tabs[0]["webSocketDebuggerUrl"]
        time.sleep(0.1)
    pytest.skip("Chromium does not start on this machine")
