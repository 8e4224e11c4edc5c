"""The page in a real browser: it fits a phone, asks no host for anything, and its head turns."""

import attrs
import numpy as np
import pytest

from pshead_core.report.html import write_report
from pshead_core.testing.scenes import HAIR, SKIN, tiny_model

from .browser import CHROMIUM, chromium

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")]
OF_VISER = "computeBoundingSphere"
"""viser complains about its own empty geometry, in head.html as well."""


@pytest.fixture(scope="module")
def written(whole, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    write_report(folder, attrs.evolve(whole, model=tiny_model(400)))
    return folder / "report.html"


@pytest.mark.parametrize("width_px", [320, 390, 1280])
def test_page_fits_the_window(written, tmp_path, width_px):
    with chromium(tmp_path) as page:
        page.open(written, width_px=width_px, height_px=800)
        assert page.run("document.documentElement.scrollWidth") == width_px
        assert page.run("[...document.images].every(one => one.complete && one.naturalWidth === 48)")
        boxes = page.run("[...document.querySelectorAll('.wide')].map(one => getComputedStyle(one).overflowX)")
        assert boxes
        assert set(boxes) == {"auto"}
        assert page.requests_elsewhere() == []
        assert page.complaints == []


def test_colours_follow_the_system(written, tmp_path):
    with chromium(tmp_path) as page:
        corners = []
        for is_dark in (False, True):
            page.open(written, width_px=390, height_px=400, is_dark=is_dark)
            corners.append(np.mean(page.picture().getpixel((2, 2))))
    assert corners[0] > 230
    assert corners[1] < 40


def test_head_turns(written, tmp_path):
    """Seen from the front, the middle of the tiny head is skin; after half a turn it is hair."""
    with chromium(tmp_path) as page:
        page.open(written, width_px=320, height_px=400)
        if not page.run("document.createElement('canvas').getContext('webgl2') !== null"):
            pytest.skip("Chromium has no WebGL on this machine")
        page.run("document.querySelector('#turn').scrollIntoView({block: 'center'})")
        assert page.run("document.querySelector('iframe')") is None  # it loads only on demand
        page.click("#turn")
        page.wait(1)
        left, top, width, height = page.box("#stage iframe")
        middle = (left + width / 2, top + height / 2)
        lower = (middle[0], top + 0.62 * height)  # below the words that viser shows without a GPU
        assert _near(page, lower, SKIN)
        page.drag(middle, (middle[0] + height / 2, middle[1]))  # orbit controls turn once per height of the frame
        assert _near(page, lower, HAIR)
        assert page.requests_elsewhere() == []
        assert [text for text in page.complaints if OF_VISER not in text] == []


def _near(page, place, colour):
    """Whether the picture comes to show a colour, nearer than the other one, at a place."""
    other = HAIR if colour == SKIN else SKIN
    for _ in range(40):
        shown = np.array(page.picture().getpixel(tuple(map(int, place)))) / 255
        if np.abs(shown - colour).sum() < min(np.abs(shown - other).sum(), np.abs(shown - 1).sum()):
            return True
        page.wait(0.5)
    return False
