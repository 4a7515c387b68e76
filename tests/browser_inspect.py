"""The page of `pith inspect --html` as a browser sees it: values, names and looks.
usage: browser_inspect.py PITH FOLDER"""
import json, math, os, random, re, struct, subprocess, sys, time
import browser_driver
from browser_driver import ENTER, ESCAPE, Browser, check

PITH, DIR = sys.argv[1:]


# ---- models ----

HOSTILE = ["</script><img src=x onerror=window.hacked=1>", "<svg/onload=window.hacked=1>.<b>bold</b>.weight", "__proto__.constructor",
           "a\u2028b\u2029c.\"'`${window.hacked=1}", "&lt;img src=x&gt;.&amp;", "..", "]]><!--<script>", "\u202egnitset", "x" * 300]


def write(path, tensors, metadata):
    header, at, body = {"__metadata__": metadata}, 0, []
    for name, dtype, shape, data in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
        body.append(data)
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(body))


def floats(values):
    return struct.pack("<%df" % len(values), *values)


def small(path):
    r = random.Random(7)
    gauss = lambda n, s=0.02: [r.gauss(0, s) for _ in range(n)]
    t = [("model.embed_tokens.weight", "F32", [400, 32], floats(gauss(12800)))]
    for i in range(12):
        p = "model.layers.%d." % i
        t += [(p + "self_attn.%s_proj.weight" % x, "F32", [32, 32], floats(gauss(1024))) for x in "qkvo"]
        t += [(p + "mlp.%s_proj.weight" % x, "BF16", [64, 32], b"".join(floats([v])[2:] for v in gauss(2048))) for x in ("gate", "up", "down")]
        t += [(p + "input_layernorm.weight", "F32", [32], floats([1 + v for v in gauss(32, 0.1)]))]
    t += [("model.norm.weight", "F32", [32], floats([1.0] * 32)), ("lm_head.bias", "F32", [32], floats([0.0] * 32)),
          ("stats.outlier", "F32", [1000], floats(gauss(999, 1) + [1e20])),
          ("stats.broken", "F32", [4], floats([math.nan, math.inf, -1, 3])), ("stats.empty", "F32", [0, 7], b""),
          ("stats.scalar", "I64", [], struct.pack("<q", -5)), ("stats.complex", "C64", [1], floats([1, 2]))]
    t += [(n, "F32", [2], floats([1, 2])) for n in HOSTILE]
    random.Random(1).shuffle(t)
    write(path, t, {"format": "pt", "note </script><script>window.hacked=1</script>": "<img src=x onerror=window.hacked=1>", "long": "é" * 5000})
    return t


