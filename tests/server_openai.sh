#!/bin/bash
# OpenAI's protocol: our own client (server_openai.py), then OpenAI's (server_openai_client.mjs). Speaks TAP.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build} pith=${PITH:-./pith} failed=0 server=
client=openai@5.23.2 # runs on Node 20
dir=$(mktemp -d)
cleanup() {
    [[ -z $server ]] || kill "$server" 2>/dev/null
    wait
    rm -rf "$dir"
}
trap cleanup EXIT
mkdir "$dir/own"
"${PYTHON:-python3}" tests/server_openai.py "$pith" "$dir/own" || failed=1

skip() {
    echo "ok - OpenAI's own client # skip: $1"
    exit $failed
}
command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 || skip "no node and npm"
modules=$build/npm
if [[ ! -d $modules/node_modules/openai ]]; then
    mkdir -p "$modules"
    timeout 60 npm install --prefix "$modules" --no-audit --no-fund --ignore-scripts "$client" >"$dir/npm" 2>&1 || skip "npm cannot install $client"
fi
cp tests/server_openai_client.mjs "$modules/client.mjs"
: >"$dir/log"
"$pith" serve -m "chat=$dir/own/chat" -m reviews=models/bundled/reviews --port 0 --api-key secret 2>"$dir/log" &
server=$!
for ((i = 0; i < 1000; i++)); do
    grep -q ': ready' "$dir/log" && break
    kill -0 $server 2>/dev/null || break
    sleep 0.05
done
address=$(sed -n 's/.*listening on //p' "$dir/log")
if ! timeout 100 node "$modules/client.mjs" "$address/v1"; then
    failed=1
    sed 's/^/#   /' "$dir/log"
fi
kill $server
wait $server || { echo "not ok - the server ends well"; failed=1; }
server=
exit $failed
