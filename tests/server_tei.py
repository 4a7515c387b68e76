"""The protocols over texts against `pith serve`, with nothing but the standard library. Speaks TAP.
usage: server_tei.py PITH FOLDER, which holds the models `vectors` and `cross` (server_tei.sh makes them)"""
import atexit
import base64
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback

PITH, DIR = sys.argv[1:3]
VECTORS, CROSS = DIR + "/vectors", DIR + "/cross"
FILM = "A wonderful film."
TEXTS = [FILM, "The plot was awful, and I hate it.", "Ünïcödé — 😀 good [SEP] film", "x", "bad " * 40]
PAIR = ["Was it good?", "I love this movie"]
MOST = 2048


# ---- the server and its client ----

class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=300)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(300)
        self.sock.connect(self.path)


class Server:
    def __init__(self, name, *options):
        self.socket, self.log = "%s/%s.sock" % (DIR, name), "%s/%s.log" % (DIR, name)
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([PITH, "serve", "--unix", self.socket, *options], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=log)
        atexit.register(self.process.kill) # harmless once it has ended
        end = time.monotonic() + 120
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit("the server did not start: " + open(self.log).read())
            time.sleep(0.02)

    def ready(self):
        try:
            return self.raw("GET", "/ready")[0] == 200
        except (FileNotFoundError, ConnectionError):
            return False # no socket yet, or nobody listens on it yet

    def open(self, method, path, body=None):
        c = Unix(self.socket)
        try:
            c.request(method, path, body, {"Content-Type": "application/json"} if body is not None else {})
        except BrokenPipeError:
            pass # answered before all of it was sent
        return c

    # status, and the answer's text
    def raw(self, method, path, body=None):
        if body is not None and not isinstance(body, bytes): body = json.dumps(body).encode()
        c = self.open(method, path, body)
        r = c.getresponse()
        text = r.read().decode()
        c.close()
        return r.status, text

    # Numbers stay the text that they were: what is compared is bytes.
    def ok(self, path, **body):
        status, text = self.raw("POST", path, body)
        assert status == 200, (path, status, text[:500])
        return json.loads(text, parse_float=str, parse_int=str)

    def fails(self, want, path, body, word="", kind=None):
        status, text = self.raw("POST", path, body)
        assert status == want and word in text, (path, str(body)[:200], status, text[:500])
        e = json.loads(text)
        if path.startswith("/v1/"): assert list(e["error"]) == ["message", "type", "param", "code"], e
        else: assert list(e) == ["error", "error_type"] and kind in (None, e["error_type"]), e

    def metric(self, name):
        lines = self.raw("GET", "/metrics")[1].split("\n")
        return sum(float(l.split()[-1]) for l in lines if l.startswith(name + "{"))

    def wait(self, what):
        end = time.monotonic() + 60
        while not what():
            assert time.monotonic() < end, "it did not come"
            time.sleep(0.01)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(120)
        assert self.process.returncode == 0, (self.process.returncode, open(self.log).read())


