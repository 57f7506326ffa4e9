"""A page in a headless Chromium: what it measures, and what scripts of a test do in it."""

import html
import json
import os
import re
import signal
import subprocess
import urllib.parse

# Put into the page, which is shown in a frame: a window cannot be as narrow as a phone.
PROBE = """<script>
const errors = [];
addEventListener("error", event => errors.push(event.message || event.target.outerHTML), true);
addEventListener("securitypolicyviolation", event => errors.push(event.violatedDirective));
addEventListener("load", async () => {
  const all = [...document.querySelectorAll("body *")], images = [...document.images];
  const root = document.scrollingElement;
  const right = each => each.getBoundingClientRect().right;
  const within = each => each.parentElement.closest(".scroll"); // which is seen by scrolling
  const wide = all.filter(each => right(each) > root.clientWidth + 1 && !within(each));
  const shown = images.filter(each => each.complete && each.naturalWidth > 0);
  const probed = {
    width: innerWidth, hidden: root.scrollWidth - root.clientWidth, errors,
    wide: wide.map(each => each.tagName), images: images.length, shown: shown.length,
  };
  let told = null;
  try {
    told = await (async () => {SCRIPT})() ?? null;
  } catch (error) {
    errors.push(String(error));
  }
  const all_told = JSON.stringify({...probed, told});
  if (parent === window) fetch("/told?" + encodeURIComponent(all_told));
  else parent.postMessage(all_told, "*");
});
</script>"""
FRAME = """<script>addEventListener("message", event => document.title = event.data)</script>
<iframe src="probed.html" width="{width}" height="900" style="border: 0"></iframe>"""


def opened(chromium, text, folder, width=1280, script=""):
    """What the probe tells of a page; "told" is what a script returns that runs in it."""
    (folder / "probed.html").write_text(probed(text, script))
    (folder / "frame.html").write_text(FRAME.format(width=width))
    out = subprocess.run(
        [
            *_command(chromium, folder),
            *("--dump-dom", "--virtual-time-budget=20000", (folder / "frame.html").as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    (found,) = re.findall(r"<title>(.*)</title>", out.stdout)
    return json.loads(html.unescape(found))


def probed(text, script):
    """The page with the probe in it."""
    return text.replace("<head>", "<head>" + PROBE.replace("SCRIPT", script))


def visited(chromium, port, folder, told):
    """What the probe tells of a page that a server on this machine answers with, in real time.

    Args:
      told: a queue into which the server puts every path that it is asked for.
    """
    command = [*_command(chromium, folder), "--remote-debugging-port=0"]
    with subprocess.Popen(
        [*command, f"http://127.0.0.1:{port}/"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as browser:
        try:
            while not (path := told.get(timeout=60)).startswith("/told?"):
                pass
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
    return json.loads(urllib.parse.unquote(path.removeprefix("/told?")))


def _command(chromium, folder):
    return [
        *(chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000"),
        f"--user-data-dir={folder / 'profile'}",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ]
