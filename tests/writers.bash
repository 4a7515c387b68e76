# Every command that writes a file, for the tests in which disks fail and programs die. Needs load cli.

# What they read, in the current folder, and what their targets were before: old, a file, and old.dir, a folder.
writers_prepare() {
    local i
    tiny enc
    tiny one distilbert-single
    cp -r "$GOLDEN/../../models/bundled/reviews" dec
    for i in $(seq 600); do echo "a good film $i"; done >rows.txt
    echo '{"chat_template":"{% for m in messages %}{{ m.content }}{% endfor %}"}' >dec/tokenizer_config.json
    { echo text,label; for i in $(seq 100); do printf 'good %s,POSITIVE\nbad,NEGATIVE\n' "$i"; done; } >eval.csv
    printf '[{"role":"user","content":"%s"},{"role":"assistant","content":"x"}]' "$(head -c 20000 /dev/zero | tr '\0' a)" >said.json
    printf '/load said.json\n/save d/o.json\n' >chat.txt
    echo old >old
    mkdir old.dir && cp enc/config.json old.dir/
}

# writers DO: calls DO NAME TARGET OLD COMMAND... for each. The targets are alone in the folder d.
writers() {
    local do=$1 ids
    ids=$(seq -s, 48)
    "$do" "classify --output, jsonl" d/o.jsonl old "$PITH" classify -q -m enc -t 1 -f rows.txt -o d/o.jsonl
    "$do" "classify --output, csv" d/o.csv old "$PITH" classify -q -m enc -t 1 -f rows.txt -o d/o.csv
    "$do" "eval --output" d/o.jsonl old "$PITH" eval -q -m enc -t 1 -f eval.csv -o d/o.jsonl
    "$do" "embed --output" d/o.npy old "$PITH" embed -q -m enc -t 1 -f rows.txt -o d/o.npy
    "$do" "rerank --output" d/o.jsonl old "$PITH" rerank -q -m one -t 1 good -f rows.txt -o d/o.jsonl
    "$do" "generate --output" d/o.jsonl old "$PITH" generate -q -m dec -t 1 -n 1 --temp 0 --input rows.txt -o d/o.jsonl
    "$do" "logits --output" d/o.npy old "$PITH" logits -q -m enc -t 1 --hidden --ids "$ids" -o d/o.npy
    "$do" "chat /save" d/o.json old bash -c 'exec "$PITH" chat -q -m dec -t 1 <chat.txt'
    "$do" "inspect --html" d/o.html old "$PITH" inspect -q enc --html d/o.html
    "$do" "verify --record" d/o.json old "$PITH" verify -q enc -t 1 --record d/o.json --force --prompts rows.txt
    "$do" "verify --manifest" d/o.json old "$PITH" verify -q enc -t 1 --no-forward --manifest d/o.json --force
    "$do" "convert" d/o old.dir "$PITH" convert -q enc d/o --force --dtype f16
    "$do" "convert to a file" d/o.safetensors old "$PITH" convert -q enc/model.safetensors d/o.safetensors --force --dtype f16
    "$do" "quantize" d/o old.dir "$PITH" quantize -q enc d/o --force
}
