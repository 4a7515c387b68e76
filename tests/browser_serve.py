"""The page of `pith serve` as a browser sees it, and as a keyboard drives it.
usage: browser_serve.py PITH FOLDER"""
import http.client, json, os, re, shutil, subprocess, sys, time
import browser_driver
from browser_driver import CONTROL, END, ENTER, ESCAPE, LEFT, RIGHT, SHIFT, TAB, UP, Browser, check, wait

PITH, DIR = sys.argv[1:]
BUNDLED = "models/bundled/"


# ---- servers ----

def edit(path, **members):
    with open(path) as f:
        all_of_it = json.load(f)
    for name, value in members.items():
        if value is None:
            all_of_it.pop(name, None)
        else:
            all_of_it[name] = value
    with open(path, "w") as f:
        json.dump(all_of_it, f)


def talker(folder):
    """The bundled writer with a chat template, and nothing that ends its answers."""
    shutil.copytree(BUNDLED + "reviews", folder)
    edit(folder + "/config.json", eos_token_id=None, max_position_embeddings=16384)
    edit(folder + "/generation_config.json", eos_token_id=None)
    edit(folder + "/tokenizer_config.json", model_max_length=16384,
         chat_template="{% set at = namespace(role='') %}{% for m in messages %}{% if m['role'] == at.role %}{{ raise_exception('roles must alternate') }}"
                       "{% endif %}{% set at.role = m['role'] %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}")


class Server:
    def __init__(self, *args):
        self.child = subprocess.Popen([PITH, "serve", "--port", "0", "--threads", "1", *args], stderr=subprocess.PIPE, text=True)
        lines = []
        for line in self.child.stderr:
            lines.append(line)
            found = re.search(r"listening on (http://127\.0\.0\.1:(\d+))", line)
            if found:
                self.url, self.port = found.group(1), int(found.group(2))
            if line.rstrip().endswith(": ready"):
                return
        raise RuntimeError("no server: " + "".join(lines))

    def running(self):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        c.request("GET", "/metrics")
        text = c.getresponse().read().decode()
        return sum(int(v) for v in re.findall(r"^pith_jobs_(?:running|waiting)\{.*\} (\d+)$", text, re.M))

    def end(self):
        self.child.kill()
        self.child.wait()


# ---- what is on the page ----

def text(b, selector):
    return b.run("const x = [...document.querySelectorAll(arguments[0])].pop(); return x ? x.textContent : ''", selector)


def shown(b, selector):
    return b.run("const x = [...document.querySelectorAll(arguments[0])].pop(); return Boolean(x) && x.getClientRects().length > 0", selector)


def click(b, selector):
    b.run("document.querySelectorAll(arguments[0])[document.querySelectorAll(arguments[0]).length - 1].click()", selector)


def press(b, label):
    b.run("[...document.querySelectorAll('button')].filter(x => x.textContent === arguments[0] && x.getClientRects().length).pop().click()", label)


def fill(b, selector, value):
    b.run("const x = document.querySelector(arguments[0]); x.value = arguments[1]; x.dispatchEvent(new Event('input')); x.focus()", selector, value)


def pick(b, selector, value):
    b.run("const x = document.querySelector(arguments[0]); x.value = arguments[1]; x.dispatchEvent(new Event('change'))", selector, value)


def focused(b):
    return b.run("const x = document.activeElement; return x.id || x.textContent")


def answer(b):
    return text(b, ".answer .said")


def is_busy(b):
    return b.run("return document.querySelector('.answer[aria-busy]') !== null")


def growth(b, seconds=10):
    """Lengths of the answer as it is seen to grow, while it is written."""
    seen = []
    def look():
        n = len(answer(b))
        if is_busy(b) and n and (not seen or n > seen[-1]):
            seen.append(n)
        return len(seen) >= 4
    wait(look, seconds)
    return seen


def opened(b, url):
    b.open(url)
    return wait(lambda: b.run("return document.querySelector('[role=tab][aria-selected=true]') !== null"))


def settings(b, **values):
    click(b, "#settings-open")
    for name, value in values.items():
        fill(b, "#" + name, str(value))
    press(b, "Save")


# ---- checks ----

