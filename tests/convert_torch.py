"""pith convert against checkpoints: those of tests/golden/torch, random ones written here, whole models, hostile ones.
What it writes is read by the few lines of `tensors` below, and compared with what torch read from the source. Where it
refuses, nothing may be left behind. Speaks TAP.
convert_torch.py PITH [fixtures|again|live|models|corpus|memory]..."""
import glob, hashlib, importlib.metadata, importlib.util, json, os, resource, shutil, struct, subprocess, sys, tempfile, zipfile

PITH, HERE = sys.argv[1], os.path.dirname(os.path.abspath(__file__))
MAKE = [sys.executable, os.path.join(HERE, "../tools/make_torch_fixtures.py")]
SIZE = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1, "I16": 2, "U16": 2,
        "F16": 2, "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "C64": 8, "F64": 8, "I64": 8, "U64": 8}
count = 0


def tap(good, name, why=""):
    global count
    count += 1
    for line in str(why).splitlines() if not good else []:
        print("#", line)
    print("ok" if good else "not ok", count, "-", name, flush=True)


def tensors(path):
    """name -> (dtype, shape, bytes), and the metadata, of a safetensors file or of all in a folder."""
    out, meta = {}, {}
    for p in sorted(glob.glob(path + "/*.safetensors")) if os.path.isdir(path) else [path]:
        with open(p, "rb") as f:
            b = f.read()
        n = struct.unpack("<Q", b[:8])[0]
        header, at = json.loads(b[8 : 8 + n].decode("utf-8")), 0
        meta.update(header.pop("__metadata__", {}))
        for name, x in sorted(header.items(), key=lambda i: i[1]["data_offsets"]):
            begin, end = x["data_offsets"]
            size = SIZE[x["dtype"]]
            for d in x["shape"]:
                size *= d
            assert begin == at and end - begin == size and name not in out, (name, x)
            out[name], at = (x["dtype"], x["shape"], b[8 + n + begin : 8 + n + end]), end
        assert len(b) == 8 + n + at
    return out, meta


def have_torch():
    return all(map(importlib.util.find_spec, ("torch", "numpy")))


def spent():
    """Processor seconds of the children so far."""
    u = resource.getrusage(resource.RUSAGE_CHILDREN)
    return u.ru_utime + u.ru_stime


def convert(source, target, *options):
    """Exit status and what stderr says; what is wrong with a refusal, or ""."""
    before = set(os.listdir(os.path.dirname(target)))
    r = subprocess.run([PITH, "convert", source, target, *options], capture_output=True, stdin=subprocess.DEVNULL, timeout=600)
    err = r.stderr.decode("utf-8", "replace")
    if r.returncode < 0 or r.returncode > 2 or "Sanitizer" in err or "runtime error" in err:
        return r.returncode, err, "ended with %d: %s" % (r.returncode, err)
    left = set(os.listdir(os.path.dirname(target))) - before - {os.path.basename(target)}
    if left:
        return r.returncode, err, "left behind: %s" % left
    if r.returncode and os.path.exists(target):
        return r.returncode, err, "failed, yet the target is there"
    if r.returncode and len(err.splitlines()) != 1:
        return r.returncode, err, "a refusal of %d lines: %s" % (len(err.splitlines()), err)
    return r.returncode, err, ""


def differs(target, want):
    """What in target is not as torch read it; ""."""
    got, meta = tensors(target)
    for name, x in want.items():
        kept = name if name in got else meta.get(name)
        if kept not in got:
            return "%r is missing" % name
        if kept != name and want[kept]["same"] != x["same"]:
            return "%r is said to be %r, which it is not" % (name, kept)
        dtype, shape, b = got[kept]
        if (dtype, shape, hashlib.sha256(b).hexdigest()) != (x["dtype"], x["shape"], x["sha256"]):
            return "%r is %s %s, %d bytes; expected %s" % (name, dtype, shape, len(b), x)
    extra = set(got) - set(want)
    return "not in the source: %s" % extra if extra else ""


def case(path, tmp):
    """One expectation; what is wrong, or ""."""
    with open(path, encoding="ascii") as f:
        e = json.load(f)
    target = os.path.join(tmp, "out" if os.path.isdir(os.path.join(os.path.dirname(path), e["file"])) else "out.safetensors")
    status, err, wrong = convert(os.path.join(os.path.dirname(path), e["file"]), target, *(["--key", e["option"]] if e["option"] else []))
    verdict = "refused" if e["convert"] == "refused" else e["verdict"]
    if not wrong and status and verdict == "ok":
        wrong = "refused: " + err
    if not wrong and not status:
        wrong = "accepted, though: " + e["why"] if verdict == "refused" else differs(target, e["tensors"])
    shutil.rmtree(target, ignore_errors=True) if os.path.isdir(target) else os.path.exists(target) and os.remove(target)
    return wrong


