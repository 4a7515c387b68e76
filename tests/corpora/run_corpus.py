#!/usr/bin/env python3
"""run_corpus.py st|models|bin CORPUS_DIR -- cmd with {} for the path
(st: NAME.safetensors, models: directories, bin: NAME.bin.) Runs cmd once for each case of CORPUS_DIR/expected.tsv,
compares with the verdict wanted, and prints one line of TAP for each.
PASS: ACCEPT/OK -> exit 0; REJECT/ERROR -> exit 1..125 with a message on stderr; EITHER -> either of those.
FAIL: a signal, a sanitizer report, a time-out, a wrong verdict, a silent refusal."""
import os, resource, subprocess, sys, time

TIMEOUT, HANGS = 20, 600  # seconds of processor time, for a sanitizer is slow; of the clock, for the machine may be busy

def verdict(want, cmd):
    try:
        q = subprocess.run(cmd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=HANGS, stdin=subprocess.DEVNULL,
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (TIMEOUT, TIMEOUT + 1)))
    except subprocess.TimeoutExpired:
        return 'no answer in %d s' % HANGS
    except OSError as e:
        return 'cannot start it: %s' % e
    said = q.stderr.decode('utf-8', 'replace').strip()
    if 'Sanitizer' in said or 'runtime error:' in said:
        return 'sanitizer report: ' + said[:2000]
    if q.returncode < 0 or q.returncode > 125:
        return 'ended by a signal (%d) %s' % (q.returncode, said[:200])
    if q.returncode == 0:
        return 'wrongly accepted' if want in ('REJECT', 'ERROR') else ''
    if want in ('ACCEPT', 'OK'):
        return 'wrongly refused: ' + said
    if not said:
        return 'refused without a word'
    if any(ord(c) < 32 and c not in '\n\t' for c in said):
        return 'control characters in the message: %r' % said
    return ''

def main():
    kind, folder = sys.argv[1:3]
    cmd = sys.argv[sys.argv.index('--') + 1:]
    suffix = {'st': '.safetensors', 'models': '', 'bin': '.bin'}[kind]
    rows = [l.split('\t') for l in open(os.path.join(folder, 'expected.tsv'), encoding='utf-8').read().split('\n')[1:] if l]
    bad, slowest = 0, (0, '')
    for i, row in enumerate(rows, 1):
        start = time.time()
        why = verdict(row[1], [a.replace('{}', os.path.join(folder, row[0] + suffix)) for a in cmd])
        slowest = max(slowest, (time.time() - start, row[0]))
        print('%sok %d - %s' % ('not ' if why else '', i, row[0]))
        if why:
            bad += 1
            print('# wanted %s: %s\n# %s' % (row[1], row[-1], why.replace('\n', '\n# ')))
    print('1..%d\n# %d of %d as expected; slowest %.2f s: %s' % ((len(rows), len(rows) - bad, len(rows)) + slowest))
    sys.exit(1 if bad else 0)

main()
