#!/bin/bash
# The page of `pith serve` as it goes over the wire; tests/browser.sh looks at it in a browser. Speaks TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
exec python3 -B - "${PITH:-./pith}" <<'P'
import base64, hashlib, http.client, re, subprocess, sys

server = subprocess.Popen([sys.argv[1], "serve", "-m", "models/bundled/sentiment", "--port", "0", "--threads", "1", "--api-key", "letmein"],
                          stderr=subprocess.PIPE, text=True)
failed = 0


def check(name, good, detail=""):
    global failed
    failed += not good
    print("ok" if good else "not ok", "-", name)
    if not good:
        print("#  ", str(detail).replace("\n", "\n#   "))


def ask(method, **headers):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    c.request(method, "/", headers=headers)
    r = c.getresponse()
    return r, r.read().decode()


def hash_of(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


try:
    port = next(int(m.group(1)) for m in (re.search(r"listening on http://127\.0\.0\.1:(\d+)", line) for line in server.stderr) if m)
    r, page = ask("GET")
    check("it is there while models load, and needs no key", r.status == 200, r.status)
    check("HTML, never sniffed, kept only to be asked for again", r.getheader("Content-Type") == "text/html; charset=utf-8" and
          r.getheader("X-Content-Type-Options") == "nosniff" and r.getheader("Cache-Control") == "no-cache", r.getheaders())
    check("it tells nobody where it is", r.getheader("Referrer-Policy") == "no-referrer", r.getheaders())
    policy = dict(x.strip().split(" ", 1) for x in r.getheader("Content-Security-Policy").split(";"))
    check("its policy begins with nothing, and frames are refused", policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'", policy)
    scripts, styles = re.findall(r"<script>(.*?)</script>", page, re.S), re.findall(r"<style>(.*?)</style>", page, re.S)
    check("one script and one style, named by their hashes", len(scripts) == len(styles) == 1 == page.count("<script") and
          policy["script-src"] == hash_of(scripts[0]) and policy["style-src"] == hash_of(styles[0]), policy)
    check("it speaks with its own server alone", policy["connect-src"] == "'self'" and not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page), policy)
    check("no text can become markup: no innerHTML, no handler in it, no eval", policy["require-trusted-types-for"] == "'script'" and
          not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function| on[a-z]+=\"", page))
    check("nothing of the Makefile's is left in it", not re.search(r"^@[A-Z]+@$", page, re.M) and page.rstrip().endswith("</html>"))
    again, empty = ask("GET", **{"If-None-Match": "W/\"x\", " + r.getheader("ETag")})
    check("asked for again: 304, with the same tag", again.status == 304 and not empty and again.getheader("ETag") == r.getheader("ETag"), again.status)
    other, whole = ask("GET", **{"If-None-Match": "\"x\""})
    check("another tag: the page", other.status == 200 and whole == page)
    head, empty = ask("HEAD")
    check("HEAD: its fields alone", head.status == 200 and not empty and int(head.getheader("Content-Length")) == len(page.encode()), head.getheaders())
    post, body = ask("POST", **{"Content-Length": "0"})
    check("POST: 405, and what goes", post.status == 405 and "GET" in post.getheader("Allow"), (post.status, body))
finally:
    server.kill()
    server.wait()
sys.exit(failed > 0)
P
