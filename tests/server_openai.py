"""OpenAI's protocol against `pith serve`, with nothing but the standard library. Speaks TAP.
usage: server_openai.py PITH FOLDER (of our own, empty)"""
import http.client
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

PITH, DIR = sys.argv[1:3]
BUNDLED = "models/bundled/reviews"
TEMPLATE = """{% for m in messages %}{% if m.role not in ['system', 'user', 'assistant'] %}{{ raise_exception('no such role: ' + m.role) }}{% endif %}
{{- m.role + ': ' + m.content + '<|endoftext|>' }}{% endfor %}{% if shout %}LOUD {% endif %}{{ 'assistant:' }}"""
SPECIAL = "<|endoftext|>"
PROMPTS = ["This movie", "The acting was", "I saw it twice and", "A film about love", "What a waste of", "The director", "Nobody told me"]


# ---- the server and its client ----

class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=120)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(120)
        self.sock.connect(self.path)


class Server:
    count = 0

    def __init__(self, *options):
        Server.count += 1
        self.socket = "%s/%d.sock" % (DIR, Server.count)
        self.log = open("%s/%d.log" % (DIR, Server.count), "w+")
        self.process = subprocess.Popen([PITH, "serve", "--unix", self.socket, *options], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.log)
        end = time.monotonic() + 120
        while True:
            try:
                if self.get("/ready")[0] == 200: return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit("the server did not start: " + self.told())
            time.sleep(0.02)

    def told(self):
        self.log.flush()
        return open(self.log.name).read()

    def open(self, method, path, body=None, headers={}):
        c = Unix(self.socket)
        if body is not None and not isinstance(body, (str, bytes)): body = json.dumps(body)
        if isinstance(body, str): body = body.encode()
        c.request(method, path, body, {"Content-Type": "application/json", **headers} if body is not None else headers)
        return c

    def ask(self, method, path, body=None, headers={}):
        c = self.open(method, path, body, headers)
        r = c.getresponse()
        text = r.read()
        c.close()
        kind = r.getheader("Content-Type")
        return r.status, json.loads(text) if kind == "application/json" else text.decode(), r

    def get(self, path): return self.ask("GET", path)
    def post(self, path, body): return self.ask("POST", path, body)

    def ok(self, path, body):
        status, answer, _ = self.post(path, body)
        assert status == 200, (status, answer)
        return answer

    # The events of a stream: each must be one line of JSON in whole characters.
    def stream(self, path, body):
        c = self.open("POST", path, {**body, "stream": True})
        r = c.getresponse()
        assert r.status == 200 and r.getheader("Content-Type").startswith("text/event-stream"), r.read()
        parts = r.read().split(b"\n\n")
        c.close()
        assert parts[-1] == b"" and parts[-2] == b"data: [DONE]", parts[-2:]
        assert all(p.startswith(b"data: {") and b"\n" not in p for p in parts[:-2])
        return [json.loads(p[6:].decode("utf-8")) for p in parts[:-2]]

    def metric(self, name):
        return sum(float(l.split()[-1]) for l in self.get("/metrics")[1].split("\n") if l.startswith(name + "{") or l.startswith(name + " "))

    def idle(self):
        end = time.monotonic() + 60
        while self.metric("pith_jobs_running") or self.metric("pith_jobs_waiting"):
            assert time.monotonic() < end, "jobs did not end"
            time.sleep(0.01)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        assert self.process.returncode == 0, (self.process.returncode, self.told())


def text_of(events):
    return "".join(c.get("text", c.get("delta", {}).get("content")) or "" for e in events for c in e["choices"])


def user(text): return [{"role": "user", "content": text}]


def ids(text):
    return json.loads(tool(text + "\n", "tokenize", "-m", BUNDLED, "--ids"))


def tool(text, *args):
    return subprocess.run([PITH, *args], input=text.encode(), stdout=subprocess.PIPE, check=True).stdout.decode()


