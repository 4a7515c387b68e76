# pith inspect --tree: modules by the dots in names, and what each holds.
setup() {
    load cli
    cd "$BATS_TEST_TMPDIR"
    cat >st.py <<'P'
import json, struct
# Tensors of one F16 row each: {name: elements}, or {name: (dtype, bytes of an element, shape)}.
def write(path, tensors):
    head, at = {}, 0
    for name, n in tensors.items():
        dtype, size, shape = n if isinstance(n, tuple) else ("F16", 2, [n])
        for d in shape: size *= d
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    h = json.dumps(head).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(h)) + h)
        f.truncate(8 + len(h) + at)
P
    export PYTHONPATH=$BATS_TEST_TMPDIR PYTHONDONTWRITEBYTECODE=1
}

files() { /usr/bin/python3 -c "from st import *
$1"; }

# Runs the tree of x.safetensors and compares it with stdin, blanks squeezed.
shows() {
    status=0
    "$PITH" inspect --tree "$@" x.safetensors >out || status=$?
    [ "$status" = 0 ]
    sed -E 's/([^ ]) +/\1 /g' out >got
    diff - got
}

@test "layers that repeat are one line, sums over all; gaps and others stand alone; 2 before 10" {
    files '
x = {"head.weight": 500, "embed.weight": ("F32", 4, [100, 5])}
for i in range(13):
    if i == 4: continue
    x["layers.%d.a.w" % i] = 10
    x["layers.%d.a.b" % i] = ("F32", 4, []) if i == 7 else 1
write("x.safetensors", x)'
    shows <<'X'
module parameters bytes share
total 1,132 3.3 KB 100.0%
  embed 500 2.0 KB 61.2%
    weight 500 2.0 KB 61.2% F32 [100,5]
  head 500 1.0 KB 30.6%
    weight 500 1.0 KB 30.6% F16 [500]
  layers 132 266 B 8.1%
    0 - 3 (4 x) 44 88 B 2.7%
      a 44 88 B 2.7%
        b 4 8 B 0.2% F16 [1]
        w 40 80 B 2.4% F16 [10]
    5 - 6 (2 x) 22 44 B 1.3%
      a 22 44 B 1.3%
        b 2 4 B 0.1% F16 [1]
        w 20 40 B 1.2% F16 [10]
    7 11 24 B 0.7%
      a 11 24 B 0.7%
        b 1 4 B 0.1% F32 []
        w 10 20 B 0.6% F16 [10]
    8 - 12 (5 x) 55 110 B 3.4%
      a 55 110 B 3.4%
        b 5 10 B 0.3% F16 [1]
        w 50 100 B 3.1% F16 [10]
X
    shows --depth 2 <<'X'
module parameters bytes share
total 1,132 3.3 KB 100.0%
  embed 500 2.0 KB 61.2%
    weight 500 2.0 KB 61.2% F32 [100,5]
  head 500 1.0 KB 30.6%
    weight 500 1.0 KB 30.6% F16 [500]
  layers 132 266 B 8.1%
    0 - 3 (4 x) 44 88 B 2.7%
    5 - 6 (2 x) 22 44 B 1.3%
    7 11 24 B 0.7%
    8 - 12 (5 x) 55 110 B 3.4%
X
}

@test "experts in layers: repeats in repeats" {
    files 'write("x.safetensors", {"l.%d.e.%d.w" % (i, k): 3 for i in range(12) for k in range(11)})'
    shows <<'X'
module parameters bytes share
total 396 792 B 100.0%
  l 396 792 B 100.0%
    0 - 11 (12 x) 396 792 B 100.0%
      e 396 792 B 100.0%
        0 - 10 (11 x) 396 792 B 100.0%
          w 396 792 B 100.0% F16 [3]
X
}

@test "odd names: a tensor that is a module too, empty parts, long numbers, controls; no tensors" {
    files 'write("x.safetensors", {"a": 1, "a.b": 2, "a..b": 3, "a0": 4, ".x": 5, "n.007": 6, "n.8": 6, "n.00000000000000000000000000009": 6,
        "n.x\u001b[1m": 7, "": 8})'
    shows <<'X'