def streams(b, s):
    b.requests(), b.log("browser")
    check("the page opens where the model can chat", opened(b, s.url + "/") and text(b, "[aria-selected=true]") == "Chat" and focused(b) == "prompt", focused(b))
    b.shot("empty", 0)
    b.keys("A film<img src=x onerror=window.hacked=1> to see")
    b.keys(ENTER, held=[SHIFT])
    b.keys("twice.")
    check("Shift+Enter starts a line, and nothing is sent", b.run("return document.getElementById('prompt').value.split('\\n').length") == 2 and not is_busy(b))
    b.keys(ENTER)
    seen = growth(b)
    check("the answer grows while it is written", len(seen) >= 4, seen)
    check("what was said stands above it, as text", text(b, ".user .said") == "A film<img src=x onerror=window.hacked=1> to see\ntwice." and
          b.run("return window.hacked === undefined && !document.querySelector('#turns img')"), text(b, ".user .said"))
    check("the server computes", s.running() == 1, s.running())
    top = "const l = document.getElementById('log'); return l.scrollHeight - l.scrollTop - l.clientHeight"
    wait(lambda: b.run("const l = document.getElementById('log'); return l.scrollHeight > l.clientHeight + 400"))
    check("the log follows its end", wait(lambda: b.run(top) < 48, 2), b.run(top))
    b.run("document.getElementById('log').scrollTop = 0")
    length = len(answer(b))
    wait(lambda: len(answer(b)) > length + 200)
    check("a reader who has scrolled up stays there", b.run("return document.getElementById('log').scrollTop") == 0 and shown(b, "#latest"))
    b.shot("streaming", 0)
    click(b, "#latest")
    check("and gets back to the end", wait(lambda: b.run(top) < 48, 2) and not shown(b, "#latest"), b.run(top))
    check("the focus is where one writes on", focused(b) == "prompt", focused(b))
    b.keys(ESCAPE)
    check("Escape stops", wait(lambda: not is_busy(b), 2) and "stopped" in text(b, ".about"), text(b, ".about"))
    check("the server stops too", wait(lambda: s.running() == 0, 3), s.running())
    length = len(answer(b))
    time.sleep(0.3)
    check("what was written stays", length > 200 and len(answer(b)) == length, length)
    b.shot("stopped", 0)


def talks(b, s):
    b.keys("And?" + ENTER)
    wait(lambda: len(answer(b)) > 20)
    click(b, "#stop")
    check("the button stops", wait(lambda: not is_busy(b), 2) and "stopped" in text(b, ".about") and wait(lambda: s.running() == 0, 3), s.running())
    first = answer(b)
    press(b, "Regenerate")
    check("regenerate begins the last answer anew", wait(lambda: is_busy(b), 2) and b.run("return document.querySelectorAll('.answer').length") == 2)
    wait(lambda: len(answer(b)) > 20)
    b.keys(ESCAPE)
    wait(lambda: not is_busy(b), 2)
    check("only the last answer can be regenerated", b.run("return [...document.querySelectorAll('.about button')].filter(x => x.textContent === 'Regenerate').length") == 1 and
          answer(b) != first, first[:60])
    b.cdp("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"], origin=s.url)
    press(b, "Copy")
    check("copy says that it did", wait(lambda: text(b, ".about button") != "" and b.run("return [...document.querySelectorAll('.about button')].some(x => x.textContent === 'Copied')"), 2))
    b.keys(UP)
    check("Up in an empty field brings the last message back", b.run("return document.getElementById('prompt').value") == "And?")
    press(b, "Clear")
    check("clear", b.run("return document.querySelectorAll('.turn').length") == 0 and shown(b, "#welcome") and focused(b) == "prompt")
    fill(b, "#prompt", "")


def settles(b):
    click(b, "#settings-open")
    b.shot("settings", 0)
    fill(b, "#temperature", "-1")
    fill(b, "#max_tokens", "1.5")
    press(b, "Save")
    check("a wrong setting is told beside it, and takes the focus", shown(b, "#settings") and "0 or more" in text(b, "#temperature-wrong") and
          "whole" in text(b, "#max_tokens-wrong") and focused(b) == "temperature", [text(b, "#temperature-wrong"), text(b, "#max_tokens-wrong")])
    b.keys(ESCAPE)
    check("Escape leaves the settings as they were", not shown(b, "#settings") and text(b, "#settings-open") == "Settings")
    settings(b, temperature=1, top_p=0.9, max_tokens=24, seed=7, system="Be short.")
    check("how many settings are not the model's", text(b, "#settings-open") == "Settings (5)", text(b, "#settings-open"))
    got = []
    for _ in range(2):
        b.keys("A film." + ENTER)
        wait(lambda: not is_busy(b) and "token" in text(b, ".about"))
        got.append((answer(b), text(b, ".about span")))
        press(b, "Clear")
    check("settings count: the limit, and the same text for the same seed", got[0][0] == got[1][0] != "" and "24 tokens" in got[0][1] and "token limit reached" in got[0][1], got)
    opened(b, b.run("return location.href"))
    b.run("location.reload()")
    wait(lambda: b.run("return document.readyState === 'complete' && document.querySelector('[aria-selected=true]') !== null"))
    check("they outlive a reload", text(b, "#settings-open") == "Settings (5)", text(b, "#settings-open"))
    click(b, "#settings-open")
    press(b, "Reset")
    press(b, "Save")


