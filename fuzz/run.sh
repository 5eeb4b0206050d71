#!/usr/bin/env bash
# Builds the fuzz targets and lets each run for a while. Part of `make fuzz`.
#
#   fuzz/run.sh SECONDS [TARGET...]     every target without names; JOBS=2 at once
#
# What is found goes to $SEAWALL_TOOLS/fuzz, outside the clone, and is begun with
# the next time. An input on which a check does not hold ends the run with its
# path: make it small (`cargo fuzz tmin`), mend what it shows, and keep it in
# fuzz/regressions/TARGET, where an ordinary test replays it.

# shellcheck source=../e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"

HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
FOUND="$SEAWALL_TOOLS/fuzz"
BUILT="${CARGO_TARGET_DIR:-$SEAWALL_TOOLS/target}/fuzz"
TRIPLE="$(rustc -vV | sed -n 's/^host: //p')"

# A stable compiler fuzzes as well, if it is told that it may.
build() {
    (cd "$HERE/.." && env --unset CARGO_TARGET_DIR RUSTC_BOOTSTRAP=1 \
        PATH="$SEAWALL_TOOLS/bin:$PATH" cargo fuzz build --target-dir "$BUILT" "$@")
}

# run TARGET SECONDS: one target; a line of figures, or where its failure is.
run() {
    local target="$1" corpus="$FOUND/corpus/$1" broken="$FOUND/broken/$1" log="$FOUND/$1.log"
    local dictionary=() kept=()
    mkdir -p "$corpus" "$broken"
    [[ ! -e "$HERE/dictionaries/$target.dict" ]] || dictionary=(-dict="$HERE/dictionaries/$target.dict")
    [[ ! -d "$HERE/regressions/$target" ]] || kept=("$HERE/regressions/$target")
    if "$BUILT/$TRIPLE/release/$target" "$corpus" "$HERE/corpus/$target" "${kept[@]}" \
        -max_total_time="$2" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="$broken/" "${dictionary[@]}" >"$log" 2>&1; then
        sed -n "s/^stat::number_of_executed_units: */$target: executions /p" "$log"
    else
        tail -n 30 "$log" >&2
        die "$target does not hold: see $broken and $log"
    fi
}

seconds="${1:?usage: fuzz/run.sh SECONDS [TARGET...]}"
shift
if [[ $seconds == --one ]]; then
    run "$@"
    exit
fi
targets=("$@")
if ((${#targets[@]} == 0)); then
    mapfile -t targets < <(cd "$HERE/fuzz_targets" && printf '%s\n' *.rs | sed 's/\.rs$//')
    build
else
    for target in "${targets[@]}"; do build "$target"; done
fi
printf '%s\n' "${targets[@]}" |
    xargs -P "${JOBS:-2}" -I TARGET "$HERE/run.sh" --one TARGET "$seconds"
