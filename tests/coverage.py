"""coverage.py BUILD: the branches that the stored tests took, of each file that parses what strangers wrote, from gcov's notes
under BUILD (of a build without optimisation: a branch is each way out of each condition, of && and || and ?: too, and each case).
tests/coverage.txt lists what no test takes: a line "# why", then lines of "file<TAB>function<TAB>n<TAB>the line of source", n of whose
branches are not taken. Such a branch does not count as taken. Ends with 1 where less than 95% of all branches are taken, where
one that is not taken is not listed, and where one that is listed is taken or gone (where the reason begins with "at times", it may
be taken, but not gone).
-v: every branch that is neither; -l: as lines for coverage.txt."""
import collections, glob, json, os, subprocess, sys

PARSERS = """src/formats/*.c src/base/json.c src/base/csv.c src/base/chunks.c tokenizer/*.c src/server/head.c src/server/http.c src/server/api*.c
src/cli/rows.c src/cli/input.c src/cli/jtext.c src/cli/recording.c src/values.c src/settings.c src/modules.c src/manifest.c src/model.c"""
NO_PARSERS = ["src/formats/writer.c", "src/server/api_page.c", "src/server/api_ops.c"]  # they write, and answer without reading a body
AIM = 95


def counts(build, files):
    """{file: {(line, function, index): times}}"""
    taken = collections.defaultdict(dict)
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
    return taken


def excuses():
    """{(file, function, line of source): [n, why]}"""
    why, out = None, {}
    with open("tests/coverage.txt") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if line.startswith("# "): why = line[2:]
            elif line:
                parts = line.split("\t", 3)
                if len(parts) < 4 or not why or tuple(parts[0:2] + parts[3:]) in out: sys.exit("tests/coverage.txt:%d: not a line of it, or twice" % number)
                out[parts[0], parts[1], parts[3]] = [int(parts[2]), why]
    return out


def main():
    build = sys.argv[1]
    files = sorted(f for p in PARSERS.split() for f in glob.glob(p) if f not in NO_PARSERS)
    taken, excused = counts(build, files), excuses()
    reasons, missed, stale, all_n, all_taken, all_excused = collections.Counter(), [], [], 0, 0, 0
    print("%-34s %8s %8s %8s %8s" % ("branches of", "all", "taken", "", "excused"))
    for name in files:
        if name not in taken:
            missed.append((name, "", 0, "no test runs it", 0))
            continue
        with open(name) as f: source = f.read().split("\n")
        rest = collections.Counter()
        where = {}
        for (line, function, _), times in sorted(taken[name].items()):
            if times: continue
            key = (name, function, source[line - 1].strip())
            rest[key] += 1
            where.setdefault(key, line)
        n, got, here = len(taken[name]), sum(1 for c in taken[name].values() if c), 0
        for key, k in rest.items():
            allowed, why = excused.get(key, [0, ""])
            here += min(k, allowed)
            if allowed: reasons[why] += min(k, allowed)
            if k > allowed: missed.append((name, key[1], where[key], key[2], k - allowed))
        lines = {(function, source[line - 1].strip()) for line, function, _ in taken[name]}
        for key, (k, why) in excused.items():
            if key[0] == name and (key[1:] not in lines or (rest[key] < k and not why.startswith("at times"))):
                stale.append("%s: %s: %s: %d listed, %d not taken" % (*key, k, rest[key]))
        all_n, all_taken, all_excused = all_n + n, all_taken + got, all_excused + here
        print("%-34s %8d %8d %7.1f%% %8s" % (name, n, got, 100 * got / n if n else 100, here or ""))
    stale += ["%s: not a file that is looked at" % key[0] for key in excused if key[0] not in files]
    for why, n in reasons.most_common(): print("%6d not taken: %s" % (n, why))
    n = sum(m[4] for m in missed)
    if "-l" in sys.argv:
        for name, function, line, text, k in missed: print("%s\t%s\t%d\t%s" % (name, function, k, text))
    elif "-v" in sys.argv:
        for name, function, line, text, k in missed: print("%s:%d: %d %s: %s" % (name, line, k, function, text))
    elif n: print("%d not taken and not listed in tests/coverage.txt; make coverage V=1 names them" % n)
    for s in stale: print("tests/coverage.txt: " + s)
    share = 100 * all_taken / max(1, all_n)
    print("%d branches, %d taken: %.2f%% (without the %d that tests/coverage.txt lists: %.2f%%); the aim is %d%%" %
          (all_n, all_taken, share, all_excused, 100 * all_taken / max(1, all_n - all_excused), AIM))
    return bool(share < AIM or missed or stale)


sys.exit(main())
