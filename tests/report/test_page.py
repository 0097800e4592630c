"""The page in a browser (packages chromium, chromium-driver, python3-selenium), at the width of a desk and of a phone,
light and dark: no error, nothing cut off, charts to be seen. Screenshots go to $(BUILD)/report/."""

import random

import pytest
from conftest import BUILD, DAY, HOUR, START, Fleet, Relay, four_groups

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

WIDTHS = {"desk": (1280, 900), "phone": (380, 800)}
LONG = "a-group-whose-name-is-much-longer-than-anybody-would-think-of-but-somebody-has"


@pytest.fixture(scope="module")
def browser():
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                     "--force-device-scale-factor=1", "--host-resolver-rules=MAP * ~NOTFOUND"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The pages that are looked at: name → path."""
    from conftest import Ctl, Journal
    directory = tmp_path_factory.mktemp("pages")
    ctl = Ctl(directory)
    relays, days = four_groups(size=8, days=8, noise=8000)
    move = START + 2 * DAY
    moved = []
    for relay in relays:
        if relay.group != "Z":  # all begin with glibc, then they are moved
            moved.append(Relay(relay.name, relay.group, "glibc", 950000 * random.Random(relay.name).uniform(0.95, 1.05), end=move,
                               noise=8000))
            relay.begin, relay.started = move, move - 60
    journal = Journal(directory / "journal")
    journal.fleet(Fleet(relays + moved, 9))
    journal.write()
    odd = Journal(directory / "odd")
    odd.fleet(Fleet([Relay(f"<b>relay{i}</b>&amp;" + "x" * 60, LONG if i % 2 else '<img src="https://example.org/x.png">',
                           '"><script>document.title="x"</script>', 1000 + i) for i in range(6)], 3, step=HOUR))
    odd.write()
    reasons = Journal(directory / "reasons")
    reasons.fleet(Fleet([Relay(f"{g}{i}", f"experiment-{g}", a, 1000000 + i, version="2.0.9-debian", noise=90000)
                         for g, a, n in (("north", "mimalloc-tuned", 2), ("south", "jemalloc-tuned", 5), ("west", "glibc", 2),
                                         ("east", "glibc-tuned", 1)) for i in range(n)], 5, step=HOUR))
    reasons.write()
    made = {}
    for name, source, more in (("fleet", journal, ["--by=group", "--baseline=Z"]), ("odd", odd, ["--by=group"]),
                               ("reasons", reasons, ["--by=group"])):
        done = ctl("report", "-D", source.directory, "--format=html", *more)
        assert done.status == 0 and done.err == "", done
        made[name] = directory / f"{name}.html"
        made[name].write_bytes(done.raw)
    return made


def look(browser, path, width, height, dark):
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                            {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(path.as_uri())
    for details in browser.find_elements("css selector", "details"):
        browser.execute_script("arguments[0].open = true", details)


# What sticks out of its own box, or of the page, without a way to get at it.
CUT_OFF = """
const bad = [];
for (const e of document.querySelectorAll('main *:not(svg *)')) {
  const r = e.getBoundingClientRect();
  if (r.width === 0 || r.height === 0 || e.closest('thead')) continue;
  if (r.left < -0.5 || r.right > innerWidth + 0.5 || e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 &&
      getComputedStyle(e).display !== 'inline')
    bad.push(e.tagName + ' ' + e.className + ': ' + e.textContent.slice(0, 60));
}
return bad;
"""

# Words of a table that stand on more than one line, although no column is too narrow for them.
BROKEN_WORDS = """
const bad = [];
for (const cell of document.querySelectorAll('main th, main td')) {
  const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  for (let node; node = walker.nextNode();)
    for (const word of node.textContent.matchAll(/[^\\s-]+-?/g)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const tops = new Set([...range.getClientRects()].filter(r => r.width > 0).map(r => Math.round(r.top)));
      if (tops.size > 1 && word[0].length <= 20) bad.push(word[0]);
    }
}
return bad;
"""

# Texts of the chart that leave its picture, or lie on one another.
CHART_TEXTS = """
const bad = [], boxes = [];
const svg = arguments[0], page = svg.getBoundingClientRect();
for (const t of svg.querySelectorAll('text')) {
  const r = t.getBoundingClientRect();
  if (r.width === 0) continue;
  if (r.left < page.left - 1 || r.right > page.right + 1 || r.top < page.top - 1 || r.bottom > page.bottom + 1)
    bad.push('outside: ' + t.textContent);
  for (const b of boxes)
    if (r.left < b.r.right - 1 && b.r.left < r.right - 1 && r.top < b.r.bottom - 3 && b.r.top < r.bottom - 3)
      bad.push('overlap: ' + t.textContent + ' / ' + b.t);
  boxes.push({r: r, t: t.textContent});
}
return bad;
"""

# Contrast of what is written with what is behind it, by WCAG.
CONTRAST = """
const bad = [];
const parse = c => c.match(/[\\d.]+/g).map(Number);
const lum = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
  if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
