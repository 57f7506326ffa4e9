"""A page in a headless Chromium: what it measures, and what scripts of a test do in it."""

import html
import json
import re
import subprocess

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
  parent.postMessage(JSON.stringify({...probed, told}), "*");
});
</script>"""
FRAME = """<script>addEventListener("message", event => document.title = event.data)</script>
<iframe src="{page}" width="{width}" height="900" style="border: 0"></iframe>"""


def opened(chromium, text, folder, width=1280, script=""):
    """What the probe tells of a page; "told" is what a script returns that runs in it."""
    probe = PROBE.replace("SCRIPT", script)
    (folder / "probed.html").write_text(text.replace("<head>", "<head>" + probe))
    (folder / "frame.html").write_text(FRAME.format(page="probed.html", width=width))
    out = subprocess.run(
        [
            *(chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *(f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1000"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000"),
            (folder / "frame.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    (found,) = re.findall(r"<title>(.*)</title>", out.stdout)
    return json.loads(html.unescape(found))