def cli(*args):
    out = subprocess.run([PITH, "generate", "--json", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    return json.loads(out.stdout)


# ---- the tests ----

def test_chat_body(s):
    a = s.ok("/v1/chat/completions", {"model": "chat", "messages": user("Was it good?"), "max_tokens": 8, "temperature": 0})
    assert a["id"].startswith("chatcmpl-") and a["object"] == "chat.completion" and a["model"] == "chat"
    assert abs(a["created"] - time.time()) < 600
    [c] = a["choices"]
    assert c["index"] == 0 and c["message"]["role"] == "assistant" and c["message"]["content"] and c["logprobs"] is None
    assert c["finish_reason"] == "length"
    u = a["usage"]
    assert u["completion_tokens"] == 8 and u["total_tokens"] == u["prompt_tokens"] + 8 and u["prompt_tokens_details"]["cached_tokens"] >= 0


def test_request_id(s):
    _, a, r = s.ask("POST", "/v1/completions", {"prompt": "a", "max_tokens": 1}, {"X-Request-Id": "mine-7"})
    assert a["id"] == "cmpl-mine-7" and r.getheader("X-Request-Id") == "mine-7", a


def test_chat_stream(s):
    b = {"model": "chat", "messages": user("Was it good?"), "max_tokens": 8, "temperature": 0}
    whole = s.ok("/v1/chat/completions", b)
    events = s.stream("/v1/chat/completions", b)
    assert {e["object"] for e in events} == {"chat.completion.chunk"} and len({e["id"] for e in events}) == 1
    assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert events[-1]["choices"][0]["delta"] == {} and events[-1]["choices"][0]["finish_reason"] == "length"
    assert all(e["choices"][0]["finish_reason"] is None for e in events[:-1]) and all("usage" not in e for e in events)
    assert text_of(events) == whole["choices"][0]["message"]["content"] and len(events) > 5
    events = s.stream("/v1/chat/completions", {**b, "stream_options": {"include_usage": True}})
    assert events[-1]["choices"] == [] and all(e["usage"] is None for e in events[:-1])
    assert events[-1]["usage"]["completion_tokens"] == 8 and events[-1]["usage"]["prompt_tokens"] == whole["usage"]["prompt_tokens"]


def test_completions_stream(s):
    b = {"model": "reviews", "prompt": "This movie", "max_tokens": 9, "temperature": 0, "echo": True}
    whole = s.ok("/v1/completions", b)
    events = s.stream("/v1/completions", b)
    assert whole["object"] == "text_completion" and whole["choices"][0]["text"].startswith("This movie ")
    assert text_of(events) == whole["choices"][0]["text"] and events[-1]["choices"][0]["finish_reason"] == "length"
    assert s.ok("/v1/completions", {**b, "prompt": ids("This movie")})["choices"][0]["text"] == whole["choices"][0]["text"]


def test_bytes_of_characters(s):
    # Far from all tokens are whole characters where all are as probable.
    b = {"model": "reviews", "prompt": "x", "max_tokens": 200, "temperature": 1e6, "top_k": 0, "top_p": 1, "seed": 4, "ignore_eos": True,
         "repetition_penalty": 1}
    whole = s.ok("/v1/completions", b)["choices"][0]["text"]
    assert text_of(s.stream("/v1/completions", b)) == whole and "\ufffd" in whole


def test_many_choices(s):
    b = {"model": "reviews", "prompt": ["This movie", "A film"], "n": 3, "max_tokens": 6, "temperature": 0.9, "seed": 11}
    whole = s.ok("/v1/completions", b)
    texts = [c["text"] for c in whole["choices"]]
    assert [c["index"] for c in whole["choices"]] == list(range(6)) and len(set(texts)) > 3
    assert whole["usage"]["completion_tokens"] <= 36 and whole["usage"]["prompt_tokens"] == 6
    events = s.stream("/v1/completions", b)
    got = [""] * 6
    for e in events:
        for c in e["choices"]: got[c["index"]] += c["text"]
    assert got == texts
    order = [e["choices"][0]["index"] for e in events]
    assert order != sorted(order), "choices of a stream come one after the other"
    one = s.ok("/v1/completions", {**b, "prompt": "A film", "n": 1, "seed": 14})
    assert one["choices"][0]["text"] == texts[3], "choice i has the seed's value + i"
    chat = s.ok("/v1/chat/completions", {"model": "chat", "messages": user("Hi"), "n": 3, "seed": 1, "temperature": 1, "max_tokens": 5})
    assert [c["index"] for c in chat["choices"]] == [0, 1, 2]


def test_stop(s):
    b = {"model": "reviews", "prompt": "This movie", "temperature": 0, "max_tokens": 40}
    text = s.ok("/v1/completions", b)["choices"][0]["text"]
    cut = text.index(".")
    for stop in (".", ["nowhere", "."]):
        c = s.ok("/v1/completions", {**b, "stop": stop})["choices"][0]
        assert c["text"] == text[:cut] and c["finish_reason"] == "stop", c
        assert text_of(s.stream("/v1/completions", {**b, "stop": stop})) == text[:cut]
    c = s.ok("/v1/completions", {**b, "logit_bias": {"0": 1e9}})["choices"][0]
    assert c["text"] == "" and c["finish_reason"] == "stop", c


def test_logprobs(s):
    b = {"model": "reviews", "prompt": "This movie", "temperature": 0, "max_tokens": 6}
    c = s.ok("/v1/completions", {**b, "logprobs": 3})["choices"][0]
    l = c["logprobs"]
    assert "".join(l["tokens"]) == c["text"] and len(l["token_logprobs"]) == 6 and all(len(t) == 3 for t in l["top_logprobs"])
    assert l["text_offset"] == [len("".join(l["tokens"][:i])) for i in range(6)]
    assert all(abs(t[tok] - p) < 1e-6 and p == max(t.values()) for t, tok, p in zip(l["top_logprobs"], l["tokens"], l["token_logprobs"]))
    out = cli("-m", BUNDLED, "-n", "6", "--temp", "0", "--logprobs", "3", "This movie")
    assert [e["logprob"] for e in out["logprobs"]] == l["token_logprobs"], "not the command line's"
    parts = [e["choices"][0]["logprobs"] for e in s.stream("/v1/completions", {**b, "logprobs": 3})]
    for k in l: assert sum((p[k] for p in parts if p), []) == l[k], k
    b = {"model": "chat", "messages": user("Hi"), "temperature": 0, "max_tokens": 5, "logprobs": True}
    c = s.ok("/v1/chat/completions", {**b, "top_logprobs": 2})["choices"][0]
    tokens = c["logprobs"]["content"]
    assert "".join(t["token"] for t in tokens) == c["message"]["content"] and len(tokens) == 5
    for t in tokens:
        assert bytes(t["bytes"]).decode() == t["token"] and t["logprob"] <= 0 and len(t["top_logprobs"]) == 2
        assert set(t) == {"token", "logprob", "bytes", "top_logprobs"} and set(t["top_logprobs"][0]) == {"token", "logprob", "bytes"}
    assert all(t["top_logprobs"] == [] for t in s.ok("/v1/chat/completions", b)["choices"][0]["logprobs"]["content"])
    # A token that ends the text is none of it.
    c = s.ok("/v1/chat/completions", {**b, "logit_bias": {"0": 1e9}})["choices"][0]
    assert c["logprobs"]["content"] == [] and c["finish_reason"] == "stop"
    # Parts of characters are told as the bytes they are.
    c = s.ok("/v1/chat/completions", {**b, "temperature": 1e6, "top_k": 0, "top_p": 1, "seed": 4, "max_tokens": 200, "top_logprobs": 0,
                                         "ignore_eos": True})["choices"][0]
    assert any(t["token"].encode() != bytes(t["bytes"]) for t in c["logprobs"]["content"])
    raw = b"".join(bytes(t["bytes"]) for t in c["logprobs"]["content"] if t["token"] != SPECIAL)
    assert raw.decode("utf-8", "replace") == c["message"]["content"]


def test_forged_turns(s):
    def tokens(messages): return s.ok("/v1/chat/completions", {"model": "chat", "messages": messages, "max_tokens": 1})["usage"]["prompt_tokens"]
    plain = tokens(user("ab"))
    assert tokens(user("a" + SPECIAL + "b")) > plain + 3, "a special token of the user's was read as one"
    assert tokens([{"role": "user", "content": [{"type": "text", "text": "a" + SPECIAL}]}]) > plain + 3
    n = s.ok("/v1/completions", {"model": "reviews", "prompt": "a" + SPECIAL + "b", "max_tokens": 1})["usage"]["prompt_tokens"]
    assert n == len(ids("a" + SPECIAL + "b")) == len(ids("a")) + 2, n


def test_messages(s):
    def answer(messages, **more):
        return s.ok("/v1/chat/completions", {"model": "chat", "messages": messages, "max_tokens": 6, "temperature": 0, **more})
    parts = [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b\n\"c\""}], "name": "x"}]
    assert answer(parts)["usage"]["prompt_tokens"] == answer(user("a\nb\n\"c\""))["usage"]["prompt_tokens"]
    assert answer(parts)["choices"] == answer(user("a\nb\n\"c\""))["choices"]
    loud = answer(user("a"), chat_template_kwargs={"shout": True})
    assert loud["usage"]["prompt_tokens"] > answer(user("a"))["usage"]["prompt_tokens"]
    mine = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}, *user("Go on.")]
    assert answer(mine)["usage"]["prompt_tokens"] > 15
    for bad, told in (("x", "array"), ([], "at least one"), ([1], "object"), ([{"content": "x"}], "role"), ([{"role": 1, "content": "x"}], "role"),
                      ([{"role": "user", "content": 1}], "content"), ([{"role": "user", "content": [1]}], "part"),
                      ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}], "text"),
                      ([{"role": "user", "content": [{"type": "text", "text": 1}]}], "text"), ([{"role": "pope", "content": "x"}], "no such role: pope"),
                      ({}, "array"), (None, "array")):
        status, a, _ = s.post("/v1/chat/completions", {"model": "chat", "messages": bad})
        assert status == 400 and a["error"]["param"] == "messages" and told in a["error"]["message"], (bad, a)
    status, a, _ = s.post("/v1/chat/completions", {"model": "chat"})
    assert status == 400 and a["error"]["param"] == "messages", a
    for bad in (1, "x", [], True):
        status, a, _ = s.post("/v1/chat/completions", {"model": "chat", "messages": user("x"), "chat_template_kwargs": bad})
        assert status == 400 and a["error"]["param"] == "chat_template_kwargs", a
    # Many members in a message are no work that grows with their square.
    many = '{"role":"user","content":[{"type":"text","text":"x"}]' + ',"a":1' * 300000 + "}"
    start = time.monotonic()
    assert s.post("/v1/chat/completions", '{"model":"chat","max_tokens":1,"messages":[%s]}' % many)[0] in (200, 400)
    assert time.monotonic() - start < 20