def refused(b, s):
    fill(b, "#prompt", "very " * 20000)
    b.keys(ENTER)
    check("what the server refuses is said where the answer would be", wait(lambda: "16384 tokens" in text(b, ".answer .error"), 10) and not is_busy(b), text(b, ".answer"))
    check("as an alert, with a way on", b.run("return document.querySelector('.answer .error').getAttribute('role')") == "alert" and "Try again" in text(b, ".answer .error"))
    b.keys("A film." + ENTER)
    check("the next message is answered, as if the refused one had not been", len(growth(b)) >= 4, text(b, ".answer"))
    check("which cannot be sent again any more", b.run("return document.querySelectorAll('.error button').length") == 0)
    b.keys(ESCAPE)
    wait(lambda: not is_busy(b))
    press(b, "Clear")
    wait(lambda: s.running() == 0)


def waits(b):
    """A server whose models are still being loaded."""
    b.run("window.real = fetch; window.asked = 0; window.fetch = (path, o) => path === '/ready' && asked++ === 0 ? "
          "new Response('{\"error\":\"not ready\"}', {status: 503}) : real(path, o); load()")
    check("models that are being loaded: said", wait(lambda: "being loaded" in text(b, "#notice"), 2), text(b, "#notice"))
    check("and asked again, till they are there", wait(lambda: not shown(b, "#notice"), 5) and b.run("return asked") == 2, text(b, "#notice"))
    b.run("window.fetch = real")


def formats(b):
    """What stands in for the server's answer: the parts of a stream as they could be cut."""
    b.run("""window.real = fetch; window.fetch = (path, o) => path !== '/v1/chat/completions' ? real(path, o) : new Response(new ReadableStream({start(c) {
        const say = s => 'data: ' + JSON.stringify({choices: [{delta: {content: s}}]}) + '\\n\\n', e = new TextEncoder();
        const all = e.encode(say('So **bold** and `x < y`:\\n``') + say('`c\\nint <b>é</b>;\\n``') + say('`\\nEnd.') + (window.cut ? '' : 'data: [DONE]\\n\\n'));
        for (let i = 0; i < all.length; i += 7) c.enqueue(all.slice(i, i + 7)); c.close(); }}))""")
    b.keys("x" + ENTER)
    wait(lambda: not is_busy(b))
    check("code and bold show as such, over cuts anywhere", b.run("return [...document.querySelectorAll('.answer pre code, .answer .said > code, .answer strong')].map(x => x.textContent)")
          == ["bold", "x < y", "int <b>é</b>;"] and answer(b) == "So bold and x < y:int <b>é</b>;End.", answer(b))
    b.shot("formats", 0)
    b.run("window.cut = true")
    b.keys("x" + ENTER)
    check("a stream without an end: said, and what came stays", wait(lambda: "broke off" in text(b, ".answer .error"), 3) and "End." in answer(b), text(b, ".answer"))
    b.run("window.fetch = real")
    press(b, "Clear")


def completes(b):
    pick(b, "#write-model", "reviews")
    check("a model without a template: the page says so", "no chat template" in text(b, "#welcome") and text(b, "#send") == "Complete", text(b, "#welcome"))
    settings(b, max_tokens=20)
    check("and has no system prompt", not shown(b, "#system"))
    b.keys("This film is" + ENTER)
    wait(lambda: not is_busy(b) and "token" in text(b, ".about"))
    one = answer(b)
    check("it goes on with the text", one.startswith("This film is") and len(one) > 30, one)
    press(b, "Continue")
    wait(lambda: not is_busy(b) and len(answer(b)) > len(one))
    check("and on", answer(b).startswith(one), answer(b))
    b.shot("completion", 0)
    settings(b, max_tokens="")
    pick(b, "#write-model", "chat")


