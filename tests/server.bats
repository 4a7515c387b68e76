# The life of `pith serve`: starting, refusing to start, draining, its sandbox, its log, and clients that mean no good.
bats_require_minimum_version 1.5.0
setup() {
    load cli
    load serve
}
teardown() { serve_kill; }

abuse() { /usr/bin/python3 "$BATS_TEST_DIRNAME/http_abuse.py" "$@"; }

@test "it listens, tells where, is ready, and ends with 0 when asked" {
    serve_up -m sentiment -m writer=reviews
    run cat "$SERVE_LOG"
    [[ $output == *"pith serve: listening on http://127.0.0.1:"* ]]
    [[ $output == *"model sentiment: distilbert"* && $output == *"model writer: llama"* ]]
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$URL/health")" = 200 ]
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$URL/ready")" = 200 ]
    serve_end TERM
    [ "$status" = 0 ]
    grep -q 'drained$' "$SERVE_LOG"
    serve_up
    serve_end HUP # (bash lets its background jobs ignore SIGINT)
    [ "$status" = 0 ]
}

@test "what cannot be served is refused in one line" {
    serve_up -m sentiment
    run_split "$PITH" serve -m sentiment --port "${URL##*:}"
    fails 1 "another program listens there"
    run_split "$PITH" serve -m nowhere --port 0
    fails 1 "no directory and no bundled model"
    run_split "$PITH" serve -m sentiment -m sentiment --port 0
    fails 1 "two models have the name 'sentiment'"
    run_split "$PITH" serve -m =sentiment --port 0
    fails 1 "the name before = is empty"
    run_split "$PITH" serve --host no.such.host.invalid --port 0
    fails 1 "host 'no.such.host.invalid'"
    run_split "$PITH" serve --api-key x --api-key-file y
    fails 2 "give one of them"
    run_split "$PITH" serve --api-key-file "$BATS_TEST_TMPDIR/none" --port 0
    fails 1 "No such file"
    run_split "$PITH" serve --port 65536
    fails 2 "port"
    mkdir "$BATS_TEST_TMPDIR/empty"
    run_split "$PITH" serve -q -m "$BATS_TEST_TMPDIR/empty" --port 0
    fails 1 "config.json"
}

long='{"model": "reviews", "prompt": "This movie", "max_tokens": 480, "ignore_eos": true, "n": 64}'
post() { curl -s --max-time 60 -H 'Content-Type: application/json' "$@"; }
# Until a request is being worked on.
busy() { for _ in $(seq 200); do curl -s "$URL/metrics" | grep -q '^pith_[a-z_]*running{[^}]*reviews[^}]*} [1-9]' && return; sleep 0.02; done; return 1; }

@test "SIGTERM: what runs is finished, nothing new is taken" {
    serve_up
    post -N "$URL/v1/completions" -d '{"model": "reviews", "prompt": "This movie", "max_tokens": 480, "ignore_eos": true, "stream": true}' \
        >"$BATS_TEST_TMPDIR/stream" &
    client=$!
    busy
    kill -TERM "$PID"
    for _ in $(seq 100); do grep -q draining "$SERVE_LOG" && break; sleep 0.01; done
    ! curl -s -o /dev/null "$URL/health" || false
    wait $client
    [ "$(tail -n 2 "$BATS_TEST_TMPDIR/stream" | head -n 1)" = "data: [DONE]" ]
    serve_end
    [ "$status" = 0 ]
    grep -q 'drained$' "$SERVE_LOG"
}

@test "a second signal, and the end of the grace, end what runs" {
    serve_up
    post -o "$BATS_TEST_TMPDIR/answer" -w '%{http_code}' "$URL/v1/completions" -d "$long" >"$BATS_TEST_TMPDIR/code" &
    client=$!
    busy
    kill -TERM "$PID"
    for _ in $(seq 100); do grep -q draining "$SERVE_LOG" && break; sleep 0.01; done
    start=$SECONDS
    serve_end
    [ "$status" = 0 ]
    ((SECONDS - start < 5))
    grep -q 'ending 1 requests' "$SERVE_LOG"
    wait $client || true
    [ "$(cat "$BATS_TEST_TMPDIR/code")" = 503 ]
    serve_up --grace 0.1
    post -o "$BATS_TEST_TMPDIR/answer" "$URL/v1/completions" -d "$long" &
    busy
    start=$SECONDS
    serve_end
    [ "$status" = 0 ]
    ((SECONDS - start < 5))
    grep -q 'ending 1 requests' "$SERVE_LOG"
}

