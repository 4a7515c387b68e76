#!/bin/bash
# How soon a prompt that nobody waits for any more ends, with a model whose prompts take seconds: a client of the server
# that goes, and Ctrl-C. Speaks TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
folder=$(mktemp -d) dir=$folder/model
trap 'rm -rf "$folder"' EXIT
pith=${PITH:-./pith}
"$pith" bench --shape smollm2-135m --write "$dir" >"$folder/log" 2>&1 || { sed 's/^/# /' "$folder/log"; echo "not ok - a model is written"; exit 1; }
cp models/bundled/reviews/tokenizer.json models/bundled/reviews/tokenizer_config.json "$dir/"
"${PYTHON:-python3}" - "$pith" "$dir" <<'E'
import http.client, json, signal, subprocess, sys, time

PITH, DIR = sys.argv[1:3]
failed = 0


def check(name, good, *told):
    global failed
    failed += not good
    print("%s - %s" % ("ok" if good else "not ok", name), *(["\n#  "] if told else []), *told, flush=True)


def prompt(k): return [(i * 7 + k * 31) % 4000 + 10 for i in range(1500)]


server = subprocess.Popen([PITH, "serve", "-m", "m=" + DIR, "--port", "0"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
address = None
for line in server.stderr:
    if "listening" in line: address = line.split("//")[1].strip()
    if line.endswith(": ready\n"): break


def ask(k):
    c = http.client.HTTPConnection(address, timeout=600)
    c.request("POST", "/v1/completions", json.dumps({"prompt": prompt(k), "max_tokens": 1}), {"Content-Type": "application/json"})
    return c


def metric(name):
    c = http.client.HTTPConnection(address, timeout=60)
    c.request("GET", "/metrics")
    text = c.getresponse().read().decode()
    c.close()
    return sum(float(l.split()[-1]) for l in text.split("\n") if l.startswith(name + "{"))


try:
    assert ask(0).getresponse().read()
    chunks, freed = [], []
    for k in range(1, 8):
        before = metric("pith_prompt_tokens_total"), metric("pith_cancelled_total")
        c = ask(k)
        ends = []
        for _ in range(2): # the third chunk has begun, and what the second took is known
            done = metric("pith_prompt_tokens_total")
            while metric("pith_prompt_tokens_total") == done: time.sleep(0.002)
            ends.append(time.monotonic())
        start = time.monotonic()
        c.sock.close()
        c.close()
        while metric("pith_cancelled_total") == before[1]: time.sleep(0.002)
        freed.append(time.monotonic() - start)
        chunks.append(ends[1] - ends[0])
        assert metric("pith_prompt_tokens_total") <= before[0] + 768
    check("a client that goes frees its place long before its chunk is done", sorted(f / c for f, c in zip(freed, chunks))[3] < 1 / 3,
          "chunks took %s ms; places were free after %s ms" % tuple(", ".join("%.0f" % (1e3 * t) for t in l) for l in (chunks, freed)))
finally:
    server.send_signal(signal.SIGTERM)
    server.wait(60)

chunk = sorted(chunks)[3]
took = []
for k in range(5):
    p = subprocess.Popen([PITH, "generate", "-v", "-m", DIR, "-n", "1", "--ids", json.dumps(prompt(k))], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    for line in p.stderr:
        if "greedy" in line: break # the model is loaded
    time.sleep(chunk / 2)
    start = time.monotonic()
    p.send_signal(signal.SIGINT)
    assert p.wait(120) == 130, p.returncode
    took.append(time.monotonic() - start)
took.sort()
check("Ctrl-C ends a prompt's computation at once", took[2] < chunk, "it took %s ms" % ", ".join("%.0f" % (1e3 * t) for t in took))
sys.exit(failed > 0)
E
