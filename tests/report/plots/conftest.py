"""What several tests of figures look at."""

from __future__ import annotations

import pytest


@pytest.fixture
def inked():
    """Return a function that tells where in a figure, in pixels, each text stands that can be seen."""

    def boxes(figure):
        figure.draw_without_rendering()
        texts = [text for text in figure.findobj(lambda artist: hasattr(artist, 'get_text')) if text.get_visible()]
        return [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text()]

    return boxes