@test "a unix socket: a dead one's file is replaced, a live one's is not, it is gone at the end" {
    cd "$BATS_TEST_TMPDIR"
    serve_up -m sentiment --unix s
    [ "$URL" = unix:s ]
    [ "$(stat -c %a s)" = 660 ]
    [ "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket s http://x/health)" = 200 ]
    run_split "$PITH" serve -m sentiment --unix s
    fails 1 "a living server's socket"
    kill -9 "$PID"
    wait "$PID" || true
    [ -S s ]
    serve_up -m sentiment --unix s
    [ "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket s http://x/health)" = 200 ]
    serve_end
    [ "$status" = 0 ]
    [ ! -e s ]
}

as() { curl -s -o "$BATS_TEST_TMPDIR/answer" -w '%{http_code}' -H "Host: $1" "${@:3}" "$URL$2"; }

@test "a page that makes its name mean this machine is refused; addresses, localhost and allowed names are not" {
    serve_up -m sentiment
    for path in / /health /v1/models /metrics; do
        [ "$(as evil.example "$path")" = 403 ]
        for name in localhost 127.0.0.1 "[::1]:8080" "${URL##*/}"; do [ "$(as "$name" "$path")" = 200 ]; done
    done
    [ "$(as evil.example:8080 /predict -H 'Content-Type: application/json' -d '{"inputs": "good"}')" = 403 ]
    grep -q "'evil.example:8080'.*--allow-host" "$BATS_TEST_TMPDIR/answer"
    ! grep -q score "$BATS_TEST_TMPDIR/answer" || false
    serve_end
    serve_up -m sentiment --allow-host models.example --allow-host box
    [ "$(as models.example:443 /v1/models)" = 200 ]
    [ "$(as BOX /v1/models)" = 200 ]
    [ "$(as evil.example /v1/models)" = 403 ]
    serve_end
    serve_up -m sentiment --api-key k # which a page does not know
    [ "$(as proxy.example /v1/models -H 'Authorization: Bearer k')" = 200 ]
    [ "$(as proxy.example /v1/models)" = 401 ]
    serve_end
    serve_up -m sentiment --host 0.0.0.0 # whose names nobody can know
    [ "$(as lan.example /v1/models)" = 200 ]
    serve_end
}