def two_tabs(b, s):
    one = b.call("GET", "/window")
    two = b.tab()
    b.keys("One." + ENTER)
    b.switch(two)
    opened(b, s.url + "/")
    b.keys("Two." + ENTER)
    check("the second tab streams", len(growth(b)) >= 4)
    b.switch(one)
    check("so does the first, at the same time", len(growth(b)) >= 4 and s.running() == 2, s.running())
    b.keys(ESCAPE)
    wait(lambda: not is_busy(b))
    check("stopping one leaves the other", wait(lambda: s.running() == 1, 3), s.running())
    b.switch(two)
    check("which writes on", len(growth(b)) >= 4 and text(b, ".user .said") == "Two.")
    b.call("DELETE", "/window")
    b.switch(one)
    check("closing a tab ends what it asked for", wait(lambda: s.running() == 0, 3), s.running())


FILM = "A wonderful cast, but the story is dull and far too long. I loved the music 🎻, though."


def classifies(b, s):
    b.run("document.getElementById('tab-write').focus()")
    b.keys(RIGHT)
    check("arrows change the tab", text(b, "[aria-selected=true]") == "Classify" and focused(b) == "tab-classify", focused(b))
    b.keys(TAB + TAB)
    check("Tab leads past the top to the text", focused(b) == "text", focused(b))
    b.keys(FILM)
    b.keys(ENTER, held=[CONTROL])
    wait(lambda: shown(b, "#strongest li"))
    scores = b.run("return [...document.querySelectorAll('.score')].map(x => [x.querySelector('.name').textContent, x.querySelector('.number').textContent, x.querySelector('.track span').style.width])")
    want = json.loads(subprocess.run([PITH, "classify", "-m", BUNDLED + "sentiment", "--json", FILM], capture_output=True, text=True, check=True).stdout)
    check("the scores are the command line's", [(n, v) for n, v, _ in scores] ==
          [(k, "%.1f%%" % (100 * v)) for k, v in sorted(want["scores"].items(), key=lambda x: -x[1])], (scores, want["scores"]))
    check("the bars are as long", scores and all(abs(float(w[:-1]) - 100 * want["scores"][n]) < 0.1 for n, _, w in scores), scores)
    marks = b.run("return [...document.querySelectorAll('#words mark')].map(x => [x.firstChild.data, x.className, x.title])")
    found = {w: (side, title) for w, side, title in marks}
    check("words that moved the label are marked with sign and number", found.get("dull", " ")[0] == ("for" if want["label"] == "NEGATIVE" else "contra") and
          all(re.match("[+\u2212]0\\.\\d{4} (for|against) ", t) and (t[0] == "+") == (side == "for") for side, t in found.values()), marks)
    rest = b.run("const w = document.getElementById('words').cloneNode(true); w.querySelectorAll('sub').forEach(x => x.remove()); return w.textContent")
    check("the text is whole, also beyond the first plane", rest == FILM, rest)
    look = "return [...new Set([...document.querySelectorAll('#words mark')].map(x => x.className + ' ' + getComputedStyle(x).borderBottomStyle))].sort()"
    check("the two sides differ without colour", b.run(look) == ["contra dashed", "for solid"], b.run(look))
    b.shot("classify", 0)
    b.run("document.querySelectorAll('.score')[1].focus()")
    b.keys(ENTER)
    check("another label, by keyboard: the signs turn", wait(lambda: b.run("const x = [...document.querySelectorAll('#words mark')].find(x => x.firstChild.data === 'dull'); return x ? x.className : ''")
          not in ("", found["dull"][0]), 5), text(b, "#words"))
    fill(b, "#text", "film " * 700)
    b.keys(ENTER, held=[CONTROL])
    check("too long: the server's words, and nothing old left", wait(lambda: "512" in text(b, "#judged-error .error"), 5) and not shown(b, "#judged"), text(b, "#judged-error"))
    press(b, "Classify its beginning")
    check("its beginning, when asked", wait(lambda: shown(b, ".score"), 10) and not text(b, "#judged-error"), text(b, "#judged-error"))
    fill(b, "#text", FILM)
    b.keys(ENTER, held=[CONTROL])
    wait(lambda: shown(b, "#strongest li"))


