#!/bin/bash
# The protocols over texts (text-embeddings-inference's, vLLM's /v1/classify, OpenAI's /v1/embeddings) against `pith serve`.
# Speaks TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
source tests/cli.bash
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
tiny "$dir/cross" distilbert-single # a cross-encoder
# A sentence-transformers directory: an encoder without a head.
tiny "$dir/vectors"
"$PITH" convert -q --rename 'distilbert.*=*' --exclude '*classifier*' "$dir/vectors/model.safetensors" "$dir/m.safetensors" >"$dir/log" || exit 1
mv "$dir/m.safetensors" "$dir/vectors/model.safetensors"
sed -i 's/DistilBertForSequenceClassification/DistilBertModel/' "$dir/vectors/config.json"
mkdir "$dir/vectors/1_Pooling"
cat >"$dir/vectors/modules.json" <<'E'
[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
 {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
E
echo '{"max_seq_length": 24, "do_lower_case": false}' >"$dir/vectors/sentence_bert_config.json"
echo '{"word_embedding_dimension": 64, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}' >"$dir/vectors/1_Pooling/config.json"
/usr/bin/python3 tests/server_tei.py "$PITH" "$dir" 2>"$dir/log"
rc=$?
if ((rc)); then sed 's/^/# /' "$dir/log"; fi
exit $rc
