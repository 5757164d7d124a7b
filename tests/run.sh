#!/bin/sh
# Installs what the tests need, builds, and runs everything: the formatting; the release build with warnings as errors; the same
# tests under AddressSanitizer and UndefinedBehaviorSanitizer; a build with Clang; a short run of the
# fuzzers. `--quick`: the formatting and the release build. Instead of all that: `--coverage`, how many lines and branches the tests
# reach; `--threads`, loading and training under ThreadSanitizer; `--valgrind`, the small suites and a training under Valgrind;
# `--avx512`, AVX-512's kernels made of AVX2's instructions, for a processor that has no AVX-512.
set -eu
cd "$(dirname "$0")/.."

tools/install_packages.sh --tests
jobs=$(nproc)
# Threads that wait sleep instead of spinning: the tests run side by side.
export OMP_WAIT_POLICY=passive

suite() { # NAME CMAKE_OPTION...
    name=$1
    shift
    echo "== $name"
    cmake -S . -B "build-$name" "$@" >/dev/null
    cmake --build "build-$name" -j "$jobs" >/dev/null
    ctest --test-dir "build-$name" -j "$jobs" --output-on-failure
}

if [ "${1:-}" = "--coverage" ]; then
    tools/install_packages.sh --coverage
    suite coverage -DFACET_DOUBLE=OFF -DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS="-O1 --coverage -fprofile-update=atomic -DFACET_COVERAGE"
    gcovr --root . --filter '(tensor|layers|optim|data|train|eval)/' --exclude-unreachable-branches --print-summary build-coverage
    exit 0
fi

# A training of a small network on made-up pictures, by $1 and what comes behind it. One thread computes, several load: what
# OpenMP's threads do is not seen by either tool.
train_with() {
    work=$(mktemp -d)
    for class in a b; do
        mkdir -p "$work/faces/$class"
        for i in $(seq 24); do
            { printf 'P5 24 24 255\n' && head -c 576 /dev/urandom; } >"$work/faces/$class/$i.pgm"
        done
    done
    printf '%s\n' "data: {path: $work/faces, image: {size: 24, channels: 1}, augment: {flip: true, shift: 0.1}, workers: 4}" \
        "model: {arch: lenet}" "train: {batch: 4, epochs: 3, ema: 0.9, checkpoint: {every_steps: 2}}" "output: $work/run" >"$work/run.yaml"
    OMP_NUM_THREADS=1 "$@" "$work/run.yaml" --quiet
    rm -r "$work"
}

if [ "${1:-}" = "--threads" ]; then
    echo "== threads"
    cmake -S . -B build-threads -DFACET_SANITIZE=thread -DFACET_DOUBLE=OFF >/dev/null
    cmake --build build-threads -j "$jobs" --target ft-train test_loader test_augment test_quarantine >/dev/null
    for test in loader augment quarantine; do OMP_NUM_THREADS=1 "build-threads/tests/test_$test"; done
    train_with build-threads/ft-train
    # GCC's OpenMP is a mystery to it, LLVM's is not.
    clang -D_GNU_SOURCE -g -O1 -fsanitize=thread -fopenmp -I. tests/test_par.c tensor/par.c $(pkg-config --cflags --libs check) \
        -o build-threads/test_par
    TSAN_OPTIONS=ignore_noninstrumented_modules=1 CK_FORK=no build-threads/test_par
    exit 0
fi

if [ "${1:-}" = "--valgrind" ]; then
    tools/install_packages.sh --valgrind
    echo "== valgrind"
    small="error schedule split augment metrics bootstrap verification config config_phases pickle zip weight_file weight_safetensors
        checkpoint dataset loader quarantine"
    cmake -S . -B build-release -DFACET_WERROR=ON >/dev/null
    cmake --build build-release -j "$jobs" >/dev/null
    # A child of a process with threads leaves without tidying up.
    checked="valgrind -q --error-exitcode=77 --leak-check=full --errors-for-leak-kinds=definite --child-silent-after-fork=yes"
    for test in $small; do CK_FORK=no OMP_NUM_THREADS=2 $checked "build-release/tests/test_$test"; done
    train_with $checked build-release/ft-train
    exit 0
fi

if [ "${1:-}" = "--avx512" ]; then
    # Without AVX2 the tests would fall back on what there is, and show nothing.
    grep -qw avx2 /proc/cpuinfo || { echo "this processor has no AVX2, which --avx512 needs" >&2; exit 5; }
    echo "== avx512"
    cmake -S . -B build-avx512 -DFACET_WERROR=ON -DFACET_DOUBLE=OFF -DFACET_SPLIT_AVX512=ON >/dev/null
    tests="ops winograd winograd_accuracy golden plan"
    # shellcheck disable=SC2046,SC2086  # lists of words on purpose
    cmake --build build-avx512 -j "$jobs" --target $(printf 'test_%s ' $tests) >/dev/null
    for test in $tests; do CK_FORK=no FACET_ISA=avx512 "build-avx512/tests/test_$test"; done
    exit 0
fi

echo "== format"
find . -path './build*' -prune -o -name '*.[ch]' -print | xargs clang-format --dry-run --Werror
suite release -DFACET_WERROR=ON
[ "${1:-}" = "--quick" ] && exit 0
# Not in double: it is the same source. (Not detect_stack_use_after_return: its frames are not aligned for 64-byte vectors.)
UBSAN_OPTIONS=print_stacktrace=1 \
    suite sanitize -DFACET_SANITIZE=address,undefined -DFACET_DOUBLE=OFF # GCC's warnings are not reliable under sanitizers
echo "== clang"
cmake -S . -B build-clang -DFACET_WERROR=ON -DFACET_DOUBLE=OFF -DCMAKE_C_COMPILER=clang >/dev/null
cmake --build build-clang -j "$jobs" >/dev/null
ctest --test-dir build-clang -j "$jobs" --output-on-failure -R '^(par|plan|golden|checkpoint|child)$'
echo "== fuzzers"
tests/fuzz/run.sh 20000
