# pith convert: what it writes, what comes along, what it refuses.
setup() {
    load cli
    mkdir "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work"
}

# What python reads of a safetensors file: t[name] = (dtype, shape, bytes), meta.
READ='
import json, struct, os
def st(path):
    b = open(path, "rb").read()
    n, = struct.unpack("<Q", b[:8])
    h = json.loads(b[8:8 + n])
    meta = h.pop("__metadata__", {})
    return {k: (v["dtype"], v["shape"], b[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]]) for k, v in h.items()}, meta
def model(d):
    out = {}
    for f in sorted(os.listdir(d)):
        if f.endswith(".safetensors"):
            t, meta = st(d + "/" + f)
            assert not set(t) & set(out)
            out.update(t)
    return out
def put(path, tensors, meta=None):
    h, at, data = {}, 0, b""
    if meta: h["__metadata__"] = meta
    for k, (d, s, b) in tensors.items():
        h[k] = {"dtype": d, "shape": s, "data_offsets": [at, at + len(b)]}
        at += len(b); data += b
    h = json.dumps(h).encode()
    open(path, "wb").write(struct.pack("<Q", len(h)) + h + data)
'

hash_of() { "$PITH" logits -q -m "$1" --ids 1,2,3,4 --hash; }

# No temporary folder in the current directory.
clean() { [ -z "$(find . -name '.pith-*')" ] || { find . -name '.pith-*'; return 1; }; }

