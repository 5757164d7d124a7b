#!/bin/sh
# Builds the fuzzers and runs each on its corpus: `tests/fuzz/run.sh RUNS [NAME...]` executes RUNS inputs each (one fuzzer only,
# or all). What it finds beyond the corpus stays in build-clang/found/<name>.
set -eu
cd "$(dirname "$0")/../.."
runs=$1
shift
cmake -S . -B build-clang -DFACET_WERROR=ON -DFACET_DOUBLE=OFF -DCMAKE_C_COMPILER=clang >/dev/null
cmake --build build-clang -j "$(nproc)" --target fuzzers >/dev/null
[ $# -gt 0 ] || set -- $(ls tests/fuzz/corpus)
for name; do
    mkdir -p "build-clang/found/$name"
    echo "-- $name"
    "build-clang/tests/fuzz/fuzz_$name" -runs="$runs" -seed=1 -timeout=10 -rss_limit_mb=2048 -artifact_prefix=build-clang/ \
        -print_final_stats=1 "build-clang/found/$name" "tests/fuzz/corpus/$name" >"build-clang/$name.log" 2>&1 ||
        { tail -50 "build-clang/$name.log"; exit 1; }
    grep -E "number_of_executed_units|average_exec_per_sec|peak_rss_mb" "build-clang/$name.log"
done
