"""mutations.py FOLDER N JOBS: N random changes to each kind of file, each read by pith. See mutations.sh. The seed is in
MUTATION_SEED (1); what fails is kept in build/mutations."""
import concurrent.futures, glob, os, random, shutil, subprocess, sys, threading

folder, n, jobs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
pith, seed, limit = os.environ["PITH"], int(os.environ.get("MUTATION_SEED", "1")), int(os.environ.get("SECONDS_EACH", "5"))
golden = "tests/golden/models/"
WORDS = [b"{", b"}", b"[", b"]", b'"', b",", b":", b"null", b"true", b"-1", b"1e999", b"0", b"18446744073709551616", b"\\ud800", b"\\u0000",
         b"\xff", b"\x00", b"{%", b"%}", b"{{", b"}}", b"for ", b"range(99999)", b"." * 40, b"(" * 300, b"[" * 3000, b"\n", b",,", b'""']

def mutated(b, r):
    b = bytearray(b)
    for _ in range(r.choice((1, 1, 1, 2, 3, 8))):
        i, how = r.randrange(len(b) + 1), r.randrange(7)
        j = min(len(b), i + r.choice((1, 2, 8, 64, 1000)))
        if how == 0 and i < len(b): b[i] ^= 1 << r.randrange(8)
        elif how == 1 and i < len(b): b[i] = r.randrange(256)
        elif how == 2: del b[i:j]
        elif how == 3: b[i:i] = b[i:j]
        elif how == 4: b[i:i] = r.choice(WORDS)
        elif how == 5: b[i:i + 1] = r.choice(WORDS)
        else: b = b[:i] + b[j:] + b[i:j]
    return bytes(b)

def model(source, name, *verb):
    return ([source + "/" + name], lambda d, f: shutil.copytree(source, d, dirs_exist_ok=True), name, verb)
bundled = os.environ["PITH_DATA"] + "/"
rows = folder + "/rows."
open(rows + "csv", "w").write('id,text\n1,"a ""good"" one"\n2,"two\nlines"\n3,bad\n')
open(rows + "jsonl", "w").write('{"id":1,"text":"a good \\u00e9 one"}\n{"id":[2,{}],"text":"\\ud83d\\ude00"}\n')
tokenize, logits = ("tokenize", "-q", "-m", "{d}", "a good caf\u00e9, <s> 12"), ("logits", "-q", "-m", "{d}", "--ids", "1,2", "--hash")
KINDS = {  # what: seeds, how the folder is filled, the file's name, the verb
    "checkpoint": (glob.glob(folder + "/bin/*.bin") + glob.glob("tests/golden/torch/*.bin"), None, "x.bin", ("inspect", "--stats", "{d}/x.bin")),
    "safetensors": (glob.glob(golden + "*/model.safetensors"), None, "x.safetensors", ("inspect", "--stats", "{d}/x.safetensors")),
    "config.json": model(golden + "llama-odd", "config.json", *logits),
    "index": model(golden + "mistral-swa-bf16-sharded", "model.safetensors.index.json", *logits),
    "tokenizer.json, words": model(bundled + "sentiment", "tokenizer.json", *tokenize),
    "tokenizer.json, bytes": model(bundled + "reviews", "tokenizer.json", *tokenize),
    "tokenizer_config.json": model(bundled + "reviews", "tokenizer_config.json", *tokenize),
    "generation_config.json": model(bundled + "reviews", "generation_config.json", "generate", "-q", "-m", "{d}", "-n", "1", "a"),
    "csv": ([rows + "csv"], None, "x.csv", ("classify", "-q", "-m", "sentiment", "-f", "{d}/x.csv", "--on-error", "null")),
    "jsonl": ([rows + "jsonl"], None, "x.jsonl", ("classify", "-q", "-m", "sentiment", "-f", "{d}/x.jsonl", "--on-error", "null")),
}

def one(kind, i):
    seeds, fill, name, verb = KINDS[kind]
    r = random.Random("%s %d %d" % (kind, seed, i))
    d = "%s/%d.%s" % (folder, threading.get_ident(), kind.replace(" ", "_"))
    if not os.path.isdir(d):
        os.makedirs(d)
        if fill: fill(d, name)
    path = os.path.join(d, name)
    blob = open(seeds[-1], "rb").read() if i < 0 else mutated(open(seeds[r.randrange(len(seeds))], "rb").read(), r)
    if os.path.exists(path): os.remove(path)
    open(path, "wb").write(blob)
    why = ""
    try:
        p = subprocess.run(["prlimit", "--cpu=%d" % limit, pith] + [a.replace("{d}", d) for a in verb], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                           timeout=600)
        said = p.stderr.decode("utf-8", "replace")
        if "Sanitizer" in said or "runtime error:" in said: why = said
        elif p.returncode not in (0, 1): why = "status %d: %s" % (p.returncode, said)
        elif p.returncode == 1 and (not said or any(not line.startswith("pith ") for line in said.splitlines())): why = "not told in lines: %r" % said
        elif p.returncode == 1 and "null" not in verb and said.count("\n") != 1: why = "not one line: %r" % said
        return p.returncode, why, blob
    except subprocess.TimeoutExpired:
        return 1, "no answer in 600 s", blob

failed = False
for kind in KINDS:
    if not KINDS[kind][0] or not all(os.path.exists(s) for s in KINDS[kind][0]):
        print("ok - %s # skip: no seeds" % kind)
        continue
    if one(kind, -1)[0] != 0: # what refuses everything would find nothing
        print("not ok - %s: what is to be changed is read, before it is" % kind)
        failed = True
    refused, wrong = 0, []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for i, (status, why, blob) in enumerate(pool.map(lambda i: one(kind, i), range(n))):
            refused += status == 1
            if why:
                os.makedirs("build/mutations", exist_ok=True)
                kept = "build/mutations/%s.%d" % (kind.replace(" ", "_"), i)
                open(kept, "wb").write(blob)
                wrong.append((kept, why[:600].replace("\n", "\n#   ")))
    print("%sok - %s: %d mutations, %d refused%s" % ("not " if wrong else "", kind, n, refused, ", %d wrong" % len(wrong) if wrong else ""), flush=True)
    for kept, why in wrong[:5]: print("# %s: %s" % (kept, why))
    failed |= bool(wrong)
sys.exit(failed)
