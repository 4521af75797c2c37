"""Floor 6: the live view, what it asks for, and the page that it leaves behind."""

from __future__ import annotations

from .live import LiveView, view
from .page import save_page

__all__ = ["LiveView", "save_page", "view"]
