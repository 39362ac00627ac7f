#!/usr/bin/env bash
# A shop of 3,000 simulated customers, from nothing to a served answer; `make demo` calls it.
set -euo pipefail

python=${PYTHON:?the python of the virtual environment}
port=${PORT:-8000}
home=var/demo
answers=http://127.0.0.1:$port

export VITRINE_STATE_DIR=$home/state VITRINE_BUNDLES=$home/bundles
export VITRINE_DEMO=$home/data VITRINE_PLAN=deploy/demo-plan.yaml VITRINE_EXPORTS=$home/exports

stop() {
    if [[ -f $home/pid ]] && kill -0 "$(<$home/pid)" 2>/dev/null; then
        kill "$(<$home/pid)"
        tail --pid="$(<$home/pid)" -f /dev/null
    fi
}

say() { printf '\n== %s\n' "$*" >&2; }

stop
rm -rf $home
mkdir -p $home
[[ ${1:-} == stop ]] && exit

say "a simulated shop"
"$python" -m training simulate --out $home/data

say "a bundle trained on it"
"$python" -m training train --data $home/data --out $home/bundles --cache var

say "the store, filled"
"$python" -m app load --data $home/data

say "the service"
nohup "$python" -m app serve --port "$port" >$home/log 2>&1 &
echo $! >$home/pid
for _ in {1..100}; do
    curl --silent --fail --output /dev/null "$answers/health/ready" && break
    kill -0 "$(<$home/pid)" || { cat $home/log >&2; exit 1; }
    sleep 0.2
done

query="$answers/v1/recommendations?customer_id=c0000001&market=fr&limit=10"
answer=$(curl --silent --fail-with-body "$query")
cat <<END

Ten sales for one customer:

  curl '$query'

$answer

Also: $answers/health/full, $answers/metrics, $answers/openapi.json
The service runs on, its log is $home/log. End it with: make demo-stop

The shop window, to open in a browser: $answers/demo
Traffic, reasons, rules, bundles:      $answers/insight
The API, to try out:                   $answers/docs
END
