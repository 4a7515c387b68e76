"""Headless Chromium through chromedriver: WebDriver over plain HTTP, nothing installed for it. And checks that speak TAP."""
import base64, http.client, json, os, re, subprocess, sys, time

SHOTS = os.environ.get("SHOTS")
failed = 0


def check(name, good, detail=""):
    global failed
    print("ok" if good else "not ok", "-", name)
    if not good:
        failed += 1
        for line in str(detail).splitlines()[:20]:
            print("#  ", line)
    sys.stdout.flush()


def wait(what, seconds=120): # a busy machine and a sanitizer are slow
    """What `what` returns once it is true, or its last answer."""
    end = time.time() + seconds
    while True:
        got = what()
        if got or time.time() > end:
            return got
        time.sleep(0.02)


class Browser:
    """A browser with an empty profile in a folder."""
    def __init__(self, folder):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.driver.stdout:
            found = re.search(r"successfully on port (\d+)", line)
            if found:
                break
        self.port = int(found.group(1))
        args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,900",
                "--user-data-dir=" + folder + "/profile"]
        self.session = None
        self.session = self.call("POST", "", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": args}, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}}})["sessionId"]

    def call(self, method, path, body=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        c.request(method, "/session" + ("/" + self.session if self.session else "") + path,
                  json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
        value = json.loads(c.getresponse().read())["value"]
        if isinstance(value, dict) and "error" in value:
            raise RuntimeError(value["message"])
        return value

    def run(self, script, *args):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(args)})

    def cdp(self, command, **params):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def tab(self):
        """A new tab, and its name for switch."""
        return self.call("POST", "/window/new", {"type": "tab"})["handle"]

    def switch(self, tab):
        self.call("POST", "/window", {"handle": tab})

    def log(self, kind):
        return self.call("POST", "/se/log", {"type": kind})

    def requests(self):
        out = []
        for entry in self.log("performance"):
            m = json.loads(entry["message"])["message"]
            if m["method"] == "Network.requestWillBeSent" and not m["params"]["documentURL"].startswith("chrome:"):
                out.append(m["params"]["request"]["url"])
        return out

    def keys(self, text, held=()):
        """Types into whatever has the focus, while some keys are held."""
        steps = [{"type": k, "value": c} for c in text for k in ("keyDown", "keyUp")]
        steps = [{"type": "keyDown", "value": c} for c in held] + steps + [{"type": "keyUp", "value": c} for c in held]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": steps}]})

    def width(self, pixels, height=800, mobile=False):
        self.cdp("Emulation.setDeviceMetricsOverride", width=pixels, height=height, deviceScaleFactor=2 if mobile else 1, mobile=mobile)

    def dark(self, on):
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if on else "light"}])

    def shot(self, name, height=1300):
        """Of the page from its top; height 0: as it stands in the window."""
        if SHOTS:
            whole = {"captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "scale": 1, "height": height, "width": self.run("return innerWidth")}}
            data = self.cdp("Page.captureScreenshot", **(whole if height else {}))["data"]
            open(os.path.join(SHOTS, name + ".png"), "wb").write(base64.b64decode(data))

    def close(self):
        try:
            self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()


TAB, ENTER, SHIFT, CONTROL, ESCAPE, END, LEFT, UP, RIGHT = (chr(0xe000 + k) for k in (4, 7, 8, 9, 12, 16, 18, 19, 20))
