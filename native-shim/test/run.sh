#!/bin/sh
# Runs the tests that are named, one after the other: a test's exit code is 0, 77 (skipped), or a failure.
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# ThreadSanitizer of older compilers can't start where the kernel spreads mappings widely (vm.mmap_rnd_bits 32).
fixed=
command -v setarch >/dev/null && setarch -R true 2>/dev/null && fixed='setarch -R'

export ASAN_OPTIONS="detect_stack_use_after_return=1:${ASAN_OPTIONS:-}"
export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1:${TSAN_OPTIONS:-}"

for test; do
    name=${test#build/}
    case $name in tsan/*) start=$fixed ;; *) start= ;; esac
    timeout "${TEST_TIMEOUT:-180}" $start "./$test" >"$log" 2>&1
    code=$?
    case $code in
    0) passed=$((passed + 1)) && echo "ok $name" ;;
    77) skipped=$((skipped + 1)) && echo "SKIP $name: $(tail -n 1 "$log")" ;;
    *)
        failed=$((failed + 1))
        [ $code = 124 ] && echo "timed out" >>"$log"
        echo "FAIL $name (exit code $code)"
        sed 's/^/    /' "$log"
        ;;
    esac
    [ -n "$VERBOSE" ] && sed 's/^/    /' "$log"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