@test "every thread is in the sandbox, unless --no-sandbox" {
    [ -e /proc/self/status ] || skip "no /proc"
    if grep -q '__[at]san_init' "$PITH"; then echo "# skip: sanitizers do what the sandbox forbids"; skip "sanitizers do what the sandbox forbids"; fi
    serve_up
    if grep -q 'no sandbox' "$SERVE_LOG"; then echo "# skip: this kernel has no seccomp"; skip "this kernel has no seccomp"; fi
    for t in /proc/"$PID"/task/*; do
        grep -q '^Seccomp:.2' "$t/status"
        grep -q '^NoNewPrivs:.1' "$t/status"
    done
    serve_end
    serve_up -m sentiment --no-sandbox
    grep -q '^Seccomp:.0' "/proc/$PID/status"
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$URL/health")" = 200 ]
}

@test "the access log is a JSON object a request" {
    serve_up -m sentiment --access-log
    curl -s -o /dev/null -H 'X-Request-Id: my-id.1' "$URL/health?x=%22"
    curl -s -o /dev/null "$URL/%22%0a%1b%5b31m"
    curl -s -o /dev/null -X POST -H 'Content-Length: 99999999999' "$URL/predict"
    serve_end
    output=$(grep '^{' "$SERVE_LOG")
    py '
assert len(rows) == 3, rows
assert rows[0]["id"] == "my-id.1" and rows[0]["route"] == rows[0]["path"] == "/health" and rows[0]["status"] == 200, rows[0]
assert rows[0]["method"] == "GET" and rows[0]["peer"] == "127.0.0.1" and 0 < rows[0]["seconds"] < 1 and rows[0]["sent"] > 0
assert rows[1]["route"] == "other" and rows[1]["path"] == "/\"\n\x1b[31m" and rows[1]["status"] in (401, 404), rows[1]
assert rows[2]["status"] == 413 and rows[2]["gone"] is False, rows[2]
assert len({r["id"] for r in rows}) == 3
import datetime
for r in rows: datetime.datetime.strptime(r["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
'
}

@test "the access log counts tokens, of streams and of clients that went, too" {
    serve_up --access-log
    ask() { curl -s -o "$BATS_TEST_TMPDIR/answer" -H 'Content-Type: application/json' "$URL$1" -d "$2" "${@:3}"; }
    ask /v1/completions '{"model": "reviews", "prompt": "This movie", "max_tokens": 7, "ignore_eos": true, "n": 2}'
    ask /v1/completions '{"model": "reviews", "prompt": ["This movie", "A"], "max_tokens": 5, "ignore_eos": true, "stream": true}'
    ask /v1/classify '{"model": "sentiment", "input": ["good", "very bad"]}'
    ask /v1/embeddings '{"model": "sentiment", "input": "good"}'
    ask /v1/completions '{"model": "reviews", "prompt": "This movie", "max_tokens": 480, "ignore_eos": true, "n": 128, "stream": true}' --max-time 0.3 || true
    serve_end
    output=$(grep '^{' "$SERVE_LOG")
    py '
got = [(r["tokens_in"], r["tokens_out"]) for r in rows]
assert got[:4] == [(3, 14), (5, 10), (7, 0), (3, 0)], got
assert got[4][0] == 3 and 1 <= got[4][1] < 480 * 128 and rows[4]["gone"] is True, rows[4]
'
}

@test "a log that nobody reads does not stop it" {
    mkfifo "$BATS_TEST_TMPDIR/fifo"
    exec 7<>"$BATS_TEST_TMPDIR/fifo"
    "$PITH" serve -m sentiment --port 0 --access-log 2>"$BATS_TEST_TMPDIR/fifo" 7>&- 3>&- &
    PID=$!
    while read -r line <&7; do [[ $line != *listening* ]] || URL=${line##* }; [[ $line != *ready ]] || break; done
    URL=$URL timeout 60 /usr/bin/python3 - <<'P'
import os, http.client
c = http.client.HTTPConnection(os.environ["URL"].split("/")[2], timeout=5)
for _ in range(2000):
    c.request("GET", "/health"); assert c.getresponse().read()
P
    cat <&7 >"$BATS_TEST_TMPDIR/rest" &
    reader=$!
    serve_end
    [ "$status" = 0 ]
    kill $reader
    wait $reader || true
    grep -q 'lines of the access log were dropped' "$BATS_TEST_TMPDIR/rest"
}

@test "malformed requests get a 4xx, and it lives" {
    serve_up -m sentiment
    abuse "$URL" malformed
    serve_end
    [ "$status" = 0 ]
}

@test "1,000 idle and slow connections do not delay a request by more than twice" {
    serve_up -m sentiment
    abuse "$URL" crowd 1000 >&3
    serve_end
    [ "$status" = 0 ]
}

@test "aborted requests and streams leave descriptors, threads and memory where they were" {
    [ -e /proc/self/status ] || skip "no /proc"
    serve_up
    if grep -qaE '__[at]san_init' "$PITH"; then export ABUSE_NO_MEMORY=1; fi # it keeps what is freed
    abuse "$URL" aborts "$PID" 1000 >&3
    ABUSE_BODY='{"model": "reviews", "prompt": "This movie", "max_tokens": 400, "ignore_eos": true, "stream": true}' \
        ABUSE_PATH=/v1/completions abuse "$URL" aborts "$PID" 10000 >&3
    serve_end
    [ "$status" = 0 ]
}

@test "the systemd unit is one" {
    command -v systemd-analyze >/dev/null || { echo "# skip: no systemd-analyze"; skip "no systemd-analyze"; }
    sed "s|/usr/local/bin/pith|$PITH|" "$BATS_TEST_DIRNAME/../tools/pith.service" >"$BATS_TEST_TMPDIR/pith.service"
    systemd-analyze verify "$BATS_TEST_TMPDIR/pith.service"
    systemd-analyze security --offline=true --threshold=20 "$BATS_TEST_TMPDIR/pith.service"
}
