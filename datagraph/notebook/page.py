"""A recording as one page of HTML that needs nothing else: opened from a disk, offline, years later."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

from ..drawing.scene import scene
from ..graph.text import clean
from ..observe.recording import Recording
from .assets import css, esm

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline' blob:; \
style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>body{{margin:0;padding:16px;background:Canvas}}
{css}</style>
</head>
<body>
<div id="view">{fallback}</div>
<script type="application/json" id="recording">{recording}</script>
<script type="application/json" id="scene">{scene}</script>
<script type="application/json" id="code">{code}</script>
<script type="module">
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const code = URL.createObjectURL(new Blob([read("code")], {{ type: "text/javascript" }}));
const {{ mount }} = await import(code);
const recording = read("recording");
const view = document.getElementById("view");
view.replaceChildren();
mount(view, {{ scene: read("scene"), tick: recording.ticks.at(-1) ?? null, recording, send: null, on: null }});
</script>
</body>
</html>
"""


def save_page(recording: Recording, path: Path) -> None:
    """Write the page: the picture, the recording and its scrubber, drawn by the same code as in a notebook.

    Without JavaScript the last moment is shown as a picture. The page may load nothing, from anywhere.
    """
    fallback = recording._repr_mimebundle_()["image/svg+xml"]
    page = _PAGE.format(
        title=html.escape(clean(recording.name) or "datagraph"),
        css=css().replace("</", "<\\/"),
        fallback=fallback,
        recording=_inert(recording.journal.to_json().decode()),
        scene=_inert(json.dumps(scene(recording.graph))),
        code=_inert(json.dumps(esm())),
    )
    path.write_text(page, encoding="utf-8")


def _inert(text: str) -> Any:
    """JSON that can end no script and begin no comment, whatever its strings hold; it means the same."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