def test_models(s):
    status, a, _ = s.get("/v1/models")
    assert status == 200 and a["object"] == "list" and [m["id"] for m in a["data"]] == ["chat", "reviews"]
    assert all(m["object"] == "model" and m["owned_by"] and isinstance(m["created"], int) for m in a["data"])
    assert s.get("/v1/models/reviews")[1] == a["data"][1]
    status, a, _ = s.get("/v1/models/none")
    assert status == 404 and a["error"]["code"] == "model_not_found", a
    assert s.post("/v1/models", {})[0] == 405
    status, a, _ = s.post("/v1/completions", {"model": "none", "prompt": "x"})
    assert status == 404 and a["error"]["code"] == "model_not_found" and a["error"]["param"] == "model", a
    status, a, _ = s.post("/v1/chat/completions", {"model": "reviews", "messages": user("x")})
    assert status == 400 and "no chat template" in a["error"]["message"], a


def test_defaults(s):
    b = {"model": "reviews", "prompt": "This movie", "seed": 5}
    assert s.ok("/v1/completions", b)["usage"]["completion_tokens"] == 16, "the protocol's default"
    mine = s.ok("/v1/completions", {**b, "max_tokens": 20})["choices"][0]["text"]
    assert mine == cli("-m", BUNDLED, "-n", "20", "--seed", "5", "This movie")["text"], "not the model's own sampling"
    nulls = {k: None for k in NUMBERS} | {"stop": None, "logit_bias": None, "stream": None, "stream_options": None, "suffix": None, "best_of": None}
    assert s.ok("/v1/completions", {**b, **nulls, "max_tokens": 20, "seed": 5})["choices"][0]["text"] == mine
    assert s.ok("/v1/completions", {**b, "max_tokens": 20, "n": 2, "best_of": 2})["choices"][0]["text"] == mine
    assert s.ok("/v1/completions", {**b, "max_tokens": 20, "user": "me", "metadata": {"a": "b"}, "store": False})["choices"][0]["text"] == mine
    # Two without a seed are two.
    b = {"model": "reviews", "prompt": "This movie", "max_tokens": 30, "temperature": 1}
    assert s.ok("/v1/completions", b)["choices"][0]["text"] != s.ok("/v1/completions", b)["choices"][0]["text"]
    a = s.ok("/v1/chat/completions", {"model": "chat", "messages": user("Hi"), "max_completion_tokens": 3, "max_tokens": 9, "ignore_eos": True})
    assert a["usage"]["completion_tokens"] == 3
    a = s.ok("/v1/chat/completions", {"model": "chat", "messages": user("Hi"), "ignore_eos": True})
    assert a["usage"]["total_tokens"] == 512 and a["choices"][0]["finish_reason"] == "length", a["usage"]