for (const e of document.querySelectorAll('main *')) {
  const text = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  if (!text || e.getBoundingClientRect().width === 0 || ['title', 'desc', 'style'].includes(e.tagName)) continue;
  const style = getComputedStyle(e), a = lum(parse(e.tagName === 'text' ? style.fill : style.color)), b = lum(behind(e));
  if ((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5) bad.push(e.tagName + ' ' + style.color + ': ' + e.textContent.slice(0, 40));
}
return bad;
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["fleet", "odd"])
def test_page(browser, pages, name, width, dark):
    w, h = WIDTHS[width]
    look(browser, pages[name], w, h, dark)
    assert [e for e in browser.get_log("browser") if e["level"] in ("SEVERE", "WARNING")] == []
    assert browser.title == "Memory of Tor relays by group"
    assert browser.execute_script("return document.documentElement.scrollWidth") <= w
    assert browser.execute_script(CUT_OFF) == []
    assert browser.execute_script(CONTRAST) == []
    seen = [svg for svg in browser.find_elements("css selector", "figure svg") if svg.is_displayed()]
    assert len(seen) == 2  # of the four, those for this width
    for svg in seen:
        box = svg.rect
        assert box["width"] > 0.85 * min(w, 960) and box["height"] > 250
        lines = browser.execute_script("return [...arguments[0].querySelectorAll('path')].filter("
                                       "p => p.getBoundingClientRect().width > 80 && p.getAttribute('stroke') !== 'gray').length", svg)
        assert lines >= 3
        assert browser.execute_script(CHART_TEXTS, svg) == []
        size = browser.execute_script("return parseFloat(getComputedStyle(arguments[0].querySelector('text')).fontSize) * "
                                      "arguments[0].getBoundingClientRect().width / arguments[0].viewBox.baseVal.width", svg)
        assert size >= 11  # px on the screen
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 150) == dark
    shots = BUILD / "report"
    shots.mkdir(parents=True, exist_ok=True)
    browser.save_screenshot(str(shots / f"{name}-{width}-{'dark' if dark else 'light'}.png"))


@pytest.mark.parametrize("width", [1200, 1000, 800])
@pytest.mark.parametrize("name", ["fleet", "odd", "reasons"])
def test_words_are_whole(browser, pages, name, width):
    look(browser, pages[name], width, 900, False)
    assert browser.execute_script(BROKEN_WORDS) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script(CUT_OFF) == []


def test_asks_nothing_of_a_network(browser, pages):
    import json
    for page in pages.values():
        look(browser, page, 1280, 900, False)
        asked = [json.loads(e["message"])["message"] for e in browser.get_log("performance")]
        urls = {m["params"]["request"]["url"] for m in asked if m["method"] == "Network.requestWillBeSent"}
        assert {u for u in urls if not u.startswith(("file:", "data:"))} == set()
        assert browser.find_elements("css selector", "script, iframe, object, embed, img, video") == []


def test_ids_are_unique(browser, pages):
    look(browser, pages["fleet"], 1280, 900, False)
    twice = browser.execute_script("const seen = {}; return [...document.querySelectorAll('[id]')].map(e => e.id)"
                                   ".filter(i => i in seen || (seen[i] = 0))")
    assert twice == []


def test_what_it_shows(browser, pages):
    look(browser, pages["fleet"], 1280, 900, False)
    text = browser.find_element("tag name", "main").text
    for words in ("Group B uses 81 % less memory than group Z (", "growing", "steady", "baseline", "Method",
                  "studentised bootstrap", "waiting", "moved to B", "24 restarts, moves"):
        assert words in text, words
    marks = browser.execute_script("return document.querySelectorAll('figure.wide use').length")
    assert marks >= 24  # a mark for each move
    # The keys in the table have the colours of the lines, row by row.
    keys = browser.execute_script("return [...document.querySelectorAll('.key')].map(e => getComputedStyle(e).borderTopColor)")
    lines = browser.execute_script("return [...document.querySelectorAll('figure.wide svg path')].map(e => getComputedStyle(e).stroke)")
    assert len(set(keys)) == len(browser.find_element("tag name", "table").find_elements("css selector", "tbody tr"))
    assert len(keys) == 5 and set(keys) <= set(lines)


def test_names_are_text(browser, pages):
    look(browser, pages["odd"], 1280, 900, False)
    text = browser.find_element("tag name", "main").text
    assert "<b>relay0</b>&amp;" in text and '<img src="https://example.org/x.png">' in text
    assert browser.find_elements("css selector", "main b") == []


def test_print(browser, pages):
    """On paper the table stays a table."""
    look(browser, pages["fleet"], 1280, 900, True)
    pdf = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})
    assert len(pdf["data"]) > 10000
