"""bounds_files.py FOLDER: hostile files, each in a folder NAME with a file `run`: the words of the verb, one a line, and
how it ends (refused, accepted, or either) in `end`. See bounds.sh."""
import io, json, os, shutil, struct, sys, zipfile, zlib

out = sys.argv[1]
golden, bundled = "tests/golden/models/", "models/bundled/"
TOKENS = ("tokenize", "-q", "-m", ".", "a good film")
LOGITS = ("logits", "-q", "-m", ".", "--ids", "1,2", "--hash")
TEMPLATE = ("template", "-m", ".", "messages.json")

def case(name, files, run, end="refused", base=None):
    d = out + "/" + name
    if base: shutil.copytree(base, d)
    else: os.makedirs(d)
    for f, body in files.items():
        path = d + "/" + f
        if os.path.exists(path): os.remove(path)
        with open(path, "wb") as o: o.write(body if isinstance(body, bytes) else body.encode())
    for f, body in (("run", "\n".join(run)), ("end", end)):
        with open(d + "/" + f, "w") as o: o.write(body)

def st(header, data=b"\0" * 64):
    return struct.pack("<Q", len(header)) + header + data
def edit(path, change):
    with open(path) as f: x = json.load(f)
    change(x)
    return json.dumps(x)
deep = "[" * 100000 + "]" * 100000
deep_map = '{"a":' * 100000 + "1" + "}" * 100000

# safetensors: claims, counts, nesting
inspect = ("inspect", "-q", "x.safetensors")
case("header claims 100 MB", {"x.safetensors": struct.pack("<Q", 100000000) + b"{"}, inspect)
case("header claims 8 EB", {"x.safetensors": struct.pack("<Q", 1 << 63) + b"{}"}, inspect)
entry = '"model.layers.%d.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
case("300,000 tensors on the same bytes", {"x.safetensors": st(("{" + ",".join(entry % i for i in range(300000)) + "}").encode())}, inspect)
case("a million tensors of nothing", {"x.safetensors": st(("{" + ",".join('"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}' % i for i in range(1000000)) + "}").encode(), b"!")}, inspect)
case("the same name 300,000 times", {"x.safetensors": st(("{" + ",".join([entry % 1] * 300000) + "}").encode())}, inspect)
case("a shape of a million ones", {"x.safetensors": st(('{"a":{"dtype":"F32","shape":[' + ",".join("1" * 1000000) + '],"data_offsets":[0,4]}}').encode())}, inspect, "either")
case("a header 100,000 deep", {"x.safetensors": st(deep_map.encode())}, inspect)
# Folders of models
m = golden + "llama-odd"
for f in ("config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json"):
    verb = TOKENS if "tokenizer" in f else LOGITS if f == "config.json" else ("generate", "-q", "-m", ".", "-n", "1", "a")
    base = m if f == "config.json" else bundled + "reviews"
    case(f + " 100,000 deep", {f: deep}, verb, base=base)
    case(f + " 100,000 objects deep", {f: deep_map}, verb, base=base)
    case(f + " of a million members", {f: "{" + ",".join('"k%d":%d' % (i, i) for i in range(1000000)) + "}"}, verb, "either", base)
for key in ("hidden_size", "num_hidden_layers", "vocab_size", "max_position_embeddings", "intermediate_size", "num_attention_heads"):
    for n in (10**9, 2**31 - 1, 2**63 - 1):
        case("%s %d" % (key, n), {"config.json": edit(m + "/config.json", lambda x: x.update({key: n}))}, LOGITS, "either", m)