def test_settings(s):
    for more, args in (({"temperature": 0.7, "top_k": 20, "seed": 3}, ["--temp", "0.7", "--top-k", "20", "--seed", "3"]),
                       ({"temperature": 1, "top_p": 0.5, "seed": 9}, ["--temp", "1", "--top-p", "0.5", "--seed", "9"]),
                       ({"temperature": 1, "min_p": 0.1, "seed": 9}, ["--temp", "1", "--min-p", "0.1", "--seed", "9"]),
                       ({"temperature": 1, "typical_p": 0.6, "seed": 9}, ["--temp", "1", "--typical", "0.6", "--seed", "9"]),
                       ({"temperature": 0, "repetition_penalty": 1.5}, ["--temp", "0", "--repeat-penalty", "1.5"]),
                       ({"temperature": 0, "presence_penalty": 1.5}, ["--temp", "0", "--presence-penalty", "1.5"]),
                       ({"temperature": 0, "frequency_penalty": 0.5}, ["--temp", "0", "--frequency-penalty", "0.5"]),
                       ({"temperature": 0, "logit_bias": {"300": 100, "301": -5}}, ["--temp", "0", "--logit-bias", "300=100", "--logit-bias", "301=-5"]),
                       ({"temperature": 0, "stop": [" and"]}, ["--temp", "0", "--stop", " and"])):
        a = s.ok("/v1/completions", {"model": "reviews", "prompt": "The plot of it", "max_tokens": 24, **more})["choices"][0]
        b = cli("-m", BUNDLED, "-n", "24", *args, "The plot of it")
        assert (a["text"], a["finish_reason"]) == (b["text"], b["finish_reason"]), (more, a, b)


