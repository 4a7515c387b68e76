# Model directories that are wrong: every one ends in one line that says what, where, why, and in status 1, quickly.
setup() {
    load cli
    cd "$BATS_TEST_TMPDIR"
}

# Runs every case of a Python table over copies of a golden model and checks the verdicts.
# cases: (name, model, edit(dir), words the message must contain). Helpers: cfg, tensors.
hostile() {
    cat >cases.py
    /usr/bin/python3 - <<'P'
import json, math, os, resource, shutil, struct, subprocess
golden, pith = os.environ["GOLDEN"] + "/models/", os.environ["PITH"]

def cfg(**changes):
    """Edits config.json; None deletes a key, `null` writes null, other values as they are; raw(..) as JSON text."""
    def edit(d):
        c = json.load(open(d + "/config.json"))
        tail = []
        for k, v in changes.items():
            if v is None: c.pop(k, None)
            elif v is null: c[k] = None
            elif isinstance(v, raw): c.pop(k, None); tail.append('"%s": %s' % (k, v.text))
            else: c[k] = v
        s = json.dumps(c)
        open(d + "/config.json", "w").write(s[:-1] + "".join(", " + t for t in tail) + "}")
    return edit
class raw:
    def __init__(self, text): self.text = text
null = object()
def config_text(s):
    return lambda d: open(d + "/config.json", "wb").write(s if isinstance(s, bytes) else s.encode())
def weights_bytes(b):
    return lambda d: open(d + "/model.safetensors", "wb").write(b)
def tensors(change):
    """change(dict name -> [dtype, shape, bytes]) edits the weights."""
    def edit(d):
        b = open(d + "/model.safetensors", "rb").read()
        n, = struct.unpack("<Q", b[:8])
        h = json.loads(b[8:8 + n]); h.pop("__metadata__", None)
        t = {k: [v["dtype"], v["shape"], b[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]]] for k, v in h.items()}
        change(t)
        h, at = {}, 0
        for k, (dt, shape, data) in t.items():
            h[k] = {"dtype": dt, "shape": shape, "data_offsets": [at, at + len(data)]}
            at += len(data)
        h = json.dumps(h).encode()
        open(d + "/model.safetensors", "wb").write(struct.pack("<Q", len(h)) + h + b"".join(v[2] for v in t.values()))
    return edit
def spent():
    u = resource.getrusage(resource.RUSAGE_CHILDREN)
    return u.ru_utime + u.ru_stime
def remove(name): return lambda d: os.remove(d + "/" + name)
exec(open("cases.py").read())

failed = []
for name, model, edit, words in cases:
    shutil.rmtree("d", ignore_errors=True)
    shutil.copytree(golden + model, "d")
    os.chmod("d", 0o755)
    for x in os.listdir("d"): os.chmod("d/" + x, 0o644)
    edit("d")
    start = spent()
    try:
        p = subprocess.run([pith, "logits", "-q", "-m", "d", "--ids", "1,2"], capture_output=True, timeout=120, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        failed.append((name, "more than 120 seconds")); continue
    err = p.stderr.decode("utf-8", "replace")
    if words is None:
        if p.returncode or err: failed.append((name, "should have worked", p.returncode, err))
        continue
    if p.returncode != 1: failed.append((name, "status %d" % p.returncode, err or p.stdout.decode()))
    elif p.stdout or err.count("\n") != 1: failed.append((name, "not one line", p.stdout, err))
    elif not all(w in err for w in words): failed.append((name, "message lacks %s" % [w for w in words if w not in err], err))
    elif len(err) < 25: failed.append((name, "says too little", err))
    elif spent() - start > 5: failed.append((name, "took %.1f s of processor time" % (spent() - start)))
for f in failed: print("# ", *f)
print("%d cases, %d failed" % (len(cases), len(failed)))
assert cases and not failed
P
}

@test "config.json: missing, broken, of another kind" {
    hostile <<'P'
m = "distilbert-f32"
cases = [
    ("as it was", m, lambda d: None, None),
    ("no config", m, remove("config.json"), ["config.json"]),
    ("empty", m, config_text(""), ["config.json"]),
    ("half", m, config_text('{"model_type": "distil'), ["config.json"]),
    ("array", m, config_text("[]"), ["config.json"]),
    ("number", m, config_text("3"), ["config.json"]),
    ("not UTF-8", m, config_text(b'{"model_type": "\xff"}'), ["config.json", "UTF-8"]),
    ("HTML", m, config_text("<!DOCTYPE html><html>"), ["config.json"]),
    ("deep", m, config_text("[" * 100000), ["config.json"]),
    ("empty object", m, config_text("{}"), ["config.json"]),
    ("no model_type", m, cfg(model_type=None), ["model_type"]),
    ("model_type null", m, cfg(model_type=null), ["model_type"]),
    ("model_type number", m, cfg(model_type=7), ["model_type"]),
    ("unsupported type", m, cfg(model_type="mamba", architectures=["MambaForCausalLM"]), ["mamba", "distilbert", "bert"]),
    ("long type", m, cfg(model_type="x" * 100000), ["model_type"]),
    ("unsupported architecture", m, cfg(architectures=["DistilBertForQuestionAnswering"]), ["DistilBertForQuestionAnswering", "DistilBertForSequenceClassification"]),
    ("architectures a string", m, cfg(architectures="DistilBertForSequenceClassification"), ["architectures"]),
    ("architectures of numbers", m, cfg(architectures=[1]), ["architectures"]),
    ("unsupported activation", m, cfg(activation="mish"), ["activation", "mish", "gelu"]),
    ("activation a number", m, cfg(activation=3), ["activation"]),
    ("bert: unsupported activation", "bert-f32", cfg(hidden_act="mish"), ["mish", "gelu"]),
    ("bert: relative positions", "bert-f32", cfg(position_embedding_type="relative_key"), ["position_embedding_type", "relative_key"]),
    ("bert: decoder", "bert-f32", cfg(is_decoder=True), ["is_decoder"]),
    ("unsupported problem_type", m, cfg(problem_type="ranking"), ["problem_type", "ranking"]),
]
P
}

