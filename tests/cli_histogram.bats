# pith inspect --histogram and what --html writes (tests/browser.sh looks at the page in a browser).
setup() {
    load cli
    cd "$BATS_TEST_TMPDIR"
    /usr/bin/python3 - <<'P'
import json, math, random, struct
r = random.Random(3)
g = lambda n, s=1.0: [r.gauss(0, s) for _ in range(n)]
f32 = lambda v: struct.pack("<%df" % len(v), *v)
bf16 = lambda v: b"".join(struct.pack("<f", x)[2:] for x in v)
nan, inf = math.nan, math.inf
t = {
    "gauss.f32": ("F32", f32(g(50021))), "gauss.f16": ("F16", struct.pack("<5003e", *g(5003))), "gauss.bf16": ("BF16", bf16(g(7001))),
    "gauss.f64": ("F64", struct.pack("<4099d", *g(4099, 1e200))), "edge.f64": ("F64", struct.pack("<4d", -1.7e308, 0, 1.0, 1.7e308)),
    "tiny.f32": ("F32", f32([k * 1e-44 for k in range(50)])), "outlier": ("F32", f32(g(9999) + [3e38])),
    "two.outliers": ("F32", f32([-1e9, 1e9] + g(3000))), "mask": ("F32", f32([0.0] * 5000 + [1.0] * 3)),
    "odd": ("F32", f32([nan, inf, -inf, 1, 2, 3, nan])), "none": ("F32", f32([nan, -inf])), "empty": ("F32", b""),
    "constant": ("F32", f32([0.25] * 9)), "u8": ("U8", bytes(range(256)) * 3), "i64": ("I64", struct.pack("<500q", *[r.randint(-70, 90) for _ in range(500)])),
    "bool": ("BOOL", bytes([0, 1, 1])), "wide": ("I64", struct.pack("<3q", -2**63, 0, 2**63 - 1)), "one": ("F32", f32([7])), "c64": ("C64", f32([1, 2])),
    "a</script><b>&.weight": ("F32", f32([1, 2])), "model.layers.10.a_really_long_module_name_to_be_found_again.self_attention.weight": ("F32", f32([1])),
}
size = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "U8": 1, "I64": 8, "BOOL": 1, "C64": 8}
h, at, body = {"__metadata__": {"k</script>": "&\u2028"}}, 0, b""
for name, (dtype, data) in t.items():
    h[name] = {"dtype": dtype, "shape": [len(data) // size[dtype]], "data_offsets": [at, at + len(data)]}
    at, body = at + len(data), body + data
h = json.dumps(h).encode()
open("m.safetensors", "wb").write(struct.pack("<Q", len(h)) + h + body)
P
    cat >read.py <<'P'
import json, math, struct
b = open("m.safetensors", "rb").read()
n, = struct.unpack("<Q", b[:8])
h = json.loads(b[8:8 + n])
def values(name):
    x = h[name]
    d = b[8 + n + x["data_offsets"][0]:8 + n + x["data_offsets"][1]]
    if x["dtype"] == "BF16": return [struct.unpack("<f", b"\0\0" + d[i:i + 2])[0] for i in range(0, len(d), 2)]
    c = {"F32": "f", "F16": "e", "F64": "d", "U8": "B", "I64": "q", "BOOL": "?"}[x["dtype"]]
    return [float(v) for v in struct.unpack("<%d%s" % (x["shape"][0], c), d)]
P
}

@test "counts equal what Python counts" {
    for name in gauss.f32 gauss.f16 gauss.bf16 gauss.f64 tiny.f32 outlier two.outliers mask odd u8 i64 bool one constant; do
        for bins in 1 7 40; do
            output=$("$PITH" inspect --histogram $name --bins $bins --json m.safetensors)
            py 'exec(open("read.py").read())
r, = rows
name, bins = sys.argv[1], int(sys.argv[2])
v = values(name); f = [x for x in v if math.isfinite(x)]
lo, hi, c = r["lo"], r["hi"], r["counts"]
assert (r["count"], r["nan"], r["inf"]) == (len(v), sum(x != x for x in v), sum(abs(x) == math.inf for x in v)), r
assert r["min"] == min(f) and r["max"] == max(f) and r["below"] + sum(c) + r["above"] == len(f) and len(c) <= bins, (name, r, max(f))
want = [0] * len(c); below = above = 0
whole = name in ("u8", "i64", "bool") and lo != hi
for x in f:
    k = 0 if lo == hi else math.floor((x - lo) * (len(c) / (hi - lo)))
    if k < 0: below += 1
    elif k < len(c): want[k] += 1
    elif hi == r["max"]: want[-1] += 1
    else: above += 1
assert (want, below, above) == (c, r["below"], r["above"]), (name, want, c)
if whole: assert (hi - lo) / len(c) == int((hi - lo) / len(c)) and lo + 0.5 == int(lo + 0.5)
m = sum(x / len(f) for x in f); big = max(abs(x) for x in f) or 1
s = math.sqrt(sum(((x - m) / big) ** 2 for x in f) / len(f)) * big
assert abs(r["std"] - s) <= 1e-6 * s + 1e-12 * big, (name, r["std"], s)' $name $bins
        done
    done
}

@test "counts equal numpy's" {
    /usr/bin/python3 -c 'import numpy' 2>/dev/null || { echo "# skip: no numpy"; skip "no numpy"; }
    for name in gauss.f32 gauss.f16 gauss.f64 outlier i64; do
        output=$("$PITH" inspect --histogram $name --bins 32 --json m.safetensors)
        py 'exec(open("read.py").read())
import numpy as np
r, = rows
v = np.array(values(sys.argv[1])); n = len(r["counts"])
want, edges = np.histogram(v, n, (r["lo"], r["hi"]))
assert np.abs(want - np.array(r["counts"])).sum() <= 2 and want.sum() > 400, (want, r["counts"])
assert abs(v.std() - r["std"]) <= 1e-9 * v.std() or sys.argv[1] in ("outlier", "gauss.f64")' $name
    done
}

@test "a few far values do not hide the rest; what is all there is shown whole" {
    for name in outlier two.outliers; do
        output=$("$PITH" inspect --histogram $name --json m.safetensors)
        py 'r, = rows
assert sum(c > 0 for c in r["counts"]) >= 8 and 1 <= r["below"] + r["above"] <= 10 and r["hi"] - r["lo"] < 20, r'
    done
    for name in gauss.f32 gauss.bf16 mask tiny.f32; do
        output=$("$PITH" inspect --histogram $name --json m.safetensors)
        py 'r, = rows
assert r["lo"] == r["min"] and r["hi"] == r["max"] and r["below"] == r["above"] == 0, r'
    done
}

@test "the ends of what numbers can be" {
    output=$("$PITH" inspect --histogram edge.f64 --bins 4 --json m.safetensors)
    py 'r, = rows
assert r["counts"] == [1, 0, 2, 1] and abs(r["std"] - 1.2020815e308) < 1e304, r'
    output=$("$PITH" inspect --histogram wide --bins 2 --json m.safetensors)
    py 'r, = rows
assert r["counts"] == [1, 2] and r["below"] == r["above"] == 0, r'
    output=$("$PITH" inspect --histogram none --json m.safetensors)
    py 'r, = rows
assert r["counts"] == [] and r["nan"] == r["inf"] == 1 and r["min"] is r["lo"] is r["std"] is None'
    run_split "$PITH" inspect --histogram empty m.safetensors
    [ "$status" = 0 ]
    [[ $output == *"n 0 "*"no finite value"* ]]
    run_split "$PITH" inspect --histogram c64 m.safetensors; fails 1 "c64: C64"
}

@test "bars: as wide as the terminal, eighths where it knows them" {
    [ "$("$PITH" inspect --histogram gauss.f32 m.safetensors | wc -l)" = 24 ]
    for columns in 50 80 133; do
        run_split env COLUMNS=$columns "$PITH" inspect --histogram gauss.f32 m.safetensors
        py 'l = out.split("\n")[4:]
assert len(l) == 20 and max(map(len, l)) == int(sys.argv[1]) and len({len(x.rsplit("  ", 1)[0]) for x in l}) == 1, l
assert set("".join(x.rsplit("  ", 1)[1] for x in l)) <= set("█▉▊▋▌▍▎▏")
bar = {"█": 8, "▉": 7, "▊": 6, "▋": 5, "▌": 4, "▍": 3, "▎": 2, "▏": 1}
n = [int(x.rsplit("  ", 1)[0].split()[1].replace(",", "")) for x in l]
e = [sum(bar[c] for c in x.rsplit("  ", 1)[1]) for x in l]
assert all(abs(k - max(1, max(e) * c / max(n))) <= 0.5 for k, c in zip(e, n)), (e, n)' $columns
    done
    run_split env LC_ALL=C "$PITH" inspect --histogram gauss.f32 m.safetensors
    py 'assert out.isascii() and "####" in out'
    run_split "$PITH" inspect --histogram bool m.safetensors
    [[ $output == *$'\n0  1  '*$'\n1  2  '* ]]
    run_split "$PITH" inspect --histogram outlier m.safetensors
    [[ $output =~ above\ +[0-9.]+\ +1$ ]]
}

@test "a name that is not there: the nearest one" {
    run_split "$PITH" inspect --histogram gaus.f32 m.safetensors; fails 1 "no tensor 'gaus.f32'; did you mean 'gauss.f32'?"
    run_split "$PITH" inspect --histogram layers.10.a_really m.safetensors; fails 1 "did you mean 'model.layers.10.a_really_long"
    run_split "$PITH" inspect --histogram model.layers.10.a_really_long_module_name_to_be_found_again.self_atention.wieght m.safetensors
    fails 1 "did you mean 'model.layers.10.a_really_long"
    run_split "$PITH" inspect --histogram quite_something_else m.safetensors; fails 1 "no tensor 'quite_something_else'; pith inspect PATH lists them"
}

@test "what does not go together" {
    run_split "$PITH" inspect --histogram one --stats m.safetensors; fails 2 "--histogram goes without --stats"
    run_split "$PITH" inspect --histogram one --html x.html m.safetensors; fails 2 "--html goes without"
    run_split "$PITH" inspect --html x.html --json m.safetensors; fails 2 "--html goes without"
    run_split "$PITH" inspect --histogram one --bins 0 m.safetensors; fails 2 "--bins"
    [ ! -e x.html ]
}

@test "--html: one file that says what --histogram says, with nothing in it that HTML could obey" {
    "$PITH" inspect --html page.html m.safetensors
    [ "$("$PITH" inspect --html - m.safetensors | sha256sum)" = "$(sha256sum <page.html)" ]
    [ "$("$PITH" inspect --html - --no-mmap m.safetensors | sha256sum)" = "$(sha256sum <page.html)" ]
    for name in gauss.f32 gauss.bf16 outlier odd u8; do "$PITH" inspect --histogram $name --bins 40 --json m.safetensors; done >all
    output=$(cat all)
    py 'import re
page = open("page.html", encoding="utf-8").read()
data = re.search("<script type=.application/json. id=.data.>(.*?)</script>", page, re.S).group(1)
assert not re.search("[<>&\u2028]", data) and page.count("<script") == 2 and page.count("</script>") == 2
assert not re.search("(src|href|@import|url\\()[=\" ]*https?:", page) and os.getcwd() not in page
d = json.loads(data)
assert d["name"] == "m.safetensors" and d["metadata"] == [["k</script>", "&\u2028", 4, 0]]
t = {x[0]: x for x in d["tensors"]}
assert "a</script><b>&.weight" in t and len(t) == 21
near = lambda a, b: a is b or abs(a - b) <= 1e-8 * abs(b)
for r in rows:
    name, dtype, shape, n, size, file, s = t[r["name"]]
    assert (dtype, shape, n) == (r["dtype"], r["shape"], r["count"])
    assert s[:5] == [r["zero"], r["nan"], r["inf"], r["below"], r["above"]]
    assert all(near(a, r[k]) for a, k in zip(s[5:11], ("min", "max", "mean", "std", "lo", "hi"))), (s, r)
    assert [int(x, 36) for x in s[11].split()] == r["counts"]
assert "C64" in t["c64"][6]'
}

@test "--html: the file is there whole or as it was" {
    mkdir here && mv m.safetensors here && cd here
    echo before >page.html
    run_split "$PITH" inspect --html page.html m.safetensors
    [ "$status" = 0 ] && [ -z "$output$error" ]
    [ "$(tail -1 page.html)" = "</html>" ]
    [ "$(ls | wc -l)" = 2 ]
    run_split "$PITH" inspect --html /dev/full m.safetensors; fails 1 "/dev/full: cannot write"
    run_split "$PITH" inspect --html no/such/page.html m.safetensors; fails 1 "no/such/page.html: "
    mkdir d
    run_split "$PITH" inspect --html d m.safetensors; fails 1 "is a directory"
    echo before >page.html
    head -c 5000 m.safetensors >cut.safetensors
    run_split "$PITH" inspect --html page.html cut.safetensors; fails 1 "cut.safetensors"
    [ "$(cat page.html)" = before ]
    rmdir d
    [ "$(ls | wc -l)" = 3 ]
}