def large(path, n):
    t = [("model.layers.%d.mlp.experts.%d.%s.weight" % (i // 640, i // 5 % 128, "abcde"[i % 5]), "F32", [2, 24],
          floats([math.sin(i + k) for k in range(48)])) for i in range(n)]
    write(path, t, {})


def shown(name):
    """What the page makes of a name: what would not show, or would turn the text around, is written out."""
    return re.sub("[\u2028\u2029\u202e]", lambda m: "\\u%04x" % ord(m.group()), name)


NAMES = "return [...document.querySelectorAll('#table tbody .open')].map(x => x.textContent)"
COUNT = "return document.getElementById('count').textContent"
CELLS = "return [...document.querySelectorAll('#map button.cell')].map(x => x.getAttribute('aria-label'))"


def cell_by(label):
    return "[...document.querySelectorAll('#map button.cell')].find(x => x.getAttribute('aria-label').startsWith(%s))" % json.dumps(label)


# ---- checks ----

def loads(b, page, tensors):
    b.requests(), b.log("browser")
    b.open("file://" + os.path.abspath(page))
    logs = [x for x in b.log("browser") if x["level"] != "DEBUG"]
    check("no error and no warning on the console", not logs, logs)
    asked = b.requests()
    check("nothing is loaded but the page", len(asked) == 1 and asked[0].startswith("file://"), asked)
    check("title and facts", b.run("return document.title").startswith("small.safetensors") and
          b.run("return document.getElementById('facts').textContent").count(str(len(tensors))), b.run("return document.body.innerText"))
    names = b.run(NAMES)
    everything = []
    while True:
        everything += names
        if not b.run("const x = document.getElementById('later'); if (!x || x.disabled) return false; x.click(); return true"):
            break
        names = b.run(NAMES)
    check("one row a tensor, over the pages", sorted(everything) == sorted(shown(t[0]) for t in tensors), (len(everything), len(tensors)))
    check("a picture of the values in every row that has some", b.run("return document.querySelectorAll('#table svg.spark path.bars').length") > 0)


def inert(b, page):
    check("hostile names are text", not b.run("return window.hacked === 1 || document.querySelector('img, b[onclick], #table script, #table b, svg[onload]') !== null"))
    raw = open(page, encoding="utf-8").read()
    data = raw.split('id="data">')[1]
    data = data[:data.index("</script>")]
    check("the data has no character that HTML looks at", not re.search("[<>&\u2028\u2029]", data) and raw.count("<script") == 2, raw.count("<script"))
    json.loads(data)
    b.run("const x = document.createElement('div'); document.body.append(x); x.innerHTML = '<img src=x onerror=\"window.hacked=1\">';"
          "const s = document.createElement('script'); s.textContent = 'window.hacked=1'; document.body.append(s)")
    time.sleep(0.2)
    check("the page's policy stops what would be injected", b.run("return window.hacked === undefined"))
    b.open("file://" + os.path.abspath(page))


def table(b, tensors):
    first = b.run(NAMES)
    want = [n for n in first if n.startswith("model.layers.")]
    check("names sort as people count", want.index("model.layers.2.input_layernorm.weight") < want.index("model.layers.10.input_layernorm.weight"), want)
    b.run("document.querySelector('[data-key=bytes]').click()")
    check("sorted by bytes, largest first", b.run(NAMES)[0] == "model.embed_tokens.weight" and
          b.run("return document.querySelector('th[aria-sort]').textContent + document.querySelector('th[aria-sort]').getAttribute('aria-sort')") == "bytesdescending")
    b.run("document.querySelector('[data-key=bytes]').click()")
    check("and smallest first", b.run(NAMES)[0] == "stats.empty", b.run(NAMES)[:3])
    b.run("document.querySelector('[data-key=max]').click()")
    check("sorted by maximum", b.run(NAMES)[0] == "stats.outlier", b.run(NAMES)[:3])
    b.run("document.querySelector('[data-key=name]').click()")
    b.run("document.getElementById('filter').focus()")
    b.keys("LAYERS.3 q_proj")
    check("the filter", b.run(NAMES) == ["model.layers.3.self_attn.q_proj.weight"] and b.run(COUNT) == "1 of %d tensors" % len(tensors), b.run(NAMES))
    b.run("const f = document.getElementById('filter'); f.value = 'no such'; f.dispatchEvent(new Event('input'))")
    check("nothing matches: said so", "No tensor matches" in b.run("return document.getElementById('table').textContent"))
    b.run("const f = document.getElementById('filter'); f.value = ''; f.dispatchEvent(new Event('input'))")
    b.run("const o = document.getElementById('only'); o.value = 'dtype:BF16'; o.dispatchEvent(new Event('change'))")
    check("one dtype", b.run(COUNT) == "36 of %d tensors" % len(tensors), b.run(COUNT))
    b.run("[...document.querySelectorAll('#findings button')].find(x => x.textContent.includes('NaN')).click()")
    check("what is worth a look leads to its tensors", b.run(NAMES) == ["stats.broken"], b.run(NAMES))
    b.run("const o = document.getElementById('only'); o.value = 'all'; o.dispatchEvent(new Event('change'))")


def modules(b, tensors):
    cells = b.run(CELLS)
    check("modules by size", cells[0].startswith("module model,") and any(c.startswith("module stats,") for c in cells), cells)
    b.run(cell_by("module model,") + ".click()")
    inside = [t[0] for t in tensors if t[0].startswith("model.")]
    check("down into a module: the table follows", b.run(COUNT) == "%d of %d tensors" % (len(inside), len(tensors)), b.run(COUNT))
    b.run(cell_by("module layers,") + ".click()")
    check("twelve layers of one size", len(b.run(CELLS)) == 12, b.run(CELLS))
    areas = b.run("return [...document.querySelectorAll('#map .cell')].map(x => x.offsetWidth * x.offsetHeight)")
    check("their areas agree", max(areas) < 1.05 * min(areas), areas)
    b.run(cell_by("module 11,") + ".focus()")
    b.keys(ENTER)
    check("by keyboard too", b.run(COUNT) == "8 of %d tensors" % len(tensors), b.run(COUNT))
    b.run(cell_by("module mlp,") + ".click()")
    b.run(cell_by("tensor gate_proj.weight,") + ".click()")
    check("a tensor opens", b.run("return document.getElementById('detail').open && document.getElementById('detail-title').textContent")
          == "model.layers.11.mlp.gate_proj.weight")
    b.keys(ESCAPE)
    check("Escape closes it", not b.run("return document.getElementById('detail').open"))
    b.run("document.querySelectorAll('#crumbs button')[1].click()")
    check("up again", b.run(COUNT) == "%d of %d tensors" % (len(inside), len(tensors)), b.run(COUNT))
    b.run("document.getElementById('chip').click()")
    check("out again", b.run(COUNT) == "%d tensors" % len(tensors), b.run(COUNT))


def detail(b, tensors):
    show = "[...document.querySelectorAll('#table .open')].find(x => x.textContent === arguments[0]).click();" \
           "return document.getElementById('detail-body').textContent"
    find = "const f = document.getElementById('filter'); f.value = arguments[0]; f.dispatchEvent(new Event('input'))"
    b.run(find, "stats")
    text = b.run(show, "stats.outlier")
    counts = b.run("return [...document.querySelectorAll('#detail-body td:last-child')].map(x => Number(x.textContent.replaceAll(',', '')))")
    check("one far value: said apart, the rest is spread", "1 above" in text and sum(counts) == 999 and sum(c > 0 for c in counts) > 15, counts)
    b.shot("detail")
    b.keys(ESCAPE)
    check("no finite value, no value, no real numbers", "No values" in b.run(show, "stats.empty") and "C64" in b.run(show, "stats.complex"))
    b.keys(ESCAPE)
    b.run(find, HOSTILE[0])
    b.run(show, HOSTILE[0])
    check("a hostile name opens as text", b.run("return document.getElementById('detail-title').textContent") == HOSTILE[0] and
          b.run("return window.hacked === undefined"))
    b.keys(ESCAPE)
    b.run(find, "")


def looks(b):
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    paper = "return getComputedStyle(document.body).backgroundColor + getComputedStyle(document.body).color"
    b.dark(False)
    light = b.run(paper)
    b.shot("light")
    b.dark(True)
    check("dark where the system is", b.run(paper) != light, light)
    b.shot("dark")
    b.dark(False)
    for pixels in (320, 375, 768):
        b.width(pixels, mobile=pixels < 700)
        time.sleep(0.3)
        wide = "return [...document.querySelectorAll('body *')].filter(x => !x.closest('.scroll, svg, #map') && " \
               "x.getBoundingClientRect().right > innerWidth + 1).map(x => x.tagName + '#' + x.id + '.' + x.className)"
        check("%d pixels: nothing sticks out" % pixels, b.run(overflow) <= 0, b.run(wide))
        b.shot("width%d" % pixels)
        b.run("document.querySelector('#table .open').click()")
        check("%d pixels: nor does a tensor" % pixels, b.run("const d = document.getElementById('detail'); return d.scrollWidth <= d.clientWidth && d.offsetWidth <= innerWidth"))
        b.shot("detail%d" % pixels)
        b.keys(ESCAPE)
    b.cdp("Emulation.clearDeviceMetricsOverride")
    unnamed = b.run("return [...document.querySelectorAll('button, input, select, svg')].filter(x => !(x.textContent.trim() || "
                    "x.getAttribute('aria-label') || (x.labels && x.labels.length))).map(x => x.outerHTML)")
    check("every control and picture has a name", not unnamed, unnamed)


def many(b, page, n):
    size = os.path.getsize(page)
    check("%d tensors: less than 400 bytes each" % n, size < 400 * n, size)
    start = time.time()
    b.open("file://" + os.path.abspath(page))
    took = time.time() - start
    check("the page is there within five seconds", took < 5 and b.run(COUNT) == "20,000 tensors", took)
    check("and few elements of it at once", b.run("return document.querySelectorAll('*').length") < 6000, b.run("return document.querySelectorAll('*').length"))
    ms = b.run("const f = document.getElementById('filter'), t = performance.now(); f.value = 'experts.127 c.weight'; f.dispatchEvent(new Event('input')); "
               "document.querySelector('[data-key=mean]').click(); return performance.now() - t")
    check("filter and sort within a second", ms < 1000 and b.run("return document.querySelectorAll('#table tbody tr').length") == 31, ms)
    b.shot("many")


def main():
    model, page = DIR + "/small.safetensors", DIR + "/small.html"
    tensors = small(model)
    large(DIR + "/large.safetensors", 20000)
    for name in ("small", "large"):
        subprocess.run([PITH, "inspect", "--html", "%s/%s.html" % (DIR, name), "%s/%s.safetensors" % (DIR, name)], check=True)
    b = Browser(DIR)
    try:
        loads(b, page, tensors)
        inert(b, page)
        table(b, tensors)
        modules(b, tensors)
        detail(b, tensors)
        looks(b)
        many(b, DIR + "/large.html", 20000)
    finally:
        b.close()


main()
sys.exit(browser_driver.failed > 0)