s = golden + "mistral-swa-bf16-sharded"
case("an index of a million entries", {"model.safetensors.index.json": json.dumps({"weight_map": {"t%d" % i: "model-%d.safetensors" % i for i in range(1000000)}})}, LOGITS, base=s)
case("an index 100,000 deep", {"model.safetensors.index.json": '{"weight_map":' + deep_map + "}"}, LOGITS, base=s)
# Tokenizers
for kind in ("sentiment", "reviews"):
    t = bundled + kind + "/tokenizer.json"
    def tok(name, change, end="refused", text="a good film"):
        case("%s: %s" % (kind, name), {"tokenizer.json": edit(t, change)}, TOKENS[:4] + (text,), end, bundled + kind)
    for n in (2**32 + 1, 10**15):
        tok("vocab id %d" % n, lambda x: x["model"]["vocab"].update({"zzz": n}))
        tok("added id %d" % n, lambda x: x["added_tokens"].append(dict(x["added_tokens"][0], id=n, content="<zzz>")), "either")
    tok("max_input_chars_per_word", lambda x: x["model"].update(max_input_chars_per_word=10**15), "either")
    tok("200,000 added tokens", lambda x: x["added_tokens"].extend(dict(x["added_tokens"][0], id=100000 + i, content="<z%d>" % i) for i in range(200000)), "either")
    tok("normalizers nested", lambda x: None, "accepted")
    for pattern in ("(a+)+$", "(((a{1000}){1000}){1000})", "(" * 20000 + ")" * 20000, "(?:a|a)*b", "a{65535}{65535}"):
        tok("pattern " + pattern[:12].replace("/", ""), lambda x: x.update(pre_tokenizer={"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}), "either", "a" * 5000 + "!")
    nested = {"type": "Lowercase"}
    for i in range(400): nested = {"type": "Sequence", "normalizers": [nested]}
    tok("400 sequences in each other", lambda x: x.update(normalizer=nested), "either")
    tok("replace that doubles", lambda x: x.update(normalizer={"type": "Sequence", "normalizers": [{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}] * 60}))
    tok("prepend of a megabyte, 50 times", lambda x: x.update(normalizer={"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "x" * 1000000}] * 50}))
# Templates
for name, t in (("text", "{{ 'x' * 1000000000 }}"), ("range", "{% for a in range(10**18) %}x{% endfor %}"), ("list", "{{ [1] * 1000000000 }}"),
                ("loops", "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{{ c }}{% endfor %}{% endfor %}{% endfor %}"),
                ("doubling", "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}"),
                ("macros", "{% macro f(n) %}{{ f(n + 1) }}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}"), ("brackets", "{{ " + "(" * 100000 + ")" * 100000 + " }}"),
                ("ifs", "{% if 1 %}" * 100000), ("power", "{{ 9 ** 9 ** 9 ** 9 }}"), ("replace", "{{ ('a' * 100000).replace('a', 'b' * 100000) }}"),
                ("nots", "{{ " + "not " * 200000 + "1 }}"), ("filters", "{{ 1" + "|string" * 200000 + " }}"), ("join", "{{ (['x' * 100000] * 100000) | join }}")):
    case("template: " + name, {"tokenizer_config.json": json.dumps({"chat_template": t}), "messages.json": '[{"role":"user","content":"hi"}]'}, TEMPLATE,
         "either" if name in ("filters", "nots") else "refused", bundled + "reviews")
case("messages 100,000 deep", {"tokenizer_config.json": json.dumps({"chat_template": "{{ messages }}"}), "messages.json": deep}, TEMPLATE, base=bundled + "reviews")
# Checkpoints
def archive(pickle, data=b"\0" * 64, method=zipfile.ZIP_STORED):
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w", method) as z:
        z.writestr("archive/data.pkl", pickle)
        z.writestr("archive/data/0", data)
        z.writestr("archive/version", "3\n")
    return b.getvalue()
def pickled(name, p, end="refused", **how):
    case("checkpoint: " + name, {"x.bin": archive(p, **how)}, ("inspect", "-q", "--stats", "x.bin"), end)
pickled("deflated zeros", b"\x80\x02" + b"N" * 100000000 + b".", method=zipfile.ZIP_DEFLATED)
pickled("deflated data", b"\x80\x02}.", data=b"\0" * 100000000, method=zipfile.ZIP_DEFLATED, end="either")
laughs = b"\x80\x02]q\0(" + b"NNNNNNNNNN" + b"e"
for i in range(1, 60): laughs += b"]q" + bytes([i]) + b"(" + (b"h" + bytes([i - 1])) * 10 + b"e"
pickled("lists of lists of lists", laughs + b".")
pickled("memo at 2^32", b"\x80\x02]r\xff\xff\xff\xff.")
pickled("memo of a million", b"\x80\x02]" + b"".join(b"r" + struct.pack("<I", i * 4000) for i in range(1000000)) + b".")
pickled("text claims 4 GB", b"\x80\x02X\xff\xff\xff\xffabc.")
pickled("text claims 8 EB", b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7fabc.")
pickled("an integer of a megabyte", b"\x80\x02\x8b" + struct.pack("<i", 1 << 20) + b"\x7f" * (1 << 20) + b".")
pickled("a million marks", b"\x80\x02" + b"(" * 1000000 + b"t" * 1000000 + b".")
pickled("a tuple 300,000 deep", b"\x80\x02N" + b"\x85" * 300000 + b".")
case("checkpoint: a directory of 65,535 claims", {"x.bin": b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, 0xfffffff0, 0, 0)}, ("inspect", "-q", "x.bin"))
# Rows
CLASSIFY = ("classify", "-q", "-m", "sentiment", "-t", "1", "-f")
case("csv: a field of 100 MB that does not end", {"x.csv": b'text\n"' + b"a" * 100000000}, CLASSIFY + ("x.csv",))
case("jsonl: a text of 100 MB that does not end", {"x.jsonl": b'{"text":"' + b"a" * 100000000}, CLASSIFY + ("x.jsonl",))
case("jsonl: 100,000 deep", {"x.jsonl": '{"text":' + deep + "}\n"}, CLASSIFY + ("x.jsonl",))
case("csv: a million columns", {"x.csv": ",".join("c%d" % i for i in range(1000000)) + "\n" + "," * 999998 + "\n"}, CLASSIFY + ("x.csv", "--column", "c5"))
case("ids: ten million", {"ids.jsonl": "[" + "1," * 10000000 + "1]\n"}, ("logits", "-q", "-m", os.path.abspath(m), "--ids-file", "ids.jsonl", "--hash"))
case("ids: 100,000 deep", {"ids.jsonl": deep + "\n"}, ("logits", "-q", "-m", os.path.abspath(m), "--ids-file", "ids.jsonl", "--hash"))