def facts(b):
    b.run("document.querySelector('[aria-selected=true]').focus()")
    b.keys(END)
    check("End goes to the last tab", text(b, "[aria-selected=true]") == "Models")
    cards = b.run("return [...document.querySelectorAll('.card')].filter(x => x.getClientRects().length).map(x => x.innerText)")
    check("facts of each model", len(cards) == 3 and "3.41 M" in cards[0] and "16,384 tokens" in cards[0] and "Completion" in cards[1] and "NEGATIVE" in cards[2], cards)
    b.shot("models", 0)
    b.keys(LEFT)
    check("and back", text(b, "[aria-selected=true]") == "Classify")


COVERED = """const r = [...document.querySelectorAll('main button, main select, main textarea, header button')].filter(x => x.getClientRects().length && x.id !== 'latest' && !x.closest('.log'))
    .map(x => [x.id || x.textContent, x.getBoundingClientRect()]);
    return r.flatMap(([n, a], i) => r.slice(i + 1).filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1).map(([m]) => n + ' and ' + m))"""


def looks(b, s):
    paper = "return getComputedStyle(document.body).backgroundColor"
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    wide = "return [...document.querySelectorAll('body *')].filter(x => x.getClientRects().length && !x.closest('.unseen, option, pre') && " \
           "(x.getBoundingClientRect().right > innerWidth + 1 || x.getBoundingClientRect().left < -1)).map(x => x.tagName + '#' + x.id + '.' + x.className)"
    b.dark(False)
    light = b.run(paper)
    b.dark(True)
    dark = b.run(paper)
    check("dark where the system is", dark != light, light)
    b.shot("dark-classify", 0)
    click(b, "#theme")
    check("or as one likes", b.run(paper) == light and text(b, "#theme") == "Dark")
    opened(b, s.url + "/#classify")
    check("which is kept", b.run(paper) == light)
    click(b, "#theme")
    check("back to the system's", b.run(paper) == dark and b.run("return localStorage.getItem('pith-theme')") is None)
    click(b, "#tab-write")
    b.keys("A film to see twice, or not at all?" + ENTER)
    wait(lambda: len(answer(b)) > 600)
    b.keys(ESCAPE)
    b.shot("dark-chat", 0)
    b.dark(False)
    b.shot("light-chat", 0)
    click(b, "#tab-classify")
    fill(b, "#text", FILM)
    b.keys(ENTER, held=[CONTROL])
    wait(lambda: shown(b, "#strongest li"))
    for pixels in (320, 360, 768):
        b.width(pixels, 740, mobile=pixels < 700)
        for tab in ("write", "classify", "models"):
            click(b, "#tab-" + tab)
            time.sleep(0.1)
            check("%d pixels, %s: nothing sticks out" % (pixels, tab), b.run(overflow) <= 0 and not b.run(wide), b.run(wide))
            check("%d pixels, %s: no control covers another" % (pixels, tab), not b.run(COVERED), b.run(COVERED))
            b.shot("%s-%d" % (tab, pixels), 0)
        click(b, "#tab-write")
        click(b, "#settings-open")
        check("%d pixels: nor do the settings" % pixels, b.run("const d = document.getElementById('settings'); return d.scrollWidth <= d.clientWidth && d.offsetWidth <= innerWidth"))
        b.shot("settings-%d" % pixels, 0)
        b.keys(ESCAPE)
    b.cdp("Emulation.clearDeviceMetricsOverride")
    b.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    check("nothing moves where that is asked", b.run("return document.querySelector('.track span') !== null && [...document.querySelectorAll('.track span')].every(x => getComputedStyle(x).transitionDuration === '0s' || "
          "getComputedStyle(x).transitionProperty === 'none')"))
    b.cdp("Emulation.setEmulatedMedia", features=[])
    unnamed = b.run("return [...document.querySelectorAll('button, input, select, textarea')].filter(x => !(x.textContent.trim() || "
                    "x.getAttribute('aria-label') || (x.labels && x.labels.length))).map(x => x.outerHTML)")
    check("every control has a name", not unnamed, unnamed)


