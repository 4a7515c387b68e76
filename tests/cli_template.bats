# pith template: prompts byte-equal to transformers', dates, tools, refusals.
setup() {
    load cli
    d=$BATS_TEST_TMPDIR/m
    mkdir -p "$d"
    cat >"$d/tokenizer_config.json" <<'J'
{"bos_token": "<s>", "eos_token": "</s>", "chat_template": "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}{% if tools %}{{ tools | tojson }}{% endif %}{% if add_generation_prompt %}[assistant]{% endif %}{% if thinking %}!{% endif %}"}
J
    hi='[{"role": "user", "content": "Hi é [x]"}]'
}

# As run_split, with the caller's stdin.
with_stdin() {
    status=0
    "$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || status=$?
    output=$(cat "$BATS_TEST_TMPDIR/out")
    error=$(cat "$BATS_TEST_TMPDIR/err")
}

@test "messages on stdin or in a file; nothing is added to the prompt" {
    with_stdin "$PITH" template -m "$d" <<<"$hi"
    [ "$status" -eq 0 ]
    [ "$output" = "<s>[user]Hi é [x]</s>[assistant]" ]
    [ -z "$error" ]
    echo "$hi" >"$BATS_TEST_TMPDIR/hi.json"
    "$PITH" template -m "$d" "$BATS_TEST_TMPDIR/hi.json" >"$BATS_TEST_TMPDIR/o"
    printf '<s>[user]Hi é [x]</s>[assistant]' | cmp - "$BATS_TEST_TMPDIR/o"
    PITH_MODEL=$d "$PITH" template --no-generation-prompt - <<<"$hi" >"$BATS_TEST_TMPDIR/o"
    printf '<s>[user]Hi é [x]</s>' | cmp - "$BATS_TEST_TMPDIR/o"
}

@test "tools, variables, long numbers as they were written" {
    echo '[{"n": 12345678901234567890123, "d": "é<"}]' >"$BATS_TEST_TMPDIR/tools.json"
    with_stdin "$PITH" template -m "$d" --tools "$BATS_TEST_TMPDIR/tools.json" --variables '{"thinking": true}' <<<"$hi"
    [ "$status" -eq 0 ]
    [ "$output" = '<s>[user]Hi é [x]</s>[{"n": 12345678901234567890123, "d": "é<"}][assistant]!' ]
}

@test "--json tells which bytes came from the conversation" {
    with_stdin "$PITH" template -m "$d" --json <<<"$hi"
    [ "$output" = '{"text":"<s>[user]Hi é [x]</s>[assistant]","foreign":[[9,18]]}' ]
}

@test "a template file with bos, eos and a date" {
    printf '{{ bos_token }}{{ strftime_now("%%d %%b %%Y") }}{{ eos_token }}{{ messages[0].content }}' >"$d/t.jinja"
    with_stdin "$PITH" template --template "$d/t.jinja" --bos '<b>' --eos '<e>' --date 2024-07-26 <<<"$hi"
    [ "$status" -eq 0 ]
    [ "$output" = "<b>26 Jul 2024<e>Hi é [x]" ]
    with_stdin "$PITH" template --template "$d/t.jinja" <<<"$hi"
    [ "$output" = "$(LC_ALL=C date '+%d %b %Y')Hi é [x]" ]
}

@test "a template that raises: its message, status 1, nothing on stdout" {
    with_stdin "$PITH" template -m "$d" <<<'[{"role": "system", "content": "x"}]'
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    [[ $error == "pith template: "*"tokenizer_config.json: line 1: TemplateError: System role not supported" ]]
}

@test "bad input is one line that says what and where" {
    refused() { # part of the message, arguments...
        local part=$1 status_wanted=$2
        shift 2
        with_stdin "$PITH" template "$@" <<<"${messages-$hi}"
        [ "$status" -eq "$status_wanted" ] && [ -z "$output" ] && [[ $error == *"$part"* ]] && [ "$(wc -l <<<"$error")" -eq 1 ] ||
            { echo "$part: $status $output $error"; return 1; }
    }
    mkdir "$BATS_TEST_TMPDIR/none"
    refused "no chat template" 1 -m "$BATS_TEST_TMPDIR/none"
    refused "cannot open" 1 --template "$d/nothing.jinja"
    refused "which template?" 2
    refused "--bos and --eos go with --template" 2 -m "$d" --bos x
    refused "expected YYYY-MM-DD" 2 -m "$d" --date 26.7.2024
    refused "a day of that month" 1 -m "$d" --date 2024-02-30
    refused "no chat template named x; there are: default" 1 -m "$d" --name x
    refused "nothing.json" 1 -m "$d" --tools "$d/nothing.json"
    refused "one file of messages" 2 -m "$d" a b
    messages='{"role": "user"}' refused "messages: expected a JSON array" 1 -m "$d"
    messages='[{"role": }]' refused "messages: not valid JSON at line 1, column 11" 1 -m "$d"
    printf '{%% for i in range(100000) %%}{%% for j in range(100000) %%}{%% endfor %%}{%% endfor %%}' >"$d/loop.jinja"
    refused "are allowed" 1 --template "$d/loop.jinja"
}

@test "golden/chat: all cases through the command line" {
    need golden/chat
    /usr/bin/python3 - <<'P'
import json, os, subprocess, tempfile
pith, root = os.environ['PITH'], os.environ['SHARED'] + '/golden/chat/'
tokens = json.load(open(root + 'tokens.json'))
cases = [json.loads(l) for l in open(root + 'golden.jsonl')]
bad = 0
for c in cases[::8]:  # every eighth: the rest is in test_chat
    t = tokens[c['template']]
    cmd = [pith, 'template', '--template', root + c['template'] + '.jinja', '--date', '2024-07-26']
    for k in ('bos', 'eos'):
        if t[k + '_token'] is not None:
            cmd += ['--' + k, t[k + '_token']]
    if not c['add_generation_prompt']:
        cmd.append('--no-generation-prompt')
    with tempfile.NamedTemporaryFile('w') as f:
        if c['tools'] is not None:
            json.dump(c['tools'], f)
            f.flush()
            cmd += ['--tools', f.name]
        p = subprocess.run(cmd, input=json.dumps(c['messages']).encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if 'error' in c:
        good = p.returncode == 1 and not p.stdout and c['error'].encode() in p.stderr
    else:
        good = p.returncode == 0 and p.stdout == c['rendered'].encode()
    if not good:
        bad += 1
        print(c['template'], c['case'], p.returncode, p.stderr.decode())
assert not bad and len(cases) == 1184
P
}
