"""coverage.py BUILD: the branches that the stored tests took, of each file that parses what strangers wrote, from gcov's
notes under BUILD. tests/coverage.txt excuses what was not: lines of "file pattern<TAB>pattern in the source line<TAB>why".
Ends with 1 where less than 95% of what is not excused was taken. -v: every branch missed and not excused."""
import collections, fnmatch, glob, json, os, re, subprocess, sys

build, verbose = sys.argv[1], "-v" in sys.argv
PARSERS = ["src/formats/*.c", "src/base/json.c", "src/base/csv.c", "tokenizer/*.c", "src/server/head.c", "src/server/http.c", "src/cli/rows.c",
           "src/cli/input.c", "src/cli/jtext.c", "src/values.c", "src/settings.c"]
files = sorted(f for p in PARSERS for f in glob.glob(p) if not f.endswith("writer.c"))
taken = collections.defaultdict(dict)  # file: {(line, function, index): times}
data = [os.path.abspath(p) for p in glob.glob(build + "/**/*.gcda", recursive=True)]
for i in range(0, len(data), 40):
    p = subprocess.run(["gcov", "--json-format", "--stdout", "-b"] + data[i:i + 40], capture_output=True, text=True)
    for text in p.stdout.splitlines():
        for f in json.loads(text)["files"]:
            name = os.path.relpath(f["file"])
            if name not in files: continue
            for line in f["lines"]:
                for k, b in enumerate(line["branches"]):
                    key = (line["line_number"], line.get("function_name", ""), k)
                    taken[name][key] = taken[name].get(key, 0) + b["count"]
with open("tests/coverage.txt") as f:
    excuses = [l.rstrip("\n").split("\t") for l in f if l.strip() and not l.startswith("#")]
used, all_n, all_taken, all_excused, left = collections.Counter(), 0, 0, 0, []
print("%-34s %8s %8s %8s %8s" % ("branches of", "all", "taken", "", "excused"))
for name in files:
    if name not in taken:
        print("%-34s no notes: no test runs it" % name)
        left.append((name, 0, ""))
        continue
    with open(name) as f: source = f.read().split("\n")
    n = len(taken[name])
    got = sum(1 for c in taken[name].values() if c)
    excused = 0
    for (line, _, _), count in sorted(taken[name].items()):
        if count: continue
        for x in excuses:
            if fnmatch.fnmatch(name, x[0]) and re.search(x[1], source[line - 1]):
                used[x[2]] += 1
                excused += 1
                break
        else: left.append((name, line, source[line - 1].strip()))
    all_n, all_taken, all_excused = all_n + n, all_taken + got, all_excused + excused
    print("%-34s %8d %8d %7.1f%% %8d" % (name, n, got, 100 * got / n if n else 100, excused))
for why, n in used.most_common(): print("%6d excused: %s" % (n, why))
if verbose:
    for name, line, text in left: print("%s:%d: %s" % (name, line, text))
share = 100 * all_taken / max(1, all_n - all_excused)
print("%d branches, %d taken: %.1f%%; without the %d excused: %.1f%%" % (all_n, all_taken, 100 * all_taken / max(1, all_n), all_excused, share))
sys.exit(bool(left) and share < 95)
