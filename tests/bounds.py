"""bounds.py FOLDER PITH: runs what bounds_files.py made, and measures it. Kept apart from it: a child's peak memory is at
least that of the process that starts it."""
import os, resource, sys, time

folder, pith = sys.argv[1:]
sanitized = b"__asan_init" in open(pith, "rb").read() or b"__tsan_init" in open(pith, "rb").read()
SECONDS, BYTES, STACK, PATIENCE = 1.0, 64e6, 128 << 10, 60

def run(d, words):
    """status, processor seconds, peak bytes, stderr"""
    pid = os.fork()
    if pid == 0:
        os.chdir(d)
        if not sanitized: resource.setrlimit(resource.RLIMIT_STACK, (STACK, STACK))
        resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open("/dev/null", os.O_RDWR), 0)
        os.dup2(os.open("out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.dup2(os.open("err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        os.execv(pith, [pith] + words)
    _, status, use = os.wait4(pid, 0)
    with open(d + "/err", encoding="utf-8", errors="replace") as f: err = f.read()
    return os.waitstatus_to_exitcode(status), use.ru_utime + use.ru_stime, use.ru_maxrss * 1024, err

worst, most, failed = (0, ""), (0, ""), 0
names = sorted(os.listdir(folder))
for name in names:
    d = folder + "/" + name
    words, end = open(d + "/run").read().split("\n"), open(d + "/end").read()
    size = sum(os.path.getsize(d + "/" + f) for f in os.listdir(d))
    status, cpu, peak, err = run(d, words)
    # Only a tokenizer.json may take more, eight times its size: cJSON's value takes 80 bytes, its key 32, and an entry of a
    # vocabulary may be no longer than `"ab":1234,`. Real ones list half a million entries and more, as this one does.
    why, bar = [], BYTES + (8 if name == "tokenizer.json of a million members" else 1.2) * size
    if status not in (0, 1): why.append("ended with %d" % status)
    elif (status == 1) != (end == "refused") and end != "either": why.append("status %d, expected it %s" % (status, end))
    if status == 1 and err.count("\n") != 1: why.append("not one line")
    if not sanitized and status == 1 and cpu > SECONDS: why.append("%.2f s of processor time" % cpu)
    if not sanitized and status == 1 and peak > bar: why.append("%.0f MB, bar %.0f" % (peak / 1e6, bar / 1e6))
    worst, most = max(worst, (cpu, name)), max(most, (peak - 1.2 * size, name))
    if why:
        failed += 1
        print("not ok - %s: %s" % (name, "; ".join(why)))
        print("#   " + err[:400].replace("\n", "\n#   "))
    else: print("ok - %s: %s, %.2f s, %.0f MB (file %.1f MB)" % (name, "refused" if status else "accepted", cpu, peak / 1e6, size / 1e6))
print("# the longest: %.2f s, %s; the most memory beyond 1.2 times the file: %.0f MB, %s" % (worst[0], worst[1], most[0] / 1e6, most[1]))
sys.exit(failed > 0)
