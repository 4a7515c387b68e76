# pith inspect --diff: what differs between two sets of weights, against what Python's own numbers say.
setup() {
    load cli
    cd "$BATS_TEST_TMPDIR"
    cat >st.py <<'P'
import json, random, struct
from fractions import Fraction

def bf16(v): return struct.pack("<f", v)[2:]
codes = {"F32": "f", "F64": "d", "F16": "e", "I8": "b", "U8": "B", "BOOL": "B", "I16": "h", "U16": "H", "I32": "i",
         "U32": "I", "I64": "q", "U64": "Q"}
def pack(dtype, values):
    if dtype == "BF16": return b"".join(map(bf16, values))
    return struct.pack("<%d%s" % (len(values), codes[dtype]), *values)
def unpack(dtype, b):
    if dtype == "BF16": return [struct.unpack("<f", b"\0\0" + b[i:i + 2])[0] for i in range(0, len(b), 2)]
    n = struct.calcsize("<" + codes[dtype])
    return list(struct.unpack("<%d%s" % (len(b) // n, codes[dtype]), b))

def write(path, tensors, meta=None, pad=b""):
    "tensors: (name, dtype, shape, values or bytes)"
    head, data = ({"__metadata__": meta} if meta else {}), b""
    for name, dtype, shape, v in tensors:
        b = v if isinstance(v, bytes) else pack(dtype, v)
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(b)]}
        data += b
    h = json.dumps(head).encode() + pad
    open(path, "wb").write(struct.pack("<Q", len(h)) + h + data)
P
    export PYTHONPATH=$BATS_TEST_TMPDIR PYTHONDONTWRITEBYTECODE=1
}

# Python that writes files with st.
files() { /usr/bin/python3 -c "from st import *
$1"; }

diff() { run_split "$PITH" inspect --diff "$@"; }

@test "equal: status 0, however the tensors are spread over files" {
    files '
import os
x = [("c", "F32", [2, 2], [1, 2, 3, 4]), ("b.w", "BF16", [3], [1, 2, 3]), ("a", "I64", [], [7]), ("none", "F16", [0, 3], [])]
write("a.safetensors", x)
os.mkdir("d")
write("d/model-1.safetensors", x[2:], pad=b" ")
write("d/model-2.safetensors", x[1::-1], pad=b"   ")
json.dump({"weight_map": {"c": "model-2.safetensors", "b.w": "model-2.safetensors", "a": "model-1.safetensors",
                          "none": "model-1.safetensors"}}, open("d/model.safetensors.index.json", "w"))'
    for b in a.safetensors d d/model.safetensors.index.json; do
        diff a.safetensors $b
        [ "$status" = 0 ] && [ -z "$error" ]
        [ "$output" = "4 equal, 0 differ in values, 0 in dtype, 0 in shape, 0 only in A, 0 only in B; metadata equal" ]
    done
    diff -v d a.safetensors
    [ "$status" = 0 ]
    [[ $output == *"equal      c  F32 [2,2]"*"4 equal"* ]]
    diff --json a.safetensors d
    [ "$status" = 0 ]
    output=$(tr -d '\n' <<<"$output")
    py 'r, = rows
assert r["same"] is True and r["equal"] == 4 and r["metadata"] == [] and (r["a"], r["b"]) == ("a.safetensors", "d")
assert [t["name"] for t in r["tensors"]] == ["c", "b.w", "a", "none"] and {t["status"] for t in r["tensors"]} == {"equal"}
assert r["tensors"][1]["a"] == r["tensors"][1]["b"] == {"dtype": "BF16", "shape": [3], "bytes": 6}'
}

@test "every kind of difference, in the order of A, then what only B has" {
    files '
write("a.safetensors", [("z", "F32", [2, 3], [1, 2, 3, 4, 5, -8]), ("gone", "I8", [1], [1]), ("same", "F32", [1], [5]),
                        ("turned", "F32", [2, 3], [0] * 6), ("cast", "F32", [4], [1, 2, 3, 4]),
                        ("rounded", "F32", [3], [1, 1.00390625, 2]), ("both", "F16", [2], [1, 2])])
write("b.safetensors", [("new", "U8", [2], [1, 2]), ("same", "F32", [1], [5]), ("z", "F32", [2, 3], [1, 2, 3.5, 4, 5, -6]),
                        ("turned", "F32", [3, 2], [0] * 6), ("cast", "BF16", [4], [1, 2, 3, 4]),
                        ("rounded", "BF16", [3], [1, 1.0, 2]), ("both", "F32", [1, 2], [1, 2])])'
    diff a.safetensors b.safetensors
    [ "$status" = 1 ] && [ -z "$error" ]
    printf '%s\n' "$output" >got
    cat >expected <<'X'
values     z  F32 [2,3], 2 of 6 differ, by at most 2 at [1,2], 0.25 of max |a|
only in A  gone  I8 [1]
shape      turned  F32 [2,3] -> [3,2]
dtype      cast  F32 -> BF16 [4], the same numbers
dtype      rounded  F32 -> BF16 [3], 1 of 3 differ, by at most 0.003906 at [1], 0.002 of max |a|
shape      both  F16 -> F32 [2] -> [1,2]
only in B  new  U8 [2]
1 equal, 1 differ in values, 2 in dtype, 2 in shape, 1 only in A, 1 only in B; metadata equal
X
    cmp got expected
    diff --json a.safetensors b.safetensors
    [ "$status" = 1 ]
    output=$(tr -d '\n' <<<"$output")
    py 'r, = rows
assert [(t["name"], t["status"]) for t in r["tensors"]] == [("z", "values"), ("gone", "only_a"), ("same", "equal"),
    ("turned", "shape"), ("cast", "dtype"), ("rounded", "dtype"), ("both", "shape"), ("new", "only_b")]
assert [r[k] for k in "equal values dtype shape only_a only_b same".split()] == [1, 1, 2, 2, 1, 1, False]
z, gone, new, cast = (r["tensors"][i] for i in (0, 1, 7, 4))
assert gone["b"] is None and new["a"] is None and new["b"]["shape"] == [2]
assert (z["count"], z["differ"], z["max_abs"], z["at"], z["relative"], z["nan"], z["inf"]) == (6, 2, 2, [1, 2], .25, 0, 0)
assert cast["differ"] == 0 and "at" not in cast'
}

@test "random numbers of every pair of dtypes: the figures that Python computes" {
    files '
random.seed(4)
types = ["F32", "F64", "F16", "BF16", "I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64"]
n = 3 * 4096 + 5
def draw(dtype, k):
    if dtype[0] in "IU":
        bits = int(dtype[1:]); low = -(1 << bits - 1) if dtype[0] == "I" else 0
        return [min(max(v, low), low + (1 << bits) - 1) for v in (random.choice([random.randrange(4), random.randrange(-2**63, 2**64)]) for _ in range(k))]
    return [random.gauss(0, 1) for _ in range(k)]
A, B = [], []
for p in types:
    for q in types:
        k = n if p[0] in "FB" and q[0] in "FB" else 1500
        a = unpack(p, pack(p, draw(p, k))); b = unpack(q, pack(q, draw(q, k)))
        for i in range(0, k, 3):  # a third is the same where the types allow it
            try: b[i] = unpack(q, pack(q, [a[i]]))[0]
            except struct.error: pass
        A.append((p + " " + q, p, [k], a)); B.append((p + " " + q, q, [k], b))
write("a.safetensors", A, pad=b" "); write("b.safetensors", B)
out = []
for (name, p, s, a), (_, q, _, b) in zip(A, B):
    d = [abs(Fraction(x) - Fraction(y)) for x, y in zip(a, b)]
    out.append([name, sum(x != 0 for x in d), float(max(d)), float(max(abs(Fraction(x)) for x in a)), [float(x) for x in d]])
json.dump(out, open("expected", "w"))'
    for o in "" --no-mmap; do
        diff --json $o a.safetensors b.safetensors
        [ "$status" = 1 ]
        output=$(tr -d '\n' <<<"$output")
        py 'r, = rows
for t, (name, differ, most, largest, d) in zip(r["tensors"], json.load(open("expected"))):
    assert t["name"] == name and t["differ"] == differ > 0, (t, differ)
    assert abs(t["max_abs"] - most) <= 2e-16 * most, (t, most)
    assert abs(t["relative"] - most / largest) <= 1e-15 * t["relative"], (t, most / largest)
    assert abs(d[t["at"][0]] - most) <= 2e-16 * most and len(t["at"]) == 1, t'
    done
}

@test "NaN equals NaN, 0 differs from -0, infinities are counted apart" {
    files '
nan, inf = float("nan"), float("inf")
write("a.safetensors", [("payload", "F32", [2], b"\0\0\xc0\x7f" + b"\0\0\x80\x3f"), ("zero", "F32", [2, 2], [1, 0, 0, 0]),
    ("nan", "F32", [6], [nan, nan, 1, inf, 2, 3]), ("inf", "F64", [5], [inf, inf, -inf, 1, 2]), ("all", "BF16", [3], [nan] * 3), ("odd", "F16", [2, 2], [1, nan, inf, 2])])
write("b.safetensors", [("payload", "F32", [2], b"\1\0\xc0\xff" + b"\0\0\x80\x3f"), ("zero", "F32", [2, 2], [1, 0, -0.0, -0.0]),
    ("nan", "F32", [6], [nan, 1, nan, nan, 2, 3.5]), ("inf", "F64", [5], [inf, -inf, 5, 1, 2.25]), ("all", "F32", [3], [nan] * 3), ("odd", "F16", [2, 2], [1, 2, 3, 2])])'
    diff a.safetensors b.safetensors
    [ "$status" = 1 ]
    printf '%s\n' "$output" >got
    cat >expected <<'X'
values     zero  F32 [2,2], 2 of 4 differ, by at most 0 at [1,0], 0 of max |a|
values     nan  F32 [6], 4 of 6 differ, by at most 0.5 at [5], 0.17 of max |a|, 3 NaN on one side only
values     inf  F64 [5], 3 of 5 differ, by at most 0.25 at [4], 0.12 of max |a|, 2 infinite
dtype      all  BF16 -> F32 [3], the same numbers
values     odd  F16 [2,2], 2 of 4 differ, first at [0,1], 1 NaN on one side only, 1 infinite
1 equal, 4 differ in values, 1 in dtype, 0 in shape, 0 only in A, 0 only in B; metadata equal
X
    cmp got expected
}

@test "integers of 64 bits are compared exactly" {
    files '
n = 2**53
write("a.safetensors", [("i", "I64", [3], [n, n + 1, -2**63]), ("f", "I64", [3], [n, n + 1, -1]), ("u", "U64", [2], [2**64 - 1, 5])])
write("b.safetensors", [("i", "I64", [3], [n, n, -2**63]), ("f", "F64", [3], [n, n, -1 - 2.0**-52]), ("u", "I64", [2], [-1, 5])])'
    diff --json a.safetensors b.safetensors
    [ "$status" = 1 ]
    output=$(tr -d '\n' <<<"$output")
    py 'i, f, u = rows[0]["tensors"]
assert (i["differ"], i["max_abs"], i["at"]) == (1, 1, [1])
assert (f["differ"], f["max_abs"], f["at"]) == (2, 1, [1])
assert (u["differ"], u["max_abs"], u["at"]) == (1, 2.0**64, [0])'
}

@test "what has no numbers is compared as bytes" {
    files '
write("a.safetensors", [("c", "C64", [3], bytes(24)), ("f4", "F4", [8], b"abcd"), ("f6", "F6_E2M3", [4], b"abc"), ("x", "C64", [1], bytes(8))])
write("b.safetensors", [("c", "C64", [3], bytes(9) + b"x" + bytes(14)), ("f4", "F4", [8], b"abXY"), ("f6", "F6_E2M3", [4], b"abc"), ("x", "F32", [1], [0])])'
    diff a.safetensors b.safetensors
    [ "$status" = 1 ]
    printf '%s\n' "$output" >got
    cat >expected <<'X'
values     c  C64 [3], 1 of 3 differ
values     f4  F4 [8], 2 of 4 bytes differ
dtype      x  C64 -> F32 [1], values not compared
1 equal, 2 differ in values, 1 in dtype, 0 in shape, 0 only in A, 0 only in B; metadata equal
X
    cmp got expected
    diff --json a.safetensors b.safetensors
    output=$(tr -d '\n' <<<"$output")
    py 'c, f4, f6, x = rows[0]["tensors"]
assert c["at"] == [1] and c["count"] == 3 and "max_abs" not in c and f4["differ"] == 2 and "at" not in f4 and "differ" not in x'
}

@test "where the largest difference lies, at and around the edges of blocks" {
    files '
n = 2 * 4096 + 3
for k, i in enumerate([0, 1, 4095, 4096, 4097, 8191, 8192, n - 1]):
    b = [0.0] * n
    b[i] = 3; b[n // 3] = -2
    write("b%d.safetensors" % k, [("x", "F32", [n], b)])
write("a.safetensors", [("x", "F32", [n], [0.0] * n)])'
    k=0
    for i in 0 1 4095 4096 4097 8191 8192 8194; do
        diff a.safetensors b$k.safetensors
        [ "$status" = 1 ]
        [[ $output == "values     x  F32 [8195], 2 of 8,195 differ, by at most 3 at [$i]"$'\n'* ]] || { echo "$i: $output"; false; }
        k=$((k + 1))
    done
}

@test "metadata is told, and does not decide" {
    files '
write("a.safetensors", [("x", "F32", [1], [1])], {"format": "pt", "k": "1\n2", "same": "s"})
write("b.safetensors", [("x", "F32", [1], [1])], {"format": "np", "same": "s"})'
    diff a.safetensors b.safetensors
    [ "$status" = 0 ]
    printf '%s\n' "$output" >got
    cat >expected <<'X'
only in B  metadata format = np
only in A  metadata format = pt
only in A  metadata k = 1 2
1 equal, 0 differ in values, 0 in dtype, 0 in shape, 0 only in A, 0 only in B; metadata differs
X
    cmp got expected
    diff --json a.safetensors b.safetensors
    [ "$status" = 0 ]
    output=$(tr -d '\n' <<<"$output")
    py 'assert rows[0]["same"] is True and rows[0]["metadata"] == [{"only_in": "b", "key": "format", "value": "np"},
    {"only_in": "a", "key": "format", "value": "pt"}, {"only_in": "a", "key": "k", "value": "1\n2"}]'
}

@test "what cannot be compared: usage, and files that are not there or broken" {
    files 'write("a.safetensors", [("x", "F32", [1], [1])])'
    diff a.safetensors; fails 2 "two paths, 1 given"
    diff a.safetensors a.safetensors a.safetensors; fails 2 "two paths, 3 given"
    diff --stats a.safetensors a.safetensors; fails 2 "--stats"
    diff --tree a.safetensors a.safetensors; fails 2 "--tree"
    diff a.safetensors nothing; fails 1 "nothing"
    diff nothing a.safetensors; fails 1 "nothing"
    head -c 20 a.safetensors >cut.safetensors
    diff a.safetensors cut.safetensors; fails 1 "cut.safetensors"
}

@test "memory does not grow with the tensors" {
    [[ $PITH != *tsan/pith ]] || skip "the race detector's own memory grows with what is read"
    /usr/bin/python3 - <<'P'
import json, os, resource, struct, subprocess
n = 256 << 20
for name in "ab":
    h = json.dumps({"x": {"dtype": "F32", "shape": [n // 4], "data_offsets": [0, n]}}).encode()
    with open(name + ".safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(h)) + h)
        f.truncate(8 + len(h) + n)
        if name == "b":
            f.seek(-4, 2)
            f.write(struct.pack("<f", 1))
r = subprocess.run([os.environ["PITH"], "inspect", "--diff", "a.safetensors", "b.safetensors"], stdout=subprocess.PIPE, text=True)
assert r.returncode == 1 and "1 of 67,108,864 differ, by at most 1 at [67108863]" in r.stdout, r
kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
assert kb < 100_000, kb
P
}

@test "a file that shrinks meanwhile: a message that names it, status 1" {
    /usr/bin/python3 - <<'P'
import json, os, struct, subprocess, time
n = 256 << 20
for name in "ab":
    h = json.dumps({"x": {"dtype": "F32", "shape": [n // 4], "data_offsets": [0, n]}, "y": {"dtype": "F32", "shape": [n // 4], "data_offsets": [n, 2 * n]}}).encode()
    with open(name + ".safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(h)) + h)
        f.truncate(8 + len(h) + 2 * n)
for cut in "ab":
    for wait in 4 * (.03, .015, .05, .08, .005, .12):
        p = subprocess.Popen([os.environ["PITH"], "inspect", "--diff", "a.safetensors", "b.safetensors"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(wait)
        os.truncate(cut + ".safetensors", 4096)
        out, err = p.communicate()
        os.truncate(cut + ".safetensors", 8 + len(h) + 2 * n)
        # The header lies in what is left, so the file is whole again.
        if p.returncode == 1 and "while it was mapped" in err: break
    else: raise SystemExit("never met while it was read")
    assert err.startswith("pith: %s.safetensors: " % cut) and err.count("\n") == 1, err
P
}

@test "a PyTorch checkpoint against safetensors: views that do not lie in a row, shared storage, every kind of figure" {
    /usr/bin/python3 -c 'import torch' 2>/dev/null || { echo "# skip: no python3-torch"; skip "no python3-torch"; }
    files '
import torch
torch.manual_seed(4)
base = torch.randn(70, 130)
x = {"t": base.t(), "cut": base[3:60:2, 5:99:3], "wide": torch.randn(9, 1).expand(9, 1000), "row": base[5], "tied": base,
     "half": torch.randn(33, 7).half().t(), "bf": torch.randn(5000).bfloat16(), "i": torch.arange(6).reshape(2, 3).t(),
     "off": base.t()}
torch.save(x, "a.pt"); torch.save(x, "old.pt", _use_new_zipfile_serialization=False)
y = dict(x, off=base.t().clone())
y["off"][100, 31] += 4
name = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}
write("b.safetensors", [(k, name[v.dtype], list(v.shape), v.contiguous().view(torch.int16).numpy().tobytes() if v.dtype == torch.bfloat16
    else v.contiguous().numpy().tobytes()) for k, v in y.items()], {"format": "pt"})'
    for a in a.pt old.pt; do
        diff $a b.safetensors
        [ "$status" = 1 ]
        [[ $output =~ ^"values     off  F32 [130,70], 1 of 9,100 differ, by at most "(4|3\.99.*|4\.00.*)" at [100,31], "[^$'\n']*$'\n'"only in B  metadata format = pt"$'\n'"8 equal, 1 differ in values, 0 in dtype,"[^$'\n']*$ ]] || { echo "$output $error"; false; }
    done
    diff a.pt old.pt
    [ "$status" = 0 ]
}
