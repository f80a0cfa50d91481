"""What needs a real browser is left out where there is none; the script that sorts runs without one everywhere."""

from __future__ import annotations

from browser import CHROMIUM

collect_ignore = [] if CHROMIUM else ["test_browser.py"]