UNSUPPORTED = [("chat", {"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"), ("chat", {"tool_choice": "required"}, "tool_choice"),
               ("chat", {"response_format": {"type": "json_object"}}, "response_format"), ("chat", {"functions": [{"name": "f"}]}, "functions"),
               ("chat", {"function_call": "auto"}, "function_call"), ("chat", {"modalities": ["text", "audio"]}, "modalities"),
               ("chat", {"audio": {"voice": "x"}}, "audio"), ("chat", {"reasoning_effort": "low"}, "reasoning_effort"), ("chat", {"echo": True}, "echo"),
               ("chat", {"web_search_options": {}}, "web_search_options"), ("chat", {"stream": True, "stream_options": {"x": 1}}, "stream_options"),
               ("text", {"best_of": 3}, "best_of"), ("text", {"suffix": "end"}, "suffix"), ("text", {"echo": True, "logprobs": 1}, "echo"),
               ("text", {"messages": []}, "messages"), ("text", {"nonsense": 1}, "nonsense")]


def body(kind):
    return ("/v1/chat/completions", {"model": "chat", "messages": user("x")}) if kind == "chat" else ("/v1/completions", {"model": "reviews", "prompt": "x"})


def test_unsupported(s):
    for kind, more, param in UNSUPPORTED:
        path, b = body(kind)
        status, a, _ = s.post(path, {**b, **more})
        assert status == 400 and a["error"]["param"] == param and a["error"]["code"] == "unsupported_parameter", (more, a)
    for more in ({"tools": [{"type": "function"}], "tool_choice": "none"}, {"tools": [], "tool_choice": "auto"}, {"response_format": {"type": "text"}},
                 {"functions": [], "function_call": "none"}, {"modalities": ["text"]}, {"audio": None}):
        path, b = body("chat")
        s.ok(path, {**b, **more, "max_tokens": 1})


# Of each numeric member those of the values below that are answered, not refused.
VALUES = {"-1": -1, "0": 0, "2147483648": 2 ** 31, "9223372036854775808": 2 ** 63, "1e308": 1e308, '"x"': "x", "null": None}
NUMBERS = {"max_tokens": {2 ** 31, None}, "temperature": {0, None}, "top_p": {0, None}, "n": {None}, "seed": {0, 2 ** 31, None},
           "presence_penalty": {-1, 0, None}, "frequency_penalty": {-1, 0, None}, "top_k": {0, None}, "min_p": {0, None}, "typical_p": {0, None},
           "repetition_penalty": {None}, "logprobs": {0, None}}
CHAT_NUMBERS = {**NUMBERS, "max_completion_tokens": {2 ** 31, None}, "top_logprobs": {0, None}, "logprobs": {None}}


def test_numbers(s):
    for kind, members in (("chat", CHAT_NUMBERS), ("text", NUMBERS)):
        path, b = body(kind)
        b["max_tokens"] = 2
        b["stop"] = ["e", "a", " "] # soon
        for name, good in members.items():
            for text, value in VALUES.items():
                more = {"logprobs": True} if name == "top_logprobs" else {}
                rest = json.dumps({k: v for k, v in {**b, **more}.items() if k != name})
                status, a, _ = s.post(path, '{"%s":%s,%s' % (name, text, rest[1:]))
                assert status == (200 if value in good else 400), (kind, name, text, status, a)
                assert status == 200 or (a["error"]["param"] == name and a["error"]["type"] == "invalid_request_error"), (name, text, a)
    path, b = body("text")
    for text in [*VALUES, "true", "[]", "{}"]:
        for member, param in (('"logit_bias":{"5":%s}' % text, "logit_bias"), ('"logit_bias":%s' % text, "logit_bias"), ('"stop":[%s]' % text, "stop"),
                              ('"prompt":[%s]' % text, "prompt"), ('"prompt":[[%s]]' % text, "prompt"), ('"prompt":["x",%s]' % text, "prompt"),
                              ('"stream":%s' % text, "stream"), ('"echo":%s' % text, "echo"), ('"stream_options":%s' % text, "stream_options")):
            status, a, _ = s.post(path, '{"model":"reviews","max_tokens":1,%s%s}' % ("" if param == "prompt" else '"prompt":"x",', member))
            assert status == 200 or (status == 400 and a["error"]["param"] == param), (member, status, a)
    for bad in ('{"x":1}', '{"":1}', '{"-1":1}', '{"4096":1}', '{"99999999999":1}', '{"1.5":1}', '{"5":"x"}', '{"5":1e10}'):
        status, a, _ = s.post(path, '{"model":"reviews","prompt":"x","logit_bias":%s}' % bad)
        assert status == 400 and a["error"]["param"] == "logit_bias", (bad, a)
    for bad in ({"stop": ""}, {"stop": ["x"] * 65}, {"prompt": []}, {"prompt": ["x"] * 10000}, {"prompt": [1.5]}, {"prompt": [4096]}, {"prompt": True}):
        status, a, _ = s.post(path, {**b, **bad})
        assert status == 400 and a["error"]["param"] == next(iter(bad)), (bad, a)


def test_malformed(s):
    for path in ("/v1/chat/completions", "/v1/completions"):
        for bad in (b"", b"{", b"[]", b"1", b'{"prompt":"\xff"}', b'{"prompt":"\\u0000"}', b"[" * 100000, b'{"a":' * 100000, b'{"prompt":"x"}x', b"null"):
            status, a, _ = s.post(path, bad)
            assert status == 400 and a["error"]["message"], (bad[:20], status, a)
        deep = b'{"messages":' + b"[" * 100000 + b"]" * 100000 + b"}"
        assert s.post(path, deep)[0] == 400
        assert s.get(path)[0] == 405
    # Lone halves of characters, names written with escapes, members twice.
    for b in ('{"model":"chat","messages":[{"role":"user","content":"\\ud800"}],"max_tokens":1}',
              '{"model":"chat","mess\\u0061ges":[{"role":"user","content":"x"}],"max_tokens":1}',
              '{"model":"chat","messages":1,"messages":[{"role":"user","content":"x","content":[1],"content":[{"type":"text","text":"y"}]}],"max_tokens":1}'):
        assert s.post("/v1/chat/completions", b)[0] in (200, 400)
    assert s.get("/health")[0] == 200


def test_too_long(s):
    long = [5] * 512
    status, a, _ = s.post("/v1/completions", {"model": "reviews", "prompt": long})
    assert status == 400 and a["error"]["code"] == "context_length_exceeded" and a["error"]["param"] == "prompt", a
    status, a, _ = s.post("/v1/chat/completions", {"model": "chat", "messages": user("word " * 600)})
    assert status == 400 and a["error"]["code"] == "context_length_exceeded" and a["error"]["param"] == "messages", a
    a = s.ok("/v1/completions", {"model": "reviews", "prompt": long[:511], "max_tokens": 100})
    assert a["usage"]["completion_tokens"] == 1 and a["choices"][0]["finish_reason"] in ("length", "stop")


def at_once(jobs):
    got = [None] * len(jobs)
    def one(i):
        try: got[i] = jobs[i]()
        except Exception as x: got[i] = repr(x)
    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(jobs))]
    for t in threads: t.start()
    for t in threads: t.join()
    return got


