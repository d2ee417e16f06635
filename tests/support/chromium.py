"""Pages in a real browser: what is wider than the page, and what has no size."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")

SCRIPT = """<!doctype html><body><script>
const page = %s, widths = %s;
function look(width) {
  return new Promise(resolve => {
    const frame = document.createElement("iframe");
    frame.style.cssText = `width:${width}px;height:900px;border:0`;
    frame.onload = () => {
      const inside = frame.contentDocument;
      for (const e of inside.querySelectorAll("details")) e.open = true;
      const name = e => e.tagName + ": " + e.textContent.trim().slice(0, 40);
      const names = list => [...list].map(name);
      const all = [...inside.body.querySelectorAll("*")];
      resolve({
        width: inside.documentElement.clientWidth,
        needed: inside.documentElement.scrollWidth,
        outside: names(all.filter(e => e.getBoundingClientRect().right > width + 1)),
        scrolled: names(all.filter(e => e.matches(".scroll") && e.scrollWidth > e.clientWidth + 1)),
        flat: names(all.filter(e => e.matches("figure svg, .spark")
          && !(e.getBoundingClientRect().width > 20 && e.getBoundingClientRect().height > 10))),
        first: inside.querySelector("nav")?.getBoundingClientRect().bottom ?? 0,
        paper: getComputedStyle(inside.body).backgroundColor,
      });
      frame.remove();
    };
    frame.srcdoc = page;
    document.body.append(frame);
  });
}
(async () => {
  const seen = [];
  for (const width of widths) seen.push(await look(width));
  const text = document.createElement("pre");
  text.textContent = JSON.stringify(seen);
  document.body.replaceChildren(text);
})();
</script></body>
"""


@dataclass(frozen=True)
class Look:
    """A page at one width, everything unfolded.

    Attributes:
      width, needed: pixels that there are and that the page would take.
      outside: elements that reach over the right edge.
      scrolled: tables that have to be scrolled sideways.
      flat: plots without a size.
      first: pixels down to the end of the navigation, the first screen's last line.
      paper: the background's colour.
    """

    width: int
    needed: int
    outside: list[str]
    scrolled: list[str]
    flat: list[str]
    first: float
    paper: str


@cache
def browser() -> str:
    """The browser of this machine; skips the test where there is none."""
    for name in NAMES:
        if (found := shutil.which(name)) is not None:
            return found
    pytest.skip(f"no browser on this machine: none of {', '.join(NAMES)} is installed")


def looks(page: str, widths: list[int], folder: Path, dark: bool = False) -> list[Look]:
    """The page at each width; its folded parts are opened."""
    harness = folder / "harness.html"
    quoted = json.dumps(page).replace("</", "<\\/")
    harness.write_text(SCRIPT % (quoted, widths), encoding="utf-8")
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    ran = _run(folder, scheme, "--virtual-time-budget=10000", "--dump-dom", harness.as_uri())
    found = re.search(r"<pre>(.*?)</pre>", ran, re.DOTALL)
    assert found is not None, ran[-500:]
    return [Look(**look) for look in json.loads(html.unescape(found[1]))]


def pdf(page: str, folder: Path) -> bytes:
    """The page as it is printed."""
    source, target = folder / "page.html", folder / "page.pdf"
    source.write_text(page, encoding="utf-8")
    _run(folder, f"--print-to-pdf={target}", source.as_uri())
    return target.read_bytes()


def _run(folder: Path, *arguments: str) -> str:
    profile = f"--user-data-dir={folder / 'profile'}"
    return subprocess.run(
        [browser(), *FLAGS, profile, "--window-size=1700,1000", *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