def fixtures(tmp):
    for path in sorted(glob.glob(os.path.join(HERE, "golden/torch/*.json"))):
        wrong = case(path, tmp)
        tap(not wrong, "converted as torch reads it: " + os.path.basename(path)[:-5], wrong)


def again(tmp):
    """The fixtures are what their generator writes."""
    name, version = "tools/make_torch_fixtures.py writes tests/golden/torch byte for byte", "1.13"
    if not have_torch() or not importlib.metadata.version("torch").startswith(version):
        return print("# skip: no torch %s for %s\nok - %s # skip no torch %s" % (version, sys.executable, name, version))
    made = os.path.join(tmp, "made")
    subprocess.run([*MAKE, made], check=True, capture_output=True)
    r = subprocess.run(["diff", "-rq", made, os.path.join(HERE, "golden/torch")], capture_output=True, text=True)
    tap(r.returncode == 0, name, r.stdout + r.stderr)
    shutil.rmtree(made)


def live(tmp):
    """Random checkpoints, by the torch that is here. SEED=... makes others."""
    n, seed = 200, os.environ.get("SEED", "1")
    name = "%d random state dicts come out as torch reads them (SEED=%s)" % (n, seed)
    if not have_torch():
        return print("# skip: no torch for %s\nok %d - %s # skip no torch" % (sys.executable, count + 1, name))
    made = os.path.join(tmp, "made")
    subprocess.run([*MAKE, "--random", str(n), seed, made], check=True, capture_output=True)
    wrong = [(os.path.basename(p), case(p, tmp)) for p in sorted(glob.glob(made + "/*.json"))]
    bad = ["%s: %s" % w for w in wrong if w[1]]
    tap(len(wrong) == n and not bad, name, "\n".join(bad[:10]))
    reader = os.path.join(os.environ.get("BUILD", "build"), "tests/test_torch_golden")
    r = subprocess.run([reader, made], capture_output=True, text=True, env={**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP"})
    tap(r.returncode == 0, "and are read so in pieces, mapped or not (SEED=%s)" % seed, r.stdout[-2000:] + r.stderr[-2000:])
    shutil.rmtree(made)


def models(tmp):
    """safetensors -> torch.save -> pith convert: the same logits to the bit, by the same config."""
    names = ["distilbert-f32", "distilbert-sharded", "bert-legacy", "llama-odd", "llama3-rope-bf16-sharded", "qwen2-tied-bf16"]
    if have_torch():
        subprocess.run([*MAKE, *(a for i, n in enumerate(names) for a in ("--model", os.path.join(HERE, "golden/models", n), os.path.join(tmp, n), *["legacy"][: i % 2]))],
                       check=True, capture_output=True)
    for name in names:
        what = "a model through torch.save and back computes the same bits: " + name
        if not have_torch():
            print("# skip: no torch for %s\nok - %s # skip no torch" % (sys.executable, what))
            continue
        source, made, back = os.path.join(HERE, "golden/models", name), os.path.join(tmp, name), os.path.join(tmp, "back")
        status, err, wrong = convert(made, back)
        if not wrong and status:
            wrong = "refused: " + err
        if not wrong:
            ids = os.path.join(HERE, "golden/expected", name, "ids.jsonl")
            hashes = [subprocess.run([PITH, "logits", "-m", m, "--ids-file", ids, "--hash"], capture_output=True, text=True) for m in (source, back)]
            same = hashes[0].stdout == hashes[1].stdout != ""
            wrong = "" if same else "%r, expected %r; %s" % (hashes[1].stdout, hashes[0].stdout, hashes[1].stderr)
        tap(not wrong, what, wrong)
        shutil.rmtree(made), shutil.rmtree(back, ignore_errors=True)


def corpus(tmp):
    """Hostile checkpoints: the verdicts, and nothing left of what is refused."""
    made = os.path.join(tmp, "made")
    subprocess.run([sys.executable, os.path.join(HERE, "corpora/gen_bad_bin.py"), made], check=True, capture_output=True)
    with open(made + "/expected.tsv") as f:
        rows = [line.rstrip("\n").split("\t") for line in f][1:]
    bad, target = [], os.path.join(tmp, "out.safetensors")
    for name, want, note in rows:
        started = spent()
        status, err, wrong = convert(os.path.join(made, name + ".bin"), target)
        if not wrong and want == "OK" and status:
            wrong = "refused: " + err
        if not wrong and want == "ERROR" and not status:
            wrong = "accepted: " + note
        if not wrong and not status:
            tensors(target)
            os.remove(target)
        if not wrong and spent() - started > 5:
            wrong = "took %.1f s of processor time" % (spent() - started)
        if wrong:
            bad.append("%s: %s" % (name, wrong))
    tap(not bad and len(rows) == 173, "verdicts on hostile checkpoints: %d of %d" % (len(rows) - len(bad), len(rows)), "\n".join(bad))
    shutil.rmtree(made)


def text(s):
    return b"X" + struct.pack("<I", len(s)) + s


def views(n):
    """n views of one storage, as torch.save pickles them."""
    out, memo = [b"\x80\x02}q\0("], 1
    put = lambda i: b"q" + bytes([i]) if i < 256 else b"r" + struct.pack("<I", i)
    for i in range(n):
        name = text(b"encoder.layer.%d.weight" % i) + put(memo)
        if not i:
            v2, storage, kind, key, cpu, pid, hooks = range(memo + 1, memo + 8)
            out += [name, b"ctorch._utils\n_rebuild_tensor_v2\n", put(v2), b"((", text(b"storage"), put(storage), b"ctorch\nFloatStorage\n",
                    put(kind), text(b"0"), put(key), text(b"cpu"), put(cpu), b"J" + struct.pack("<i", n), b"t", put(pid), b"Q"]
            memo += 8
        else:
            get = lambda k: b"h" + bytes([k])
            out += [name, get(v2), b"((", get(storage), get(kind), get(key), get(cpu), b"J" + struct.pack("<i", n), b"t", put(memo + 1), b"Q"]
            memo += 2
        out += [b"J" + struct.pack("<i", i), b"K\1\x85", put(memo), b"K\1\x85", put(memo + 1), b"\x89ccollections\nOrderedDict\n)R", put(memo + 2),
                b"t", put(memo + 3), b"R", put(memo + 4)]
        memo += 5
    return b"".join(out) + b"u."


def memory(tmp):
    """How much memory and time a checkpoint costs beside its own size, be it taken or refused. LONG=1: of larger ones."""
    big, one = (50 if os.environ.get("LONG") else 16) << 20, views(1)[2:-1]
    many = 420000 if os.environ.get("LONG") else 105000
    model = b"\x80\x02}(X\5\0\0\0model" + one + text(b"log")
    cases = [("100,000 memo entries", views(14290), 14290), ("%d tensors" % many, views(many), many),
             ("strings beside", model + b"](" + text(b"x" * 40) * (big // 45) + b"eu.", 1),
             ("one long string beside", model + text(b"x" * big) + b"u.", 1),
             ("a far memo entry", b"\x80\x02" + text(b"x" * big) + b"r" + struct.pack("<I", big) + b".", 0)]
    for what, b in [("empty tuples", b")"), ("empty lists", b"]"), ("empty dicts", b"}"), ("marks", b"("), ("None", b"N"), ("empty sets", b"\x8f"),
                    ("nested tuples", b"\x85"), ("OrderedDicts", b"ccollections\nOrderedDict\n)R"), ("memo entries", b"q\0"), ("lists in lists", b"]a")]:
        cases.append(("many " + what, b"\x80\x02]" + b * (big // len(b)) + b".", 0))
    cases += [("one storage named anew", b"\x80\x02](" + one[one.index(b"((") + 1 : one.index(b"Q")] + b"q\x20" + b"h\x20Q" * (big // 3) + b".", 0),
              ("OrderedDicts in a list", b"\x80\x02](ccollections\nOrderedDict\nq\1)q\2" + b"h\1h\2R" * (big // 5) + b".", 0)]
    if PITH.endswith("san/pith"):
        return print("# skip: a sanitizer has memory of its own\nok - memory # skip sanitizer")
    # A process of its own, for what a child inherits counts as its own.
    run = "import resource,subprocess,sys\nr=subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL)\nu=resource.getrusage(resource.RUSAGE_CHILDREN)\nprint(u.ru_maxrss,u.ru_utime+u.ru_stime)\nsys.exit(r.returncode)"
    for name, pickle, n in cases:
        path = os.path.join(tmp, "big.bin")
        with zipfile.ZipFile(path, "w") as z:
            z.writestr("big/data.pkl", pickle)
            z.writestr("big/data/0", bytes(4 * n))
            z.writestr("big/version", b"3\n")
        size = os.path.getsize(path) / 2**20
        p = subprocess.run([sys.executable, "-c", run, PITH, "inspect", "--json", path], capture_output=True, stdin=subprocess.DEVNULL, text=True)
        rss, took = (float(x) for x in p.stdout.split())
        rss /= 1024
        # A tensor takes six objects, and they more memory than their 125 bytes in the pickle.
        bound, limit = 64 + (8 if n > 100000 else 4.8 if "Dicts" in name or "in lists" in name or "named" in name else 1.2) * size, 10 if n > 100000 else 2
        print("# %-26s %5.1f MB: %5.2f s, %4.0f MB resident (bound %3.0f); %s" % (name, size, took, rss, bound, p.stderr.strip()[-100:] or "taken"))
        tap(rss < bound and took < limit and (p.returncode == 0) == (n > 0), "memory and time of " + name)
        os.remove(path)


with tempfile.TemporaryDirectory() as tmp:
    for part in [globals()[p] for p in sys.argv[2:]] or (fixtures, again, live, models, corpus, memory):
        part(tmp)