module parameters bytes share
total 48 96 B 100.0%
  "" 13 26 B 27.1% F16 [8]
    x 5 10 B 10.4% F16 [5]
  a 6 12 B 12.5% F16 [1]
    "" 3 6 B 6.2%
      b 3 6 B 6.2% F16 [3]
    b 2 4 B 4.2% F16 [2]
  a0 4 8 B 8.3% F16 [4]
  n 25 50 B 52.1%
    007 - 8 (2 x) 12 24 B 25.0% F16 [6]
    00000000000000000000000000009 6 12 B 12.5% F16 [6]
    x\x1b[1m 7 14 B 14.6% F16 [7]
X
    files 'write("x.safetensors", {})'
    shows <<'X'
module parameters bytes share
X
    [ "$("$PITH" inspect --tree --json x.safetensors | tr -d '\n')" = \
        "$("$PITH" inspect --json x.safetensors | tr -d '\n' | sed 's/"dtypes"/"modules":[],"dtypes"/')" ]
}

@test "JSON: every module's sums, as Python makes them; not without --tree" {
    for m in bert-bf16-sharded gpt_oss-f32 distilbert-single; do
        output=$("$PITH" inspect --json --tree --stats "$GOLDEN/models/$m" | tr -d '\n')
        py 'want = {}
for t in rows[0]["tensors"]:
    n = 1
    for d in t["shape"]: n *= d
    p = t["name"].split(".")
    for k in range(1, len(p)):
        w = want.setdefault(".".join(p[:k]), [0, 0, 0])
        w[0] += n; w[1] += t["bytes"]; w[2] += 1
    assert t["stats"]["denormal"] >= 0
got = {m["name"]: [m["parameters"], m["bytes"], m["tensors"]] for m in rows[0]["modules"]}
assert got == want and len(want) > 10 and len(rows[0]["modules"]) == len(got)
names = [m["name"] for m in rows[0]["modules"]]
assert all("." not in n or names.index(n.rsplit(".", 1)[0]) < i for i, n in enumerate(names))'
        output=$("$PITH" inspect --json --tree --depth 1 "$GOLDEN/models/$m" | tr -d '\n')
        py 'assert {m["name"] for m in rows[0]["modules"]} == {t["name"].split(".")[0] for t in rows[0]["tensors"] if "." in t["name"]}'
        output=$("$PITH" inspect --json "$GOLDEN/models/$m" | tr -d '\n')
        py 'assert "modules" not in rows[0]'
    done
}

@test "names of a hundred thousand parts, and a hundred thousand names, take no time" {
    files 'write("x.safetensors", {".".join(["a"] * 100000) + ".%d" % k: 1 for k in range(50)})'
    timeout 10 "$PITH" inspect --tree x.safetensors >out
    [ "$(wc -l <out)" = 34 ]
    timeout 10 "$PITH" inspect --tree --depth 1024 x.safetensors >out
    [ "$(wc -l <out)" = 1026 ]
    files 'write("x.safetensors", {"m.%d.w" % k: 1 + k % 2 for k in range(100000)})'
    timeout 10 "$PITH" inspect --tree x.safetensors >out
    [ "$(wc -l <out)" = 200003 ]
}

@test "options that do not go together" {
    files 'write("x.safetensors", {})'
    run_split "$PITH" inspect --tree --stats x.safetensors; fails 2 "--json gives both"
    run_split "$PITH" inspect --depth 2 x.safetensors; fails 2 "--depth goes with --tree"
    run_split "$PITH" inspect --tree --depth 0 x.safetensors; fails 2 "--depth"
    run_split "$PITH" inspect --tree --depth 1025 x.safetensors; fails 2 "--depth"
    run_split "$PITH" inspect --tree nothing; fails 1 "nothing"
}
