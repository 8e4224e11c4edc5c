"""The head to be turned, inside the page: viser's page as text, which a button puts into a frame."""

from __future__ import annotations

import json

from pshead_core.run.evaluate import Evaluation
from pshead_core.run.page import WORKER_FIX, page

OPENED_FROM_FILE = 'location.protocol === "file:"'
WITHOUT_ORIGIN = 'self.origin === "null"'
FRAME_FIX = WORKER_FIX.replace(OPENED_FROM_FILE, WITHOUT_ORIGIN)
"""A frame of `srcdoc` has the address about:srcdoc, yet inherits the missing origin of a page that was opened from a
file. It is that origin, not the address, for which browsers refuse module workers."""


def viewer_text(evaluation: Evaluation) -> str:
    """Return viser's page as JSON that is inert inside `<script type="application/json">`: without any `<`."""
    whole = page(evaluation.model, evaluation.config.cameras).replace(WORKER_FIX, FRAME_FIX, 1)
    return json.dumps(whole).replace("<", "\\u003c")