@test "config.json: absurd numbers in every place" {
    hostile <<'P'
values = {"0": 0, "-1": -1, "2^31": 2**31, "2^53+1": 2**53 + 1, "2^63": 2**63, "2^64": 2**64, "1e30": raw("1e30"), "1e400": raw("1e400"),
          "1.5": 1.5, "null": null, "string": "8", "true": True, "array": [8], "absent": None}
distil = ["vocab_size", "max_position_embeddings", "n_layers", "n_heads", "dim", "hidden_dim"]
bert = ["vocab_size", "max_position_embeddings", "num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size", "type_vocab_size"]
cases = [("distilbert %s = %s" % (k, n), "distilbert-f32", cfg(**{k: v}), [""]) for k in distil for n, v in values.items()]
cases += [("bert %s = %s" % (k, n), "bert-f32", cfg(**{k: v}), [""]) for k in bert for n, v in values.items()]
for n, v in values.items():
    if n in ("absent", "null", "0", "true"): continue
    if n not in ("2^31", "2^53+1", "2^63", "2^64", "1e30", "1.5"):
        cases.append(("bert layer_norm_eps = %s" % n, "bert-f32", cfg(layer_norm_eps=v), ["layer_norm_eps"]))
# Sizes that have a default in transformers may be left out where the weights agree with it; the others are named.
named = {"0", "-1", "2^63", "1e30", "1e400", "1.5", "string", "array"}
cases = [(a, m, e, [a.split()[1]] if a.split(" = ")[1] in named else w) for a, m, e, w in cases]
defaults = ("bert type_vocab_size = null", "bert type_vocab_size = absent")
cases = [(a, m, e, None if a in defaults else w) for a, m, e, w in cases]
cases += [("a billion layers", "distilbert-f32", cfg(n_layers=10**9), ["layer"]),
          ("a billion layers (bert)", "bert-f32", cfg(num_hidden_layers=10**9), ["layer"]),
          ("one layer more than there is", "distilbert-f32", cfg(n_layers=3), ["transformer.layer.2"]),
          ("heads that do not divide", "distilbert-f32", cfg(n_heads=5), ["n_heads"])]
P
}

@test "labels: missing, out of order, of the wrong type" {
    hostile <<'P'
m = "distilbert-f32"
cases = [
    ("as an array", m, cfg(id2label=["a", "b"]), ["id2label"]),
    ("as a string", m, cfg(id2label="x"), ["id2label"]),
    ("a label that is a number", m, cfg(id2label={"0": 1, "1": "b"}), ["id2label"]),
    ("an id that is no number", m, cfg(id2label={"0": "a", "x": "b"}), ["id2label"]),
    ("a hole", m, cfg(id2label={"0": "a", "7": "b"}), ["id2label"]),
    ("a negative id", m, cfg(id2label={"0": "a", "-1": "b"}), ["id2label"]),
    ("one more than the head gives", m, cfg(id2label={"0": "a", "1": "b", "2": "c"}), ["classifier"]),
    ("num_labels says otherwise", m, cfg(id2label=None, label2id=None, num_labels=5), ["classifier"]),
]
P
}

