#!/usr/bin/env bash
# Uses a GPU that is there for a short time: looks whether every network is right on it, then trains what fits.
#
#   benchmarks/gpu_session.sh look OUT [SECONDS] [SUITE]
#   benchmarks/gpu_session.sh train OUT SECONDS [SUITE] [OPTION...]
#
# OUT is a folder for what is to be carried home; SUITE is suites/camvid-gpu.yaml unless another one is named, and
# options go to 'segbench run'. "look" writes OUT/networks.json and OUT/gpu-tests.log, and ends with 1 where a network
# or a test has a problem. "train" writes OUT/facts*.tar.xz for 'segbench results merge', whatever it came to, and ends
# with what 'segbench run' ended with: 3 where runs are left. Another session goes on where this one stopped if the
# archives were merged into the results that it finds.
#
# SEGBENCH_DATA names the data. SEGBENCH, where it is set, is the command to use in place of 'segbench', PYTHON the
# interpreter of the tests, RESULTS the folder of results. STATES=1 packs the states of unfinished runs, too, whatever
# their size (an FCN's is 1.6 GB): without them, runs that were under way begin anew elsewhere.
set -uo pipefail
cd "$(dirname "$0")/.."
read -ra segbench <<<"${SEGBENCH:-segbench}"
python=${PYTHON:-python3} results=${RESULTS:-results}

case "${1:-}" in
  look)
    out=${2:?where do the findings go?} seconds=${3:-120} suite=${4:-suites/camvid-gpu.yaml}
    mkdir -p "$out"
    "${segbench[@]}" doctor --networks "$suite" --seconds "$seconds" --json "$out/networks.json"
    networks=$?
    mapfile -t files < <(grep -rl --include='*.py' 'mark\.gpu' tests) # the others hold none, and take long to import
    [ ${#files[@]} -gt 0 ] || { echo "there are no tests marked gpu here" >&2 && exit 1; }
    "$python" -m pytest -q -m gpu -p no:cacheprovider --timeout 120 \
      --continue-on-collection-errors "${files[@]}" 2>&1 |
      tee "$out/gpu-tests.log"
    tests=$?
    exit $((networks || tests))
    ;;
  train)
    out=${2:?where do the results go?} seconds=${3:?how many seconds are left?} suite=${4:-suites/camvid-gpu.yaml}
    mkdir -p "$out"
    "${segbench[@]}" run "$suite" --results "$results" --time-limit "${seconds}s" --jobs 2 --order cheapest \
      --no-speed --no-report "${@:5}"
    ended=$?
    folder=$results/$(basename "$suite" .yaml)
    "${segbench[@]}" results pack "$folder" --out "$out/facts.tar.xz" --max-size 15M --predictions
    [ -z "${STATES:-}" ] || "${segbench[@]}" results pack "$folder" --out "$out/states.tar.xz" --states
    exit $ended
    ;;
  *)
    sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"
    exit 2
    ;;
esac