def test_same_bits(s):
    for more, args in (({"temperature": 0}, ["--temp", "0"]), ({"temperature": 0.9, "seed": 77}, ["--temp", "0.9", "--seed", "77"])):
        texts = ["%s, number %d," % (PROMPTS[i % len(PROMPTS)], i) for i in range(32)]
        first = Server("-m", "chat=" + DIR + "/chat", "-m", "reviews=" + BUNDLED)
        def complete(t, server=first): return server.ok("/v1/completions", {"model": "reviews", "prompt": t, "max_tokens": 24, **more})
        alone = [complete(t) for t in texts[:8]] # a server that has seen no other
        cached = [complete(t) for t in texts[:8]]
        first.stop()
        beside = at_once([lambda t=t: complete(t, s) for t in texts])
        pieces = [text_of(s.stream("/v1/completions", {"model": "reviews", "prompt": t, "max_tokens": 24, **more})) for t in texts[:8]]
        for i, t in enumerate(texts[:8]):
            want = cli("-m", BUNDLED, "-n", "24", *args, t)
            for got in (alone[i], cached[i], beside[i]):
                c = got["choices"][0]
                assert (c["text"], c["finish_reason"]) == (want["text"], want["finish_reason"]), (i, got, want)
            assert pieces[i] == want["text"]
            assert cached[i]["usage"]["prompt_tokens_details"]["cached_tokens"] > 0


