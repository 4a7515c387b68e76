# What ends the program from outside: interrupts, closed pipes, full disks, files that shrink under a mapping.
setup() {
    load cli
    cd "$BATS_TEST_TMPDIR"
    tiny m
}

@test "an interrupt: 130, no output file, no temporary one" {
    /usr/bin/python3 - <<'P'
import os, signal, subprocess, time, glob
for sig, want in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
    p = subprocess.Popen([os.environ["PITH"], "classify", "-m", "m", "--format", "text", "-o", "o.jsonl"], stdin=subprocess.PIPE,
                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    p.stdin.write(b"a good film\n" * 10); p.stdin.flush()
    for _ in range(200):
        if glob.glob(".o.jsonl.pith-*") and os.path.getsize(glob.glob(".o.jsonl.pith-*")[0]): break
        time.sleep(0.05)
    else: raise SystemExit("no temporary file")
    p.send_signal(sig)
    assert p.wait(20) == want, p.returncode
    assert not [x for x in os.listdir() if "o.jsonl" in x], os.listdir()
P
}

@test "an interrupt with --resume keeps whole rows, and the next run goes on" {
    /usr/bin/python3 - <<'P'
import json, os, signal, subprocess, time
p = subprocess.Popen([os.environ["PITH"], "classify", "-q", "-m", "m", "--format", "jsonl", "-o", "o.jsonl", "--resume"],
                     stdin=subprocess.PIPE, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
rows = [json.dumps({"text": "a good film " * (i % 9), "id": i}) for i in range(40)]
p.stdin.write(("\n".join(rows[:25]) + "\n").encode()); p.stdin.flush()
for _ in range(200):
    if os.path.exists("o.jsonl") and open("o.jsonl").read().count("\n") == 25: break
    time.sleep(0.05)
else: raise SystemExit("rows did not appear")
p.send_signal(signal.SIGINT)
assert p.wait(20) == 130
assert [json.loads(l)["id"] for l in open("o.jsonl")] == list(range(25))
open("in.jsonl", "w").write("\n".join(rows) + "\n")
subprocess.run([os.environ["PITH"], "classify", "-q", "-m", "m", "-f", "in.jsonl", "-o", "o.jsonl", "--resume"], check=True)
whole = subprocess.run([os.environ["PITH"], "classify", "-q", "-m", "m", "-f", "in.jsonl", "--json"], check=True, capture_output=True)
assert open("o.jsonl", "rb").read() == whole.stdout
P
}

@test "a reader that stops reading ends it quietly" {
    /usr/bin/python3 -c "print('a good film\n' * 20000, end='')" >t.txt
    for cmd in "classify -m m -f t.txt" "tokenize -m m" "tokenize -m m --ids"; do
        "$PITH" $cmd <t.txt 2>err | head -1 >out
        [ -s out ]
        [ ! -s err ]
    done
    # Also under a parent that ignores SIGPIPE.
    /usr/bin/python3 -c '
import os, signal, subprocess
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
r, w = os.pipe()
p = subprocess.Popen([os.environ["PITH"], "classify", "-q", "-m", "m", "-f", "t.txt"], stdout=w, stderr=subprocess.PIPE, restore_signals=False)
os.close(w); os.read(r, 10); os.close(r)
err = p.stderr.read()
assert p.wait(60) != 0 and not err, (p.returncode, err)'
}

@test "a full disk: one line, status 1" {
    [ -e /dev/full ] || skip "no /dev/full"
    for cmd in "classify -m m x" "classify -m m --json x" "logits -m m --ids 1" "tokenize -m m x" "tokenize -m m --ids x" \
               "inspect m" "inspect --json m" "help classify" "version"; do
        status=0
        "$PITH" $cmd >/dev/full 2>err || status=$?
        [ "$status" = 1 ]
        [ "$(wc -l <err)" = 1 ]
        grep -q "stdout: cannot write: No space left on device" err
    done
    printf 'text,label\ngood,0\n' >r.csv
    status=0; "$PITH" eval -m m -f r.csv >/dev/full 2>err || status=$?
    [ "$status" = 1 ]
    [ "$(wc -l <err)" = 1 ]
    run_split "$PITH" classify -m m -f r.csv -o /dev/full --output-format jsonl
    fails 1 "/dev/full: cannot write: No space left"
}

@test "a closed stdout: an error, not a silent success" {
    status=0
    "$PITH" classify -m m x >&- 2>err || status=$?
    [ "$status" = 1 ]
    grep -q "stdout: cannot write" err
}

@test "closed standard files: their numbers are not taken by others" {
    printf 'text,label\ngood,0\n' >r.csv
    status=0; "$PITH" eval -m m -f r.csv -o rows.jsonl >&- 2>err || status=$?
    [ "$status" = 1 ]
    [ "$(wc -l <rows.jsonl)" = 1 ]
    if grep -q accuracy rows.jsonl; then false; fi
    [ -n "$("$PITH" classify -m m x <&-)" ]
    status=0; "$PITH" classify -m m <&- 2>err || status=$?
    [ "$status" = 1 ]
    grep -q "stdin: cannot read" err
    "$PITH" classify -v -m m x 2>&- | grep -q x
}

@test "weights that shrink under the mapping end in a message that names the file" {
    /usr/bin/python3 - <<'P'
import os, signal, subprocess, time
pith = os.environ["PITH"]
p = subprocess.Popen([pith, "classify", "-m", "m", "-t", "2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
p.stdin.write(b"a good film\n"); p.stdin.flush()
assert p.stdout.readline()
os.truncate("m/model.safetensors", 100)
p.stdin.write(b"it is bad and awful\n" * 3); p.stdin.close()
out, err = p.stdout.read(), p.stderr.read().decode()
# Everything may have been packed and the file no longer be needed; what must not happen is death by signal.
assert p.wait(20) in (0, 1), p.returncode
if p.returncode == 1:
    assert err.count("\n") == 1 and "m/model.safetensors" in err and "--no-mmap" in err and "shrank" in err, err
else:
    print("the file was no longer needed")
P
}

@test "inspect --stats of a file that shrinks: a message, status 1" {
    /usr/bin/python3 - <<'P'
import json, os, struct, subprocess, time
# 1 GB of zeros on paper: long enough to be cut while it is read.
n = 1 << 28
h = json.dumps({"x": {"dtype": "F32", "shape": [n], "data_offsets": [0, 4 * n]}}).encode()
with open("big.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(h)) + h)
    f.truncate(8 + len(h) + 4 * n)
p = subprocess.Popen([os.environ["PITH"], "inspect", "--stats", "big.safetensors"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
time.sleep(0.15)
os.truncate("big.safetensors", 4096)
out, err = p.communicate(timeout=60)
err = err.decode()
assert p.returncode == 1, (p.returncode, err)
assert err.count("\n") == 1 and "big.safetensors" in err, err
P
}

@test "progress on a terminal's stderr: after a second, with rows/s and time left; never in a pipe, never with -q" {
    command -v script >/dev/null || skip "no script(1)"
    /usr/bin/python3 -c "
import random
w = 'good bad film movie great awful plot love hate'.split()
for _ in range(40000): print(' '.join(random.choice(w) for _ in range(60)))" >t.txt
    for i in 1 2 3 4 5 6 7 8 9 10; do cat t.txt; done >u.txt # for many seconds wherever this runs; none of it is waited for
    interrupted_at '[\d,]+ rows, [\d,.]+ rows/s, \d+%, [\d:]+:\d\d left' "$PITH" classify -m m -t 1 -f u.txt -o o.txt
    run script -qec "timeout -s INT 1.7 $PITH classify -q -m m -t 1 -f u.txt -o o.txt" log </dev/null
    [ "$status" = 124 ]
    if grep -qa 'rows/s' log; then false; fi
    run_split timeout -s INT 1.7 "$PITH" classify -m m -t 1 -f u.txt -o o.txt
    [ "$status" = 124 ] && [[ $error != *rows/s* ]]
}