@test "weights that contradict the config: the tensor, found and expected" {
    hostile <<'P'
m = "distilbert-f32"
W, B = "classifier.weight", "classifier.bias"
def shape(name, s):
    def change(t):
        n = 4
        for d in s: n *= d
        t[name] = ["F32", s, b"\0" * n]
    return tensors(change)
def without(name): return tensors(lambda t: t.pop(name))
def dtype(name, dt): return tensors(lambda t: t.__setitem__(name, [dt, t[name][1], t[name][2]]))
cases = [
    ("wrong shape", m, shape(W, [2, 65]), [W, "[2,65]", "[2,64]"]),
    ("transposed", m, shape(W, [64, 2]), [W, "[64,2]", "[2,64]"]),
    ("wrong rank", m, shape(B, [1, 2]), [B, "[1,2]", "[2]"]),
    ("scalar", m, shape(B, []), [B]),
    ("empty", m, shape(B, [0]), [B, "[0]"]),
    ("missing head", m, without(W), [W]),
    ("missing layer", m, without("distilbert.transformer.layer.1.ffn.lin1.weight"), ["distilbert.transformer.layer.1.ffn.lin1.weight"]),
    ("missing embeddings", m, without("distilbert.embeddings.word_embeddings.weight"), ["word_embeddings.weight"]),
    ("integers", m, dtype(W, "I32"), [W, "I32"]),
    ("no tensors", m, tensors(lambda t: t.clear()), [""]),
    ("missing in bert", "bert-f32", without("bert.pooler.dense.weight"), ["bert.pooler.dense.weight"]),
    ("missing bias in bert", "bert-f32", without("bert.encoder.layer.0.attention.self.query.bias"), ["query.bias"]),
]
P
}

@test "tensors that the model does not use are refused by name" {
    tiny m
    /usr/bin/python3 - <<'P'
import json, struct
b = open("m/model.safetensors", "rb").read()
n, = struct.unpack("<Q", b[:8])
h = json.loads(b[8:8 + n])
end = max(v["data_offsets"][1] for k, v in h.items() if k != "__metadata__")
h["surplus.weight"] = {"dtype": "F32", "shape": [1], "data_offsets": [end, end + 4]}
s = json.dumps(h).encode()
open("m/model.safetensors", "wb").write(struct.pack("<Q", len(s)) + s + b[8 + n:] + b"\0\0\0\0")
P
    run_split "$PITH" classify -m m x
    fails 1 "surplus.weight"
}

@test "something else in place of the weights" {
    hostile <<'P'
m, f = "distilbert-f32", "model.safetensors"
def only(name, b):
    def edit(d):
        os.remove(d + "/" + f)
        open(d + "/" + name, "wb").write(b)
    return edit
whole = open(golden + m + "/" + f, "rb").read()
cases = [
    ("none", m, remove(f), ["safetensors"]),
    ("empty", m, weights_bytes(b""), [f]),
    ("LFS pointer", m, weights_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 268000000\n"), [f, "lfs"]),
    ("HTML", m, weights_bytes(b"<!DOCTYPE html><html><body>404</body></html>"), [f, "HTML"]),
    ("GGUF", m, weights_bytes(b"GGUF\3\0\0\0" + b"\0" * 100), [f, "GGUF"]),
    ("pickle", m, weights_bytes(b"\x80\x02}q\0X\1\0\0\0a" + b"\0" * 100), [f, "pickle"]),
    ("PyTorch zip", m, weights_bytes(b"PK\x03\x04" + b"\0" * 100), [f, "zip"]),
    ("PyTorch file alone", m, only("pytorch_model.bin", b"PK\x03\x04" + b"\0" * 100), ["safetensors"]),
    ("truncated", m, weights_bytes(whole[:len(whole) // 2]), [f, "truncated"]),
    ("one byte short", m, weights_bytes(whole[:-1]), [f]),
    ("one byte long", m, weights_bytes(whole + b"\0"), [f]),
    ("header length 2^63", m, weights_bytes(struct.pack("<Q", 2**63) + whole[8:]), [f]),
    ("random", m, weights_bytes(bytes((i * 197 + 13) % 256 for i in range(4096))), [f]),
    ("a folder", m, lambda d: (os.remove(d + "/" + f), os.mkdir(d + "/" + f)), [f]),
    ("shards without an index", "distilbert-sharded", remove("model.safetensors.index.json"), ["safetensors"]),
    ("a missing shard", "distilbert-sharded", lambda d: os.remove(d + "/" + sorted(x for x in os.listdir(d) if x.startswith("model-"))[1]), ["model-"]),
]
P
}

@test "a tokenizer that is broken or has parts that are not supported is refused by name" {
    tiny m
    try() { # Python edit of j, message
        cp -r m t
        /usr/bin/python3 -c "
import json
j = json.load(open('t/tokenizer.json'))
$1
json.dump(j, open('t/tokenizer.json', 'w'))"
        run_split "$PITH" classify -m t x
        rm -r t
        fails 1 "$2"
    }
    try "j['model']['type'] = 'Unigramme'" "Unigramme"
    try "j['normalizer']['type'] = 'Nmt'" "Nmt"
    try "j['pre_tokenizer']['type'] = 'Telepathy'" "Telepathy"
    try "j['post_processor']['type'] = 'X'" "post_processor"
    try "j['model']['vocab'] = []" "vocab"
    try "j['model']['vocab']['x'] = -1" "vocab"
    try "j['model']['vocab']['x'] = 1e30" "vocab"
    try "del j['model']" "tokenizer.json"
    try "j = []" "tokenizer.json"
    cp -r m t; echo '{"version": ' >t/tokenizer.json
    run_split "$PITH" classify -m t x; fails 1 "tokenizer.json"
}