def cli(*args):
    out = subprocess.run([PITH, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout.decode()
    return [json.loads(l, parse_float=str, parse_int=str) for l in out.split("\n") if l]


def by_score(row, numbers): return sorted(({"label": l, "score": x} for l, x in numbers), key=lambda x: -float(x["score"]))


# ---- the tests ----

def test_predict(s):
    rows = cli("classify", "-m", "sentiment", "--json", *TEXTS)
    want = [by_score(r, r["scores"].items()) for r in rows]
    raw = [by_score(r, zip(r["scores"], r["logits"])) for r in rows]
    assert [s.ok("/predict", inputs=t) for t in TEXTS] == want
    assert s.ok("/predict", inputs=[FILM]) == want[0]
    assert s.ok("/predict", inputs=[[t] for t in TEXTS]) == want
    assert s.ok("/predict", inputs=[[FILM]]) == want[:1]
    assert s.ok("/predict", inputs=[[t] for t in TEXTS], raw_scores=True) == raw
    body = ",".join('{"label":"%(label)s","score":%(score)s}' % x for x in want[0])
    assert s.raw("POST", "/predict", {"inputs": FILM}) == (200, "[" + body + "]")


def test_predict_pairs(s):
    [pair] = cli("classify", "-m", "sentiment", "--json", "--pair", PAIR[1], PAIR[0])
    want = by_score(pair, pair["scores"].items())
    assert s.ok("/predict", inputs=PAIR) == want
    assert s.ok("/predict", inputs=[[FILM], PAIR, [FILM]])[1] == want
    assert s.ok("/predict", inputs=["", "b"]) and s.ok("/predict", inputs=["a", ""])


def test_predict_long(s):
    long = "good bad " * 600
    [cut] = cli("classify", "-m", "sentiment", "--json", long)
    assert cut["truncated"] is True
    assert s.ok("/predict", inputs=long, truncate=True) == by_score(cut, cut["scores"].items())
    assert s.ok("/predict", inputs=FILM, truncation_direction="Right", truncate=None)
    s.fails(413, "/predict", {"inputs": long}, "512 tokens", "Validation")
    s.fails(413, "/predict", {"inputs": [[FILM], [long]], "truncate": False}, "text 1 has more")
    s.fails(400, "/predict", {"inputs": FILM, "truncation_direction": "Left"}, "truncation_direction")


def test_embed(s):
    embed = lambda *o: cli("embed", "-m", "sentiment", *o, *TEXTS)
    yes = embed("--normalize", "yes")
    assert s.ok("/embed", inputs=TEXTS) == yes
    assert [s.ok("/embed", inputs=t) for t in TEXTS] == [[v] for v in yes]
    assert s.ok("/embed", inputs=TEXTS, normalize=False) == embed("--normalize", "no")
    assert s.ok("/embed", inputs=TEXTS, dimensions=7) == embed("--normalize", "yes", "--dimensions", "7")
    assert s.ok("/embed", inputs=TEXTS, dimensions=None, prompt_name=None) == yes
    for d in [0, -1, 193, 1.5, 2 ** 31, 2 ** 63, 1e308, "x"]: s.fails(400, "/embed", {"inputs": FILM, "dimensions": d}, "dimensions")
    s.fails(400, "/embed", {"inputs": FILM, "prompt_name": "query"}, "prompt_name")


def test_embed_directory(s):
    want = cli("embed", "-m", VECTORS, "--normalize", "no", "a good film", "the plot")
    assert want != cli("embed", "-m", VECTORS, "--pooling", "mean", "a good film", "the plot")
    assert s.ok("/embed", model="vectors", inputs=["a good film", "the plot"], normalize=False) == want
    long = "good " * 23
    s.fails(413, "/embed", {"model": "vectors", "inputs": ["a", long]}, "24 tokens")
    assert s.ok("/embed", model="vectors", inputs="good " * 22)
    assert s.ok("/embed", model="vectors", inputs=long, truncate=True) == cli("embed", "-m", VECTORS, "--normalize", "yes", long)


def test_embed_ids(s):
    tokens = lambda t, special: [int(x["id"]) for x in s.ok("/tokenize", inputs=t, add_special_tokens=special)[0]]
    for t in [FILM, TEXTS[1], "x", "bad " * 40]:
        for ids in tokens(t, True), tokens(t, False):
            assert s.ok("/embed", inputs=ids) == s.ok("/embed", inputs=[ids]) == s.ok("/embed", inputs=t)
    ids = tokens(TEXTS[2], True) # what the vocabulary lacks, and a special token, are ids as any
    assert 1 in ids and ids.count(3) == 2
    assert s.ok("/embed", inputs=ids) == s.ok("/embed", inputs=TEXTS[2])
    assert s.ok("/embed", inputs=[ids, "x"])[1:] == s.ok("/embed", inputs="x")
    s.fails(422, "/embed", {"inputs": [10 ** 6]}, "no token 1000000", "Tokenizer")
    s.fails(400, "/embed", {"inputs": [2, 3]}, "empty", "Empty")
    s.fails(400, "/embed", {"inputs": [2, "x"]}, "inputs[1]")
    for i in [-1, 1.5, 2 ** 31, 2 ** 63, 1e308, None, "x", True]: s.fails(400, "/embed", {"inputs": [55, i]}, "inputs[1]")
    pieces = tokens("zzz", False)
    assert len(pieces) > 1
    s.fails(422, "/embed", {"inputs": pieces[1:] + pieces[:1]}, "send the text", "Tokenizer") # a word's middle comes first


def test_rerank(s):
    query, texts = "good film", ["the plot was bad", "great movie", "x", "I love it", "great movie", ""]
    run = lambda *o: [{k: r[k] for k in ("index", "score", "text")} for r in cli("rerank", "-m", CROSS, "--json", *o, query, *texts)]
    want = run()
    assert s.ok("/rerank", query=query, texts=texts, return_text=True) == want
    plain = s.ok("/rerank", query=query, texts=texts)
    assert plain == [{"index": r["index"], "score": r["score"]} for r in want]
    assert [r["index"] for r in plain].index("1") + 1 == [r["index"] for r in plain].index("4") # equal ones in order
    assert s.ok("/rerank", query=query, texts=texts, return_text=True, raw_scores=True, model="cross") == run("--raw-scores")
    s.fails(424, "/rerank", {"query": "a", "texts": ["b"], "model": "sentiment"}, "reranks", "Backend")
    s.fails(413, "/rerank", {"query": "a", "texts": ["b", "good " * 100]}, "text 1 has more than the 72 tokens")
    assert s.ok("/rerank", query="a", texts=["good " * 100], truncate=True)
    s.fails(400, "/rerank", {"query": "a", "texts": []}, "empty", "Empty")
    s.fails(400, "/rerank", {"query": "", "texts": [""]}, "empty", "Empty")
    s.fails(413, "/rerank", {"query": "a" * 10000, "texts": ["b"] * 1000, "truncate": True}, "send fewer at once")
    for body in [{"query": "a"}, {"texts": ["a"]}, {"query": 1, "texts": ["a"]}, {"query": "a", "texts": "b"}, {"query": "a", "texts": [1]},
                 {"query": "a", "texts": ["b"], "top_n": 1}]:
        s.fails(400, "/rerank", body)


def test_tokenize(s):
    for model in ["sentiment", "reviews"]:
        for t in TEXTS:
            for flag, special in ([], True), (["--no-special"], False):
                [got] = s.ok("/tokenize", inputs=t, model=model, add_special_tokens=special)
                [want] = cli("tokenize", "-m", model, "--json", *flag, t)
                assert [x["id"] for x in got] == want["ids"] and [x["special"] for x in got] == want["special"]
                for x, piece, (begin, end) in zip(got, want["pieces"], want["offsets"]):
                    assert list(x) == ["id", "text", "special", "start", "stop"]
                    if x["special"]:
                        assert x["start"] is None and x["stop"] is None and x["text"] == piece
                        continue
                    a, b = int(x["start"]), int(x["stop"])
                    assert x["text"] == t[a:b] and len(t[:a].encode()) == int(begin) and len(t[:b].encode()) == int(end)
    assert s.ok("/tokenize", inputs=TEXTS) == [s.ok("/tokenize", inputs=t)[0] for t in TEXTS]
    s.fails(400, "/tokenize", {"inputs": [1, 2]}, "expected a string")
    s.fails(413, "/tokenize", {"inputs": ["a" * 600000] * 2}, "1200000 bytes")


def test_decode(s):
    rows = [[int(x["id"]) for x in row] for row in s.ok("/tokenize", inputs=TEXTS)]
    want = cli("tokenize", "-m", "sentiment", "--decode", *map(json.dumps, rows))
    assert s.ok("/decode", ids=rows) == [w["skip"] for w in want]
    assert s.ok("/decode", ids=rows, skip_special_tokens=False) == [w["keep"] for w in want]
    assert s.ok("/decode", ids=rows[0]) == [want[0]["skip"]]
    assert s.ok("/decode", ids=[[], rows[0]]) == ["", want[0]["skip"]] and s.ok("/decode", ids=[]) == [""]
    s.fails(422, "/decode", {"ids": [2 ** 31 - 1]}, "no token", "Tokenizer")
    for i in [-1, 1.5, 2 ** 31, 2 ** 63, 1e308, None, "x"]: s.fails(400, "/decode", {"ids": [5, i]}, "ids[1]")
    s.fails(400, "/decode", {"ids": [[5], 6]}, "ids[1]")
    s.fails(400, "/decode", {"ids": 5}, "ids")


def test_explain(s):
    text = "Ünïcödé 😀 film, a wonderful one; the plot is bad"
    for flag, label in ([], None), ([], "POSITIVE"), ([], "NEGATIVE"):
        got = s.ok("/explain", inputs=text, label=label)
        [want] = cli("classify", "-m", "sentiment", "--json", "--explain", text)
        assert [text[int(w["start"]):int(w["stop"])] for w in got["words"]] == text.split() == [w["text"] for w in want["words"]]
        assert got["label"] == (label or want["label"])
        if got["label"] == want["label"]: assert [w["influence"] for w in got["words"]] == [w["influence"] for w in want["words"]]
        else: assert all(float(a["influence"]) * float(b["influence"]) <= 0 for a, b in zip(got["words"], want["words"]))
    s.fails(400, "/explain", {"inputs": text, "label": "none"}, "label")
    s.fails(400, "/explain", {"inputs": ["a", "b"]}, "inputs")
    s.fails(400, "/explain", {"inputs": ""}, "empty", "Empty")
    s.fails(413, "/explain", {"inputs": "good " * 600}, "512 tokens")
    s.fails(413, "/explain", {"inputs": "a" * 65537, "truncate": True}, "65537 bytes")
    long = "good " * 80 # over the 72 tokens of `cross`
    [want] = cli("classify", "-m", CROSS, "--json", "--explain", long)
    assert [w["influence"] for w in s.ok("/explain", inputs=long, truncate=True, model="cross")["words"]] == [w["influence"] for w in want["words"]]


def test_info(s):
    status, text = s.raw("GET", "/info")
    i = json.loads(text)
    assert status == 200 and i["model_id"] == "sentiment" and i["version"] == subprocess.check_output([PITH, "version"]).decode().split()[1]
    assert i["model_type"] == {"classifier": {"id2label": {"0": "NEGATIVE", "1": "POSITIVE"}, "label2id": {"NEGATIVE": 0, "POSITIVE": 1}}}
    assert i["max_input_length"] == 512 and i["max_batch_tokens"] == 2048 and i["max_client_batch_size"] == MOST and i["auto_truncate"] is False
    for k in "model_sha model_dtype max_concurrent_requests max_batch_requests tokenization_workers sha docker_label".split(): assert k in i, k
    by = {m["model_id"]: m for m in i["models"]}
    assert list(by) == ["sentiment", "reviews", "cross", "vectors"]
    assert by["vectors"]["max_input_length"] == 24 and by["vectors"]["model_type"] == {"embedding": {"pooling": "cls"}}
    assert by["cross"]["model_type"]["reranker"]["label2id"] and by["reviews"]["model_type"] == {"generator": {"context": 512, "chat": False}}


def test_classify(s):
    rows = cli("classify", "-m", "sentiment", "--json", *TEXTS)
    a = s.ok("/v1/classify", input=TEXTS, model="sentiment", user="me")
    assert list(a) == ["id", "object", "created", "model", "data", "usage"] and a["id"].startswith("classify-") and a["object"] == "list"
    assert a["model"] == "sentiment" and abs(int(a["created"]) - time.time()) < 600
    assert a["data"] == [{"index": str(i), "label": r["label"], "probs": list(r["scores"].values()), "num_classes": "2"} for i, r in enumerate(rows)]
    total = sum(int(r["n_tokens"]) for r in rows)
    assert int(a["usage"]["prompt_tokens"]) == int(a["usage"]["total_tokens"]) == total
    assert [s.ok("/v1/classify", input=t)["data"][0]["probs"] for t in TEXTS] == [d["probs"] for d in a["data"]]
    assert s.ok("/v1/classify", input=FILM, use_activation=False)["data"][0]["probs"] == rows[0]["logits"]
    long = "good " * 600
    s.fails(400, "/v1/classify", {"input": long}, "context_length_exceeded")
    [cut] = cli("classify", "-m", "sentiment", "--json", long)
    assert s.ok("/v1/classify", input=long, truncate_prompt_tokens=-1)["data"][0]["probs"] == list(cut["scores"].values())
    [cut] = cli("classify", "-m", "sentiment", "--json", "--max-length", "9", long)
    assert s.ok("/v1/classify", input=long, truncate_prompt_tokens=9)["data"][0]["probs"] == list(cut["scores"].values())
    for n in [-2, 0, 1.5, 513, 2 ** 31, 2 ** 63, 1e308, "x", True]: s.fails(400, "/v1/classify", {"input": FILM, "truncate_prompt_tokens": n}, "truncate_prompt_tokens")


def test_embeddings(s):
    want = cli("embed", "-m", VECTORS, "--normalize", "yes", "--json", "a good film", "the plot")
    for n in None, 1, 2, 3, 64:
        o = {} if n is None else {"dimensions": n}
        a = s.ok("/v1/embeddings", model="vectors", input=["a good film", "the plot"], user="me", **o)
        assert list(a) == ["object", "data", "model", "usage"] and a["model"] == "vectors"
        assert [(d["object"], d["index"]) for d in a["data"]] == [("embedding", "0"), ("embedding", "1")]
        assert int(a["usage"]["prompt_tokens"]) == int(a["usage"]["total_tokens"]) == sum(int(w["n_tokens"]) for w in want)
        if n is None: assert [d["embedding"] for d in a["data"]] == [w["embedding"] for w in want]
        b = s.ok("/v1/embeddings", model="vectors", input=["a good film", "the plot"], encoding_format="base64", **o)
        for d, e in zip(a["data"], b["data"]):
            bits = base64.b64decode(e["embedding"], validate=True)
            assert bits == struct.pack("<%df" % len(d["embedding"]), *map(float, d["embedding"])) and len(bits) == 4 * (n or 64)
    ids = [int(x["id"]) for x in s.ok("/tokenize", model="vectors", inputs="the plot")[0]]
    assert s.ok("/v1/embeddings", model="vectors", input=[ids, ids[1:-1]])["data"][1]["embedding"] == want[1]["embedding"]
    s.fails(400, "/v1/embeddings", {"input": "a", "encoding_format": "hex"}, "encoding_format")
    s.fails(400, "/v1/embeddings", {"input": "good " * 30, "model": "vectors"}, "context_length_exceeded")
    for d in [0, -1, 65, 1.5, 2 ** 31, 2 ** 63, 1e308, "x"]: s.fails(400, "/v1/embeddings", {"model": "vectors", "input": "a", "dimensions": d}, "dimensions")


def test_models(s):
    assert s.ok("/predict", inputs=FILM, model="sentiment") == s.ok("/predict", inputs=FILM, model=None) == s.ok("/predict", inputs=FILM)
    assert s.ok("/predict", inputs="a", model="cross") # a reranker predicts its label, as TEI's does
    s.fails(424, "/predict", {"inputs": "a", "model": "reviews"}, "reviews", "Backend")
    s.fails(424, "/embed", {"inputs": "a", "model": "reviews"}, "reviews", "Backend")
    s.fails(400, "/v1/embeddings", {"input": "a", "model": "reviews"}, "reviews")
    s.fails(400, "/v1/classify", {"input": "a", "model": "reviews"}, "reviews")
    for path, key in ("/predict", "inputs"), ("/embed", "inputs"), ("/tokenize", "inputs"), ("/v1/embeddings", "input"), ("/v1/classify", "input"):
        s.fails(404, path, {key: "a", "model": "gpt"}, "gpt")
        s.fails(400, path, {key: "a", "model": 1}, "model")
        s.fails(400, path, {key: "a", "nonsense": 1}, "nonsense")


def test_many(s):
    many = ["film %d is %s" % (i, "good" if i % 3 else "awful") for i in range(MOST)]
    assert len(s.ok("/embed", inputs=many, model="vectors")) == MOST
    assert s.ok("/predict", inputs=[[t] for t in many])[2047] == s.ok("/predict", inputs=many[2047])
    for path, key in ("/embed", "inputs"), ("/tokenize", "inputs"), ("/v1/embeddings", "input"), ("/v1/classify", "input"):
        s.fails(400 if path[1] == "v" else 413, path, {key: many + ["x"]}, "2049")
    s.fails(413, "/predict", {"inputs": [["x"]] * (MOST + 1)}, "2049", "Validation")
    s.fails(413, "/embed", {"inputs": [1] * (1 << 20)}, "1048576 values")
    s.fails(413, "/rerank", {"query": "x", "texts": ["x"] * (MOST + 1)}, "2049", "Validation")
    s.fails(413, "/decode", {"ids": [[1]] * (MOST + 1)}, "2049", "Validation")


def test_beside_others(s):
    long = "a great plot " * 150
    asks = [("/predict", {"inputs": t, "raw_scores": r}) for t in TEXTS + [long] for r in (False, True)]
    asks += [("/predict", {"inputs": [[t] for t in TEXTS]}), ("/predict", {"inputs": PAIR}), ("/explain", {"inputs": TEXTS[1]})]
    asks += [("/embed", {"inputs": t, "normalize": n}) for t in TEXTS for n in (False, True)]
    asks += [("/embed", {"inputs": ["a", "the plot"], "model": "vectors"}), ("/v1/embeddings", {"input": TEXTS, "encoding_format": "base64"})]
    asks += [("/rerank", {"query": "good", "texts": TEXTS[:4], "return_text": True}), ("/tokenize", {"inputs": TEXTS})]
    asks = (asks + asks)[:32]
    assert len(asks) == 32
    alone = [s.raw("POST", *a) for a in asks]
    assert all(status == 200 for status, _ in alone)
    for _ in range(4):
        got, gate = [None] * 32, threading.Barrier(32)
        def ask(i):
            gate.wait()
            got[i] = s.raw("POST", *asks[i])
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(32)]
        for t in threads: t.start()
        for t in threads: t.join()
        assert got == alone


def test_malformed(s):
    inputs = [1, -1, 0, 2 ** 31, 2 ** 63, 1e308, True, {}, {"a": 1}, [], [[]], [[[]]], [None], [["a", "b", "c"]], ["a", "b", "c"], [["a"], "b"],
              ["a", ["b"]], [{}], [["a", 1]], [[None]], "", [""], [["a"], [""]]]
    for v in inputs: s.fails(400, "/predict", {"inputs": v})
    for path, key in ("/embed", "inputs"), ("/v1/embeddings", "input"), ("/v1/classify", "input"):
        for v in [5, -1, True, {}, [], [[]], [[[]]], [None], ["a", None], [{}], "", ["a", ""], ["a", 1], [[1], 5], None]:
            s.fails(400, path, {key: v})
        s.fails(400, path, {}, key)
    bad = [-1, 0, 2 ** 31, 2 ** 63, 1e308, "x", [], {}]
    for path, body, flags in (("/predict", {"inputs": "a"}, ["truncate", "raw_scores", "truncation_direction", "model"]),
                              ("/embed", {"inputs": "a"}, ["truncate", "normalize", "truncation_direction", "model"]),
                              ("/rerank", {"query": "a", "texts": ["b"]}, ["truncate", "raw_scores", "return_text", "query", "texts", "model"]),
                              ("/tokenize", {"inputs": "a"}, ["add_special_tokens", "inputs", "model"]),
                              ("/decode", {"ids": [1]}, ["skip_special_tokens", "model"]),
                              ("/explain", {"inputs": "a"}, ["inputs", "label", "truncate", "model"]),
                              ("/v1/classify", {"input": "a"}, ["use_activation", "user", "model"]),
                              ("/v1/embeddings", {"input": "a"}, ["encoding_format", "user", "model"])):
        for flag in flags:
            for v in bad:
                if v == "x" and flag in ("query", "inputs", "user"): continue
                s.fails(404 if flag == "model" and v == "x" else 400, path, {**body, flag: v}, flag if v != "x" else "")
        for text in [b"", b"{", b"[]", b"null", b'"a"', b'{"inputs":"\\u0000"}', b'{"inputs":"\xff"}', b'{"inputs":"\\ud800"}', b"[" * 10 ** 5, b'{"inputs":' * 10 ** 5]:
            assert s.raw("POST", path, text)[0] == 400, (path, text[:40])
    assert s.raw("GET", "/predict")[0] == 405 and s.raw("POST", "/info", {})[0] == 405
    assert s.ok("/predict", inputs=FILM)


def test_gone(s):
    many = json.dumps({"inputs": [["good bad film " * 40]] * MOST, "truncate": True}).encode()
    other = json.dumps({"inputs": FILM, "normalize": False}).encode()
    began, before = s.metric("pith_steps_total"), s.metric("pith_cancelled_total")
    busy = s.open("POST", "/predict", many)
    s.wait(lambda: s.metric("pith_steps_total") > began)
    # A step takes longer than the request's way to the queue: some of these go while they wait.
    for i in range(200):
        if s.metric("pith_cancelled_total") > before: break
        c = s.open("POST", "/embed", other)
        time.sleep(0.002 * (i % 5))
        c.close()
    s.wait(lambda: s.metric("pith_cancelled_total") > before and s.metric("pith_jobs_waiting") == 0 and s.metric("pith_jobs_running") == 1)
    at = s.metric("pith_cancelled_total")
    busy.close()
    s.wait(lambda: s.metric("pith_cancelled_total") == at + 1 and s.metric("pith_jobs_running") == 0)
    assert s.metric("pith_steps_total") < began + MOST / 5, "it was computed all the same"
    assert s.ok("/predict", inputs=FILM)


def test_fair(s):
    began = s.metric("pith_steps_total")
    busy = s.open("POST", "/predict", json.dumps({"inputs": [["good bad film " * 40]] * MOST, "truncate": True}).encode())
    s.wait(lambda: s.metric("pith_steps_total") > began)
    # Jobs with other options than those of a long one, and with the same, need not wait for its end.
    for path, body in ("/embed", {"inputs": FILM}), ("/predict", {"inputs": FILM}), ("/embed", {"inputs": FILM, "normalize": False}):
        assert s.raw("POST", path, body)[0] == 200 and s.metric("pith_jobs_running") == 1, path
    busy.close()
    s.wait(lambda: s.metric("pith_jobs_running") == 0)


def test_full(s):
    small = Server("small", "-m", "sentiment", "--max-queue", "1", "--max-body", "4194304")
    began = small.metric("pith_steps_total")
    busy = small.open("POST", "/predict", json.dumps({"inputs": [["good bad film " * 40]] * MOST, "truncate": True}).encode())
    small.wait(lambda: small.metric("pith_steps_total") > began)
    got = []
    threads = [threading.Thread(target=lambda: got.append(small.raw("POST", "/embed", {"inputs": FILM}))) for _ in range(16)]
    for t in threads: t.start()
    for t in threads: t.join()
    codes = sorted({status for status, _ in got})
    assert codes in ([200, 429], [429]), codes
    for status, text in got:
        if status == 429: assert json.loads(text)["error_type"] == "Overloaded"
    assert small.raw("POST", "/predict", {"inputs": "a" * 5000000})[0] == 413
    busy.close()
    small.wait(lambda: small.metric("pith_jobs_running") == 0)
    small.stop()


def main():
    tests = [(k[5:].replace("_", " "), f) for k, f in globals().items() if k.startswith("test_")]
    only = os.environ.get("ONLY_TEST")
    failed = 0
    s = Server("main", "-m", "sentiment", "-m", "reviews", "-m", "cross=" + CROSS, "-m", "vectors=" + VECTORS, "--no-sandbox")
    try:
        for name, f in tests:
            if only and only not in name: continue
            try:
                f(s)
                assert s.process.poll() is None, "the server died: " + open(s.log).read()[-3000:]
                print("ok - " + name, flush=True)
            except Exception:
                failed = 1
                print("not ok - " + name, flush=True)
                traceback.print_exc(file=sys.stderr)
        s.stop()
        print("ok - it drains and ends", flush=True)
    except Exception:
        failed = 1
        print("not ok - it drains and ends", flush=True)
        traceback.print_exc(file=sys.stderr)
    return failed


sys.exit(main())
