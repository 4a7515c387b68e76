# What the command-line tests share: where things lie, a tiny model with a vocabulary of its own, checks in Python.
PITH=${PITH:-./pith}
PITH=$(realpath "$PITH")
SHARED=$(realpath -m "${PITH_SHARED:-../shared}")
GOLDEN=$PWD/tests/golden
REVIEWS=$SHARED/models/distilbert-imdb-sst2-small

# The tests decide what the environment says, but for the sandbox: a program that counts its branches writes where it likes.
sandbox=${PITH_SANDBOX-}
unset "${!PITH_@}" NO_COLOR
[ -z "$sandbox" ] || export PITH_SANDBOX=$sandbox
export PITH SHARED GOLDEN REVIEWS LC_ALL=C.UTF-8

# Programs in build folders do not lie beside the bundled models.
[ -e "$(dirname "$PITH")/models/bundled" ] || export PITH_DATA=$PWD/models/bundled

# Skips, saying so, where the shared goldens are not.
need() {
    for f in "$@"; do
        [ -e "$SHARED/$f" ] || { echo "# skip: no shared goldens ($f)"; skip "no shared goldens ($f)"; }
    done
}

# A random two-label DistilBERT (NEGATIVE, POSITIVE; 72 positions, 515 ids) that can read text.
tiny() { # folder [golden model]
    mkdir -p "$1"
    cp "$GOLDEN/models/${2:-distilbert-f32}"/* "$1/"
    /usr/bin/python3 - "$1/tokenizer.json" <<'P'
import sys, string, json
special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
v = special + list(string.printable[:94]) + ['##' + c for c in string.ascii_lowercase]
v += 'good bad film movie the was is great awful plot love hate'.split()
v += ['[unused%d]' % i for i in range(515 - len(v))]
ids = {t: i for i, t in enumerate(v)}
assert len(ids) == 515
json.dump({
    'version': '1.0', 'truncation': None, 'padding': None,
    'added_tokens': [{'id': i, 'content': t, 'single_word': False, 'lstrip': False, 'rstrip': False, 'normalized': False,
                      'special': True} for i, t in enumerate(special)],
    'normalizer': {'type': 'BertNormalizer', 'clean_text': True, 'handle_chinese_chars': True, 'strip_accents': None,
                   'lowercase': True},
    'pre_tokenizer': {'type': 'BertPreTokenizer'},
    'post_processor': {'type': 'BertProcessing', 'sep': ['[SEP]', 3], 'cls': ['[CLS]', 2]},
    'decoder': {'type': 'WordPiece', 'prefix': '##', 'cleanup': True},
    'model': {'type': 'WordPiece', 'unk_token': '[UNK]', 'continuing_subword_prefix': '##',
              'max_input_chars_per_word': 100, 'vocab': ids}}, open(sys.argv[1], 'w'))
P
    echo '{"model_max_length": 72, "tokenizer_class": "DistilBertTokenizer"}' > "$1/tokenizer_config.json"
}

# interrupted_at REGEX COMMAND...: runs it on a terminal until it says that, then interrupts it: it must end with 130.
interrupted_at() {
    run timeout 60 /usr/bin/python3 - "$@" <<'P'
import os, pty, re, signal, sys
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execv(sys.argv[2], sys.argv[2:])
seen = b""
while not re.search(sys.argv[1].encode(), seen): seen += os.read(fd, 65536)
os.kill(pid, signal.SIGINT)
_, status = os.waitpid(pid, 0)
assert os.WEXITSTATUS(status) == 130, status
P
    echo "$output"
    [ "$status" = 0 ]
}

# py CODE: CODE sees `out`, the text of $output, `rows`, its lines as JSON if they are, and argv.
py() {
    code=$1
    shift
    printf '%s' "$output" >"$BATS_TEST_TMPDIR/output"
    OUTPUT=$BATS_TEST_TMPDIR/output /usr/bin/python3 -c '
import os, sys, json
out = open(os.environ["OUTPUT"], encoding="utf-8", newline="").read()
try: rows = [json.loads(l) for l in out.split("\n") if l]
except ValueError: rows = None
'"$code" "$@"
}

# fails STATUS PATTERN: the last run ended so, with nothing on stdout and one line on stderr that matches. Use with
# `run_split`.
run_split() {
    status=0
    "$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" </dev/null || status=$?
    output=$(cat "$BATS_TEST_TMPDIR/out")
    error=$(cat "$BATS_TEST_TMPDIR/err")
}
fails() {
    if [ "$status" != "$1" ] || [ -n "$output" ] || [ "$(wc -l <"$BATS_TEST_TMPDIR/err")" != 1 ] || ! [[ $error == *$2* ]]; then
        echo "status $status, expected $1; stdout: $output; stderr: $error; expected in it: $2"
        return 1
    fi
}