# An answer as its text, its end, and the log probability of every token; of a body, a stream, the command line.
def said(choice):
    return choice["message"]["content"], choice["finish_reason"], [t["logprob"] for t in choice["logprobs"]["content"]]


def streamed(events):
    parts = [e["choices"][0]["logprobs"]["content"] for e in events if e["choices"][0]["logprobs"]]
    return text_of(events), events[-1]["choices"][0]["finish_reason"], [t["logprob"] for p in parts for t in p]


def told(row):
    return row["text"], row["finish_reason"], [t["logprob"] for t in row["logprobs"] if row["finish_reason"] == "length" or t["id"] != 0]


def test_same_bits_of_chats(s):
    path, system = "/v1/chat/completions", "You have seen the film, and answer in one sentence."
    chats = [("%s? " % PROMPTS[i % len(PROMPTS)] * (1 + i % 5) + "Number %d." % i, system if i % 3 else None) for i in range(32)]
    for more, args in (({"temperature": 0}, ["--temp", "0"]), ({"temperature": 0.9}, ["--temp", "0.9"])):
        def request(i): return {"model": "chat", "messages": ([{"role": "system", "content": chats[i][1]}] if chats[i][1] else []) + user(chats[i][0]),
                                "max_tokens": 20 + i % 7, "seed": 50 + i, "logprobs": True, **more}
        def line(i):
            return told(cli("-m", DIR + "/chat", "--chat", "-n", str(20 + i % 7), "--seed", str(50 + i), "--logprobs", "1", *args,
                            *(["--system", chats[i][1]] if chats[i][1] else []), chats[i][0]))
        want = [line(i) for i in range(32)]
        assert len(set(want[i][0] for i in range(32))) > 10 # they are different answers
        first = Server("-m", "chat=" + DIR + "/chat")
        try:
            def ask(i, server=first): return said(server.ok(path, request(i))["choices"][0])
            assert ask(0) == want[0], "alone" # a server that has seen no other
            cached = first.ok(path, request(0))
            assert cached["usage"]["prompt_tokens_details"]["cached_tokens"] > 0 and said(cached["choices"][0]) == want[0], "from the cache"
            for i in range(1, 8): assert ask(i) == want[i], ("one after the other", i)
            # All of them at once, on a server that has seen some: bodies and streams mixed; then all again, from the cache.
            for turn in range(2):
                got = at_once([(lambda i=i: streamed(first.stream(path, request(i)))) if (i + turn) % 2 else (lambda i=i: ask(i)) for i in range(32)])
                for i in range(32): assert got[i] == want[i], ("beside 31 others", turn, i, got[i], want[i])
            # A conversation that goes on: the same alone, after its first turn, beside others, and on the command line.
            talk = request(1)["messages"] + [{"role": "assistant", "content": want[1][0]}] + user("Why?")
            b = {**request(1), "messages": talk}
            prompt = tool(json.dumps(talk), "template", "-m", DIR + "/chat")
            prompt = tool(prompt + "\n", "tokenize", "-m", DIR + "/chat", "--ids", "--no-special")
            line_of_talk = told(cli("-m", DIR + "/chat", "-n", "21", "--seed", "51", "--logprobs", "1", *args, "--ids", prompt))
            fresh = said(s.ok(path, b)["choices"][0])
            assert ask(1) == want[1] # its first turn is in the cache, whoever took whose place there before
            later = first.ok(path, b)
            assert later["usage"]["prompt_tokens_details"]["cached_tokens"] > later["usage"]["prompt_tokens"] / 2
            assert fresh == said(later["choices"][0]) == line_of_talk, (fresh, line_of_talk)
            got = at_once([lambda: said(first.ok(path, b)["choices"][0])] + [lambda i=i: ask(i) for i in range(31)])
            assert got[0] == line_of_talk
            # The whole body is, but for its name and time.
            bodies = [{**first.ok(path, {**request(2), "top_logprobs": 3}), "id": 0, "created": 0} for _ in range(2)]
            bodies += at_once([lambda: {**first.ok(path, {**request(2), "top_logprobs": 3}), "id": 0, "created": 0}] + [lambda i=i: ask(i) for i in range(31)])[:1]
            for x in bodies: x["usage"].pop("prompt_tokens_details")
            assert bodies[0] == bodies[1] == bodies[2]
        finally:
            first.stop()