def keyboard(b, s):
    """From an empty page to an answer, settings and back, with keys alone."""
    opened(b, s.url + "/")
    if text(b, "[aria-selected=true]") != "Chat":
        click(b, "#tab-write")
    walk = []
    for _ in range(12):
        walk.append(focused(b))
        b.keys(TAB)
        if focused(b) in walk:
            break
    check("Tab passes every control in the order in which they stand", [x for x in walk if x in ("prompt", "write-model", "settings-open", "send")] == ["prompt", "write-model", "settings-open", "send"], walk)
    b.run("document.getElementById('prompt').focus()")
    b.keys(TAB + TAB)
    ring = b.run("const o = getComputedStyle(document.activeElement); return o.outlineStyle + o.outlineWidth")
    check("the focus is seen", ring == "solid2px", ring)
    b.keys(ENTER)
    check("Enter opens the settings", shown(b, "#settings") and b.run("return document.activeElement.closest('#settings') !== null"), focused(b))
    for _ in range(4):
        if focused(b) == "max_tokens":
            break
        b.keys(TAB)
    b.keys("12" + ENTER)
    check("Enter saves them", not shown(b, "#settings") and text(b, "#settings-open") == "Settings (1)" and focused(b) == "prompt", text(b, "#settings-open"))
    b.keys("Go" + ENTER)
    check("and sends", wait(lambda: "12 tokens" in text(b, ".about"), 5), text(b, ".about"))
    check("what was written is told to those who do not see it", text(b, "#said") == answer(b).strip() != "", text(b, "#said"))


def locked(b):
    """A server with a key. Headless windows lose the focus when they go to another origin."""
    s = Server("-m", BUNDLED + "sentiment", "--api-key", "letmein")
    try:
        b.open(s.url + "/")
        b.cdp("Page.bringToFront")
        check("a server with a key: the page asks for it", wait(lambda: shown(b, "#key"), 5) and focused(b) == "key-text", focused(b))
        check("where one types is seen", wait(lambda: b.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid", 2))
        b.shot("key", 0)
        b.keys("wrong" + ENTER)
        check("a wrong one is told", wait(lambda: "does not accept" in text(b, "#notice") and shown(b, "#key"), 5), text(b, "#notice"))
        b.keys("letmein" + ENTER)
        check("the right one opens what the models can do", wait(lambda: text(b, "[aria-selected=true]") == "Classify", 5) and not shown(b, "#notice"), text(b, "#notice"))
        check("no model writes: no chat", not shown(b, "#tab-write"))
        check("the key is kept in the tab alone", b.run("return [sessionStorage.getItem('pith-key'), Object.keys(localStorage).length]") == ["letmein", 0])
        b.keys("A dull film.")
        b.keys(ENTER, held=[CONTROL])
        check("and goes with what is asked", wait(lambda: shown(b, "#strongest li"), 5))
        opened(b, s.url + "/")
        check("a reload does not ask again", not shown(b, "#key") and shown(b, "#tab-classify"))
    finally:
        s.end()


def gone(b, s):
    """The server ends while it writes, and before it is asked."""
    settings(b, max_tokens="")
    b.keys("A film." + ENTER)
    wait(lambda: len(answer(b)) > 100)
    s.end()
    check("the server dies while it writes: said, and what came stays", wait(lambda: "broke off" in text(b, ".answer .error"), 5) and len(answer(b)) > 100, text(b, ".answer .error"))
    b.keys("And?" + ENTER)
    check("it does not answer: said", wait(lambda: "does not answer" in text(b, ".answer:last-child .error"), 5), text(b, ".answer .error"))
    b.shot("gone", 0)


def main():
    talker(DIR + "/chat")
    s = Server("-m", DIR + "/chat", "-m", BUNDLED + "reviews", "-m", BUNDLED + "sentiment")
    b = None
    try:
        b = Browser(DIR)
        streams(b, s)
        talks(b, s)
        settles(b)
        refused(b, s)
        completes(b)
        two_tabs(b, s)
        classifies(b, s)
        facts(b)
        looks(b, s)
        keyboard(b, s)
        logs = [x for x in b.log("browser") if x["level"] != "DEBUG" and "400 (Bad Request)" not in x["message"] and "413 (" not in x["message"]]
        check("nothing on the console but refusals: no breach of the policy", not logs, logs)
        away = [u for u in b.requests() if not u.startswith((s.url + "/", "data:"))]
        check("no request leaves the server", not away, away)
        waits(b)
        formats(b)
        gone(b, s)
        locked(b)
    finally:
        s.end()
        if b:
            b.close()


main()
sys.exit(browser_driver.failed > 0)