@test "every golden model: split and merged it has the same tensors and the same logits" {
    n=0
    for m in "$GOLDEN"/models/*; do
        rm -rf parts whole
        "$PITH" convert -q "$m" parts --max-shard-size 20KB >out
        grep -q '^compared every tensor' out
        "$PITH" convert -q parts whole --max-shard-size all >out
        [ "$(hash_of "$m")" = "$(hash_of parts)" ]
        [ "$(hash_of "$m")" = "$(hash_of whole)" ]
        [ -e whole/model.safetensors ]
        [ ! -e whole/model.safetensors.index.json ]
        cmp "$m/config.json" parts/config.json
        /usr/bin/python3 -c "$READ"'
import sys
a, b, c = model(sys.argv[1]), model("parts"), model("whole")
assert a == b == c and a
text = open("parts/model.safetensors.index.json").read()
x = json.loads(text)
assert text == json.dumps(x, indent=2, sort_keys=True) + "\n"
assert x["metadata"] == {"total_size": sum(len(v[2]) for v in a.values())}
where = {}
files = sorted(f for f in os.listdir("parts") if f.endswith(".safetensors"))
for i, f in enumerate(files):
    assert f == "model-%05d-of-%05d.safetensors" % (i + 1, len(files)), f
    t, meta = st("parts/" + f)
    size = sum(len(v[2]) for v in t.values())
    assert size <= 20000 or len(t) == 1, (f, size)
    where.update({k: f for k in t})
assert x["weight_map"] == where' "$m"
        n=$((n + 1))
    done
    [ $n -gt 15 ]
    clean
}

@test "stories3M in three bfloat16 files merges into one; F32 of it computes the same" {
    need models/stories3M-bf16-sharded
    m=$SHARED/models/stories3M-bf16-sharded
    "$PITH" convert "$m" one
    [ "$(ls one | tr '\n' ' ')" = "config.json generation_config.json model.safetensors special_tokens_map.json tokenizer.json tokenizer_config.json " ]
    "$PITH" convert "$m" wide --dtype f32
    "$PITH" convert wide back --dtype bf16
    [ "$(hash_of "$m")" = "$(hash_of one)" ]
    [ "$(hash_of "$m")" = "$(hash_of wide)" ]
    cmp one/model.safetensors back/model.safetensors
    diff "$m/config.json" wide/config.json >d || true
    [ "$(grep -c '^[<>]' d)" = 2 ]
    grep -q '^> .*"torch_dtype": "float32"' d
    cmp "$m/config.json" back/config.json
    a=$("$PITH" generate -m "$m" "Once upon a time" -n 20 --temp 0)
    [ "$a" = "$("$PITH" generate -m wide "Once upon a time" -n 20 --temp 0)" ]
}

@test "--dtype: what numpy gives, for values of every kind; other types stay" {
    /usr/bin/python3 -c 'import numpy' 2>/dev/null || { echo "# skip: no numpy"; skip "no numpy"; }
    /usr/bin/python3 -c "$READ"'
import numpy as np
r = np.random.default_rng(5)
f = np.concatenate([r.standard_normal(3000000), r.standard_normal(1000) * 1e-7, [0, -0.0, 65504, -65504, 65519, 6e-8, 2.0 ** -24, 2.0 ** -25, 1 + 2.0 ** -11, 1 + 3 * 2.0 ** -11]]).astype("<f4")
d = f[:1000].astype("<f8")
h = f[:999].astype("<f2")
put("x.safetensors", {"w": ("F32", [len(f)], f.tobytes()), "d": ("F64", [10, 100], d.tobytes()), "h": ("F16", [999], h.tobytes()),
    "i": ("I64", [2], bytes(16)), "b": ("BOOL", [3], b"\0\1\1"), "f8": ("F8_E4M3", [5], b"12345"), "f4": ("F4", [4, 2], b"abcd"), "none": ("F32", [0, 4], b""), "one": ("F32", [], f[:1].tobytes())},
    {"who": "me"})'
    "$PITH" convert x.safetensors h.safetensors --dtype f16 >out
    "$PITH" convert x.safetensors f.safetensors --dtype f32
    "$PITH" convert x.safetensors b.safetensors --dtype bf16
    "$PITH" convert x.safetensors k.safetensors
    /usr/bin/python3 -c "$READ"'
import numpy as np
x, meta = st("x.safetensors")
assert st("k.safetensors") == (x, meta) and meta == {"who": "me"}
src = {"w": "<f4", "d": "<f8", "h": "<f2", "none": "<f4", "one": "<f4"}
def bf16(v): # of float32
    u = v.astype("<f4").view("<u4").astype(np.uint64)
    return ((u + 0x7fff + (u >> 16 & 1)) >> 16).astype("<u2").tobytes()
for file, dtype, cast in (("h", "F16", lambda v: v.astype("<f2").tobytes()), ("f", "F32", lambda v: v.astype("<f4").tobytes()), ("b", "BF16", bf16)):
    y, m = st(file + ".safetensors")
    assert set(y) == set(x) and m == meta
    for k in x:
        if k not in src: assert y[k] == x[k], k; continue
        v = np.frombuffer(x[k][2], src[k])
        if k == "d": v = v.astype("<f4") # the values are F32 values: rounded once
        assert y[k][:2] == (dtype, x[k][1]) and y[k][2] == cast(v), (file, k)'
    grep -q '^read .*F32 3, F64 1, F16 1, I64 1' out || { cat out; false; }
}

@test "--dtype on a model: the logits are those of the rounded weights, config.json follows" {
    m=$GOLDEN/models/distilbert-f32
    "$PITH" convert "$m" h --dtype f16
    "$PITH" convert h w --dtype f32
    [ "$(hash_of h)" = "$(hash_of w)" ]
    [ "$(hash_of h)" != "$(hash_of "$m")" ]
    sed -E 's/("(torch_)?dtype": *)"float32"/\1"float16"/' "$m/config.json" | cmp - h/config.json
    cmp w/config.json "$m/config.json"
    "$PITH" inspect h | grep -q '^total'
    if "$PITH" inspect h | grep -q F32; then false; fi
}

@test "values beyond F16: an error with tensor and count, or infinities on demand" {
    /usr/bin/python3 -c "$READ"'
put("x.safetensors", {"ok": ("F32", [2], struct.pack("<2f", 1, 2)), "w.big": ("F32", [5], struct.pack("<5f", 1e6, float("inf"), -7e4, 65519, float("nan")))})'
    run_split "$PITH" convert x.safetensors y.safetensors --dtype f16
    fails 1 "w.big: 2 of 5 finite values become infinite as F16"
    [[ $error == *--allow-overflow* ]]
    [ ! -e y.safetensors ]
    clean
    run_split "$PITH" convert x.safetensors y.safetensors --dtype f16 --allow-overflow
    [ "$status" = 0 ]
    [[ $error == *"w.big: 2 values became infinite as F16"* ]]
    "$PITH" convert x.safetensors z.safetensors --dtype bf16 2>err
    [ ! -s err ]
    output=$("$PITH" convert x.safetensors y.safetensors --dtype f16 --allow-overflow --force --json -q)
    py 'assert rows[0]["overflow"] == {"w.big": 2} and rows[0]["target"]["dtypes"] == {"F16": {"tensors": 2, "bytes": 14}}'
}

@test "--include, --exclude, --rename, --metadata" {
    m=$GOLDEN/models/bert-f32
    "$PITH" convert "$m" x.safetensors --include 'bert.*' --exclude '*.bias' --exclude '*.LayerNorm.*' --rename 'bert.*=*' --rename '*.layer.*=*.block.*' \
        --metadata author=me --metadata 'note=a=b c' --metadata format=np >out
    grep -q '^left out' out
    /usr/bin/python3 -c "$READ"'
import sys
a = model(sys.argv[1]); b, meta = st("x.safetensors")
want = {k[5:].replace(".layer.", ".block.", 1): v for k, v in a.items() if k.startswith("bert.") and not k.endswith(".bias") and ".LayerNorm." not in k}
assert b == want and want, set(b) ^ set(want)
assert meta == {"format": "np", "author": "me", "note": "a=b c"}, meta' "$m"
    "$PITH" convert x.safetensors y.safetensors --metadata note= --metadata author=you -q
    [ "$("$PITH" inspect y.safetensors | grep '^metadata' | tr '\n' ';')" = "metadata  format = np;metadata  author = you;" ]
    # Rules go one after the other, on what the one before made.
    "$PITH" convert y.safetensors z.safetensors --rename '*.block.*=*.a.*' --rename '*.a.*=*.b.*' -q
    "$PITH" inspect z.safetensors | grep -q 'encoder.b.0.'
}

@test "what makes no sense is refused before anything is written" {
    m=$GOLDEN/models/bert-f32
    x() { want=$1 pattern=$2; shift 2; run_split "$PITH" convert "$@"; fails "$want" "$pattern" && clean && [ ! -e out ] && [ ! -e out.safetensors ]; }
    x 2 "no SRC and DST"
    x 2 "no DST" "$m"
    x 2 "one too many" "$m" out more
    x 2 "max-shard-size: '5XB' is not a size" "$m" out --max-shard-size 5XB
    x 2 "dtype: 'f8' is none of" "$m" out --dtype f8
    x 2 "--rename: 'a' is not OLD=NEW" "$m" out --rename a
    x 2 "has 1 * before the = and 0 after" "$m" out --rename 'a*=b'
    x 2 "is not KEY=VALUE" "$m" out --metadata a
    x 1 "nothing" nothing out
    x 1 "--include 'bert.layers.*' matches none of the" "$m" out --include 'bert.layers.*'
    x 1 "--exclude 'cls.*' matches none of the" "$m" out --exclude 'cls.*'
    x 1 "--rename 'bert=b' matches no tensor" "$m" out --rename 'bert=b'
    x 1 "leave no tensor to write" "$m" out --exclude '*'
    x 1 "classifier.weight and classifier.bias would both be named c" "$m" out.safetensors --rename 'classifier.bias=c' --rename 'classifier.weight=c'
    x 1 "would both be named bert.pooler.dense.bias" "$m" out --rename 'classifier.bias=bert.pooler.dense.bias'
    x 1 "leaves classifier.bias without a name" "$m" out --rename 'classifier.bias*=*'
    x 1 "removes a key that is not there" "$m" out --metadata nobody=
    x 1 "is one file, and --max-shard-size makes several" "$m" out.safetensors --max-shard-size 1MB
    x 1 "is safetensors, and --key is about PyTorch" "$m" out --key model
    x 1 "no/out: the folder it should lie in: No such file" "$m" no/out
    x 1 "DST is empty" "$m" ""
    x 1 "cannot be replaced" "$m" / --force
    x 1 "out/model.safetensors: a tensor cannot be named __metadata__" "$m" out --rename 'classifier.bias=__metadata__'
    : >plain
    x 1 "plain: is a file, and the name does not end in .safetensors" "$m" plain
    [ ! -s plain ]
    ln -s nowhere link
    x 1 "link: cannot follow" "$m" link
    head -c 1000 "$m/model.safetensors" >cut.safetensors
    x 1 "cut.safetensors" cut.safetensors out.safetensors
    x 1 "convert: out.safetensors: a tensor cannot be named __metadata__" "$m" out.safetensors --rename 'classifier.bias=__metadata__'
    mkdir bad; cp "$m/model.safetensors" bad; echo '{"torch_dtype": ' >bad/config.json
    x 1 "bad/config.json" bad out --dtype f16
}

@test "an existing target: refused without --force, before any work; then replaced whole" {
    m=$GOLDEN/models/bert-f32
    "$PITH" convert -q "$m" d
    "$PITH" convert -q "$m" f.safetensors
    chmod 640 f.safetensors; chmod 750 d
    run_split "$PITH" convert nothing d; fails 1 "d: exists already and is not empty; --force"
    run_split "$PITH" convert nothing f.safetensors; fails 1 "f.safetensors: exists already; --force"
    "$PITH" convert -q "$m" f.safetensors --dtype f16 --force
    "$PITH" convert -q "$m" d/ --dtype bf16 --max-shard-size 50KB --force
    [ ! -e d/model.safetensors ]
    [ -e d/model.safetensors.index.json ]
    [ "$(stat -c %a d f.safetensors | tr '\n' ' ')" = "750 640 " ]
    "$PITH" inspect d | grep -q BF16
    "$PITH" inspect f.safetensors | grep -q F16
    # An empty directory is taken; a link stays a link; . is a directory like others.
    mkdir empty target; ln -s target link
    "$PITH" convert -q "$m" empty
    "$PITH" convert -q "$m" link
    [ -L link ]
    [ -e target/model.safetensors ]
    ln -s f.safetensors l.safetensors
    "$PITH" convert -q "$m" l.safetensors --force
    [ -L l.safetensors ]
    "$PITH" inspect f.safetensors | grep -q F32
    umask 027; "$PITH" convert -q "$m" new; [ "$(stat -c %a new new/config.json new/model.safetensors | tr '\n' ' ')" = "750 640 640 " ]
    clean
}

@test "--force does not replace what is more than a model" {
    m=$GOLDEN/models/bert-f32
    x() { run_split "$PITH" convert "$m" d --force; fails 1 "$1" && clean; }
    "$PITH" convert -q "$m" d
    for thing in notes.txt thesis.pdf data.json script.py .bashrc; do
        echo mine >"d/$thing"
        x "d: holds $thing, which is no part of a model"
        [ "$(cat "d/$thing")" = mine ]
        rm "d/$thing"
    done
    mkdir d/.git; x "holds .git"; rmdir d/.git
    mkdir d/photos; x "holds photos"; rmdir d/photos
    mkdir -p d/1_Pooling/deeper; x "holds deeper"; rmdir d/1_Pooling/deeper
    mkfifo d/vocab.txt; x "holds vocab.txt"; rm d/vocab.txt
    echo mine >d/1_Pooling/config.json
    "$PITH" convert -q "$m" d --force
    [ ! -e d/1_Pooling ]
    rm d/*; echo text >d/README.md
    x "d: holds no model"
    [ "$(cat d/README.md)" = text ]
    # What the source brings again may be replaced, whatever it is.
    cp -r "$m" own; echo 1 >own/train.xyz
    "$PITH" convert -q own e
    "$PITH" convert -q own e --force
    run_split "$PITH" convert "$m" e --force; fails 1 "holds train.xyz"
}

@test "SRC and DST in each other: in place with --force, never a source that would vanish" {
    m=$GOLDEN/models/bert-f32
    cp -r "$m" d; chmod -R u+w d
    run_split "$PITH" convert d d; fails 1 "--force"
    "$PITH" convert -q d d --dtype bf16 --force
    "$PITH" inspect d | grep -q BF16
    before=$(hash_of d)
    "$PITH" convert -q d/model.safetensors d/model.safetensors --dtype f32 --force
    [ "$(hash_of d)" = "$before" ]
    (cd d; "$PITH" convert -q . . --force)
    [ "$(hash_of d)" = "$before" ]
    run_split "$PITH" convert d/model.safetensors d --force; fails 1 "lies in d, which would be replaced"
    run_split "$PITH" convert d/../d/model.safetensors ./d/ --force; fails 1 "would be replaced"
    "$PITH" convert -q d d/inner
    [ "$(hash_of d/inner)" = "$before" ]
    clean
}

@test "what comes along: everything but weights, hidden files and foreign folders; links only within" {
    mkdir -p cache/models--x/{blobs,snapshots/rev/1_Pooling,snapshots/rev/onnx,snapshots/rev/additional_chat_templates}
    s=cache/models--x/snapshots/rev
    for f in config.json model.safetensors; do
        cp "$GOLDEN/models/bert-f32/$f" "cache/models--x/blobs/$f-blob"
        ln -s "../../blobs/$f-blob" "$s/$f"
    done
    for f in tokenizer.json tokenizer_config.json vocab.txt merges.txt tokenizer.model special_tokens_map.json added_tokens.json chat_template.jinja README.md \
             LICENSE modules.json "odd name.txt" generation_config.json 1_Pooling/config.json 1_Pooling/model.safetensors additional_chat_templates/x.jinja; do
        echo "$f" >"$s/$f"
    done
    for f in .gitattributes flax_model.msgpack tf_model.h5 training_args.bin optimizer.pt rust_model.ot model.onnx pytorch_model.bin.index.json onnx/model.onnx; do echo x >"$s/$f"; done
    echo 1 >cache/models--x/blobs/pool; ln -s ../../../blobs/pool "$s/1_Pooling/more.json"
    run_split "$PITH" convert "$s" out
    [ "$status" = 0 ]
    [[ $error == *"onnx is not taken along"* ]]
    diff <(cd out; find . -type f | sort) - <<'L'
./1_Pooling/config.json
./1_Pooling/model.safetensors
./1_Pooling/more.json
./LICENSE
./README.md
./added_tokens.json
./additional_chat_templates/x.jinja
./chat_template.jinja
./config.json
./generation_config.json
./merges.txt
./model.safetensors
./modules.json
./odd name.txt
./special_tokens_map.json
./tokenizer.json
./tokenizer.model
./tokenizer_config.json
./vocab.txt
L
    [ -z "$(find out -type l)" ]
    for f in 1_Pooling/model.safetensors 1_Pooling/more.json README.md config.json; do cmp "$s/$f" "out/$f"; done
    # To a file, or from one: the weights alone.
    "$PITH" convert -q "$s/model.safetensors" alone
    [ "$(ls alone)" = model.safetensors ]
    # A link that leads out is refused, whatever it is called.
    echo secret >secret; ln -s "$PWD/secret" "$s/NOTICE"
    run_split "$PITH" convert "$s" out2; fails 1 "NOTICE: a link out of the model's directory"
    [ ! -e out2 ]
    rm "$s/NOTICE"; ln -s nothing "$s/NOTICE"
    run_split "$PITH" convert "$s" out2; fails 1 "NOTICE: a link that leads nowhere"
    rm "$s/NOTICE"; ln -s /etc "$s/2_etc"; mkfifo "$s/pipe"
    run_split "$PITH" convert "$s" out3
    [ "$status" = 0 ]
    [[ $error == *"2_etc is not taken along"*"pipe is not taken along"* ]]
    [ ! -e out3/2_etc ]
    clean
}

@test "--json tells what was done; notes are silent under -q" {
    output=$("$PITH" convert --json "$GOLDEN/models/bert-bf16-sharded" out --dtype f32 --exclude 'classifier.*' | tr -d '\n')
    py 'r, = rows
assert r["source"]["files"] == 2 and r["source"]["format"] == "safetensors" and list(r["source"]["dtypes"]) == ["BF16"]
assert r["target"]["files"] == 1 and list(r["target"]["dtypes"]) == ["F32"] and r["target"]["path"] == "out"
assert r["target"]["tensors"] == r["source"]["tensors"] - 2 and r["left_out"] == 2 and r["copied"] == ["config.json"]
assert r["compared"] is True and r["config_changed"] is True'
}

@test "memory: a 300 MB file in less than 64 MB" {
    /usr/bin/python3 - <<'P'
import json, os, struct
big, small = 60 << 20, 1 << 16
h, at = {}, 0
for name, n in [("big", big)] + [("s%d" % i, small) for i in range(230)]:
    h[name] = {"dtype": "F32", "shape": [n], "data_offsets": [at, at + 4 * n]}
    at += 4 * n
h = json.dumps(h).encode()
block = os.urandom(1 << 20)
block = b"".join(block[i:i + 3] + b"\x3c" for i in range(0, len(block) - 3, 4)) # no NaN, nothing huge
with open("x.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(h)) + h)
    for _ in range(at // len(block) + 1): f.write(block[:at + 8 + len(h) - f.tell()])
assert os.path.getsize("x.safetensors") == 8 + len(h) + at > 300e6
P
    for args in "" "--dtype bf16" "--max-shard-size 100MB"; do
        rm -rf out
        /usr/bin/python3 - $args <<'P'
import os, resource, subprocess, sys
subprocess.run([os.environ["PITH"], "convert", "-q", "x.safetensors", "out"] + sys.argv[1:], check=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print("# peak %.1f MB" % peak, sys.argv[1:])
limit = 64
with open(os.environ["PITH"], "rb") as f:
    program = f.read()
if b"__asan_init" in program or b"__tsan_init" in program: limit = 512 # the sanitizer's own memory
assert peak < limit, peak
P
    done
}

need_torch() { /usr/bin/python3 -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("torch"))' || { echo "# skip: no torch for python3"; skip "no torch for python3"; }; }

@test "PyTorch checkpoints: every tensor is what torch reads; shared ones are written once" {
    need_torch
    /usr/bin/python3 - <<'P'
import torch
torch.manual_seed(3)
a, b = torch.randn(7, 5), torch.randn(12, 10)
d = {"a": a, "a.t": a.t(), "tied": a, "slice": b[2:9:2, 1:8], "whole": b, "row": b[3], "wide": torch.ones(1).expand(4, 4), "scalar": torch.tensor(2.5),
     "empty": torch.zeros(0, 3), "param": torch.nn.Parameter(torch.randn(3)), "last": a}
for name in "float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64".split(): d["x." + name] = (b * 10).to(getattr(torch, name))
for i in range(300): d["many.%d" % i] = torch.full((3,), float(i))
torch.save(d, "zip.bin")
torch.save({"epoch": 3, "state_dict": d}, "legacy.pt", _use_new_zipfile_serialization=False)
P
    run_split "$PITH" convert zip.bin zip.safetensors
    [ "$status" = 0 ]
    [[ $error == *"tied is the same memory as a: written once"*"last is the same memory as a: written once"* ]]
    "$PITH" convert -q legacy.pt legacy.safetensors --key state_dict
    /usr/bin/python3 -c "$READ"'
import torch
names = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
         torch.uint8: "U8", torch.bool: "BOOL", torch.complex64: "C64"}
def bytes_of(t):
    t = t.detach().contiguous()
    if t.dtype == torch.bfloat16: t = t.view(torch.int16)
    return t.numpy().tobytes()
for file, d in (("zip", torch.load("zip.bin")), ("legacy", torch.load("legacy.pt")["state_dict"])):
    got, meta = st(file + ".safetensors")
    assert meta == {"format": "pt", "tied": "a", "last": "a"}, meta
    assert set(got) == set(d) - {"tied", "last"}
    for k in got: assert got[k] == (names[d[k].dtype], list(d[k].shape), bytes_of(d[k])), (file, k)'
    # The first that is asked for is the one that is kept, under its new name.
    "$PITH" convert -q zip.bin some.safetensors --exclude a --include '*' --rename 'tied=lm_head.weight' --rename '*=m.*'
    "$PITH" inspect some.safetensors | grep -q '^metadata  m.last = m.lm_head.weight'
}

@test "tied weights that config.json calls untied are written twice" {
    need_torch
    mkdir m
    /usr/bin/python3 -c 'import torch; w = torch.randn(8, 4); torch.save({"embed.weight": w, "lm_head.weight": w}, "m/pytorch_model.bin")'
    for config in '{}' '{"tie_word_embeddings": true}' '{"tie_word_embeddings": false}'; do
        echo "$config" >m/config.json
        for src in m m/pytorch_model.bin; do
            rm -rf out
            "$PITH" convert -q $src out
            n=1; [[ $config != *false* ]] || n=2
            [ "$("$PITH" inspect out | grep -c '\.weight .*F32')" = $n ]
            [ "$("$PITH" inspect out | grep -c 'lm_head.weight = embed.weight')" = $((2 - n)) ]
        done
    done
}

@test "a model in PyTorch shards: the logits stay, the index becomes one of safetensors" {
    need_torch
    g=$GOLDEN/models/bert-f32
    mkdir m; cp "$g/config.json" m
    /usr/bin/python3 -c "$READ"'
import sys, torch
t = {k: torch.frombuffer(bytearray(b), dtype=torch.float32).reshape(s) for k, (d, s, b) in model(sys.argv[1]).items()}
names, where = list(t), {}
for i, part in enumerate((names[:9], names[9:])):
    file = "pytorch_model-%05d-of-00002.bin" % (i + 1)
    torch.save({k: t[k] for k in part}, "m/" + file)
    where.update({k: file for k in part})
json.dump({"metadata": {"total_size": 4 * sum(x.numel() for x in t.values())}, "weight_map": where}, open("m/pytorch_model.bin.index.json", "w"))' "$g"
    "$PITH" convert -q m out --max-shard-size 100KB
    "$PITH" convert -q m one
    [ "$(hash_of out)" = "$(hash_of "$g")" ]
    [ "$(hash_of one)" = "$(hash_of "$g")" ]
    [ "$(ls one | tr '\n' ' ')" = "config.json model.safetensors " ]
    if ls out | grep bin; then false; fi
    [ -e out/model.safetensors.index.json ]
    # Into the folder it came from, as a file beside it.
    "$PITH" convert -q m/pytorch_model.bin.index.json m/model.safetensors
    [ "$(hash_of m)" = "$(hash_of "$g")" ]
}