def test_leaving(s):
    # While it is written: of 128 long answers hardly any are.
    s.idle()
    before = s.metric("pith_generated_tokens_total")
    c = s.open("POST", "/v1/completions", {"model": "reviews", "prompt": "This", "n": 128, "max_tokens": 400, "ignore_eos": True, "stream": True})
    c.getresponse().read(300)
    c.sock.close()
    c.close()
    s.idle()
    assert s.metric("pith_generated_tokens_total") - before < 128 * 400 / 4
    # While prompts are computed.
    before = s.metric("pith_prompt_tokens_total")
    prompts = [[(i * j * 7) % 4000 + 10 for j in range(1, 501)] for i in range(1, 200)]
    c = s.open("POST", "/v1/completions", {"model": "reviews", "prompt": prompts, "max_tokens": 1})
    while s.metric("pith_jobs_running") == 0: pass
    c.sock.close()
    c.close()
    s.idle()
    assert s.metric("pith_prompt_tokens_total") - before < 199 * 500 / 2, s.metric("pith_prompt_tokens_total") - before
    assert s.metric("pith_cancelled_total") > 0


def test_leaving_the_queue():
    s = Server("-m", "reviews=" + BUNDLED, "--sequences", "1", "--max-queue", "2")
    try:
        long = {"model": "reviews", "prompt": "This", "n": 8, "max_tokens": 400, "ignore_eos": True}
        first = s.open("POST", "/v1/completions", long)
        while s.metric("pith_jobs_running") == 0: time.sleep(0.001)
        queued = [s.open("POST", "/v1/completions", long) for _ in range(2)]
        while s.metric("pith_jobs_waiting") < 2: time.sleep(0.001)
        status, a, r = s.post("/v1/completions", long)
        assert status == 429 and r.getheader("Retry-After") and a["error"]["code"] == "queue_full" and a["error"]["type"] == "rate_limit_exceeded", a
        status, a, _ = s.post("/v1/completions", {**long, "prompt": ["a", "b"], "n": 1, "stream": True})
        assert status == 429, a
        for c in (queued[0], first):
            c.sock.close()
            c.close()
        a = queued[1].getresponse()
        assert a.status == 200 and len(json.loads(a.read())["choices"]) == 8
        s.idle()
        assert s.metric("pith_cancelled_total") >= 2
    finally:
        s.stop()


def test_end_in_midstream():
    s = Server("-m", "reviews=" + BUNDLED, "--grace", "0.1")
    c = s.open("POST", "/v1/completions", {"model": "reviews", "prompt": "This", "n": 128, "max_tokens": 400, "ignore_eos": True, "stream": True})
    r = c.getresponse()
    r.read(300)
    s.process.send_signal(signal.SIGTERM)
    last = r.read().split(b"\n\n")[-2]
    assert last.startswith(b"data: {\"error\":") and "message" in json.loads(last[6:])["error"], last
    s.process.wait(60)


def test_key():
    s = Server("-m", "chat=" + DIR + "/chat", "--api-key", "secret")
    # Server's own questions are open to all.
    b = {"messages": user("x"), "max_tokens": 1}
    assert s.post("/v1/chat/completions", b)[0] == 401 and s.get("/v1/models")[0] == 401
    assert s.ask("POST", "/v1/chat/completions", b, {"Authorization": "Bearer secret"})[0] == 200
    s.stop()


# ---- all of them ----

def make_chat_model():
    shutil.copytree(BUNDLED, DIR + "/chat")
    open(DIR + "/chat/chat_template.jinja", "w").write(TEMPLATE)


def main():
    make_chat_model()
    failed = 0
    s = Server("-m", "chat=" + DIR + "/chat", "-m", "reviews=" + BUNDLED)
    only = os.environ.get("TEST_NAME", "")
    for name, f in list(globals().items()):
        if not name.startswith("test_") or only not in name: continue
        try:
            f(s) if f.__code__.co_argcount else f()
            print("ok - " + name[5:].replace("_", " "), flush=True)
        except (AssertionError, Exception) as x: # what fails is told; the others go on
            failed += 1
            print("not ok - " + name[5:].replace("_", " "), flush=True)
            at = traceback.extract_tb(sys.exc_info()[2])
            at = [f for f in at if f.name.startswith("test_")][-1]
            print("#   line %d: %s\n#   %s: %.2000s" % (at.lineno, at.line, type(x).__name__, x), flush=True)
    try:
        s.stop()
        print("ok - the server lives to the end")
    except (AssertionError, subprocess.TimeoutExpired) as x:
        failed += 1
        print("not ok - the server lives to the end\n#   %r" % (x,))
    sys.exit(failed > 0)


main()
