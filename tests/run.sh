#!/bin/sh
# Installs what the tests need, builds, and runs everything: the formatting; the release build with warnings as errors; the same
# tests under AddressSanitizer and UndefinedBehaviorSanitizer; a build with Clang; a short run of the
# fuzzers. `--quick`: the formatting and the release build. `--coverage`: how many lines and branches the tests reach, instead.
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
ctest --test-dir build-clang -j "$jobs" --output-on-failure -R '^(plan|golden|checkpoint)$'
echo "== fuzzers"
tests/fuzz/run.sh 20000
