#!/usr/bin/env bash
# A training in a loop: do memory and the time of a step drift?
#
#   bench/soak.sh [--minutes N] [--threads N]
#
# Trains examples/fashion_mnist.yaml without end, with a resume point every 50 steps and a validation after every epoch, and stops
# it after N minutes (60 by default). Resident memory is read every 10 seconds, images per second are those of the run's history, by
# epoch. The table on stdout has of each the mean, the slope per hour of a straight line, and twice that slope's standard error:
# what the slope has to exceed to be told from noise. The first two minutes and the first epoch, which ends with the first
# validation, do not count.
set -euo pipefail
cd "$(dirname "$0")/.."

minutes=60 threads=$(nproc)
build=${FACET_BUILD:-build}
while [ $# -gt 0 ]; do
    case $1 in
        --minutes) minutes=$2 && shift ;;
        --threads) threads=$2 && shift ;;
        *)
            sed -n '2,/^set/ s/^# \{0,1\}//p' "$0"
            exit 2
            ;;
    esac
    shift
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$build/ft-train" examples/fashion_mnist.yaml --quiet --threads "$threads" --out "$work/run" --set train.epochs=100000 \
    --set train.checkpoint.every_steps=50 --set train.schedule=constant --set train.optimizer.lr=0.01 >"$work/log" 2>&1 &
pid=$!
start=$SECONDS
while [ $((SECONDS - start)) -lt $((minutes * 60)) ] && kill -0 $pid 2>/dev/null; do
    awk -v t=$((SECONDS - start)) '/^VmRSS/ { print t / 3600, $2 / 1024 }' "/proc/$pid/status" >>"$work/memory"
    sleep 10
done
kill -TERM $pid
status=0
wait $pid || status=$?
[ $status -eq 130 ] || { cat "$work/log" >&2 && exit 1; }

# From then on it counts, in hours.
begin=$(awk -F, 'NR == 2 { print ($10 > 120 ? $10 : 120) / 3600 }' "$work/run/history.csv")
[ -n "$begin" ] || { echo "soak.sh: not one epoch in $minutes minutes: give it more" >&2 && exit 1; }

# Hours and values on stdin; the row of the table.
line() {
    awk -v what="$1" -v begin="$begin" '$1 > begin { n++; x += $1; y += $2; xx += $1 * $1; xy += $1 * $2; yy += $2 * $2 }
        END {
            if (n < 3) { print "| " what " | too few readings | | | |"; exit }
            sxx = xx - x * x / n; slope = (xy - x * y / n) / sxx
            rest = (yy - y * y / n - slope * slope * sxx) / (n - 2)
            printf "| %s | %d | %.2f | %+.3f | %.3f |\n", what, n, y / n, slope, 2 * sqrt((rest > 0 ? rest : 0) / sxx)
        }'
}
epochs=$(tail -n 1 "$work/run/history.csv" | cut -d, -f1)
echo "$minutes minutes, $threads threads: $epochs epochs"
echo
echo "| | readings | mean | slope per hour | twice its standard error |"
echo "|---|---|---|---|---|"
line "resident memory, MiB" <"$work/memory"
awk -F, 'NR > 1 { t += $10; print t / 3600, $9 }' "$work/run/history.csv" | line "images per second"
