#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The demo keeps its word, and leaves nothing. Usage: demo_test.sh BUILD_DIR. Exit 75: cannot be judged here.
set -uo pipefail
export LC_ALL=C.UTF-8 LANGUAGE=

here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
build=${1:?the build directory}
work=$(mktemp -d)
below_var_lib=''
failures=0
demo_pid=''

clean_up() {
  [[ -z $demo_pid ]] || kill -TERM "$demo_pid" 2>/dev/null
  wait
  rm -rf "$work" "$below_var_lib"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

[[ $EUID == 0 ]] || { echo "INCONCLUSIVE needs root"; exit 75; }

claim() { # claim TEXT COMMAND...: the command's success
  local text=$1
  shift
  if "$@"; then printf 'ok   %s\n' "$text"; else printf 'FAIL %s\n' "$text"; failures=$((failures + 1)); fi
}
# Exactly one "true": jq -e is content with a file that holds nothing.
holds() { [[ $(jq "$1" "$work/demo.json" 2>&1) == true ]]; }

leftovers() { # of the demo with the pid $1
  local cgroup2
  cgroup2=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
  ls -d "/run/netns/demo$1"-* "$cgroup2/ankus-lab-demo$1" "/run/ankus-lab/demo$1" "/run/ankus-demo/demo$1" 2>/dev/null
  grep "demo$1/" /proc/mounts
  grep -lzF "/run/ankus-demo/demo$1/" /proc/[0-9]*/cmdline 2>/dev/null
}

run_demo() { # run_demo ARGUMENTS...: in the background
  : >"$work/demo.err" # by now, and not when the background gets to it: it is looked at for what it says
  "$here/demo" --build "$build" "$@" >"$work/demo.json" 2>"$work/demo.err" &
  demo_pid=$!
}

docker_before=$(ls -d /var/lib/docker/containers/* 2>/dev/null | sort)
run_demo --json
pid=$demo_pid
wait "$pid"
status=$?
demo_pid=''
cat "$work/demo.err"
claim "demo --json ends with 0: $status" [ $status == 0 ]
claim "it prints one object" holds 'type == "object"'
for key in mice_p99_us mixed_mice_p99_us; do
  claim "$key has idle, uncontrolled and ankus, each above 0" \
    holds "[.$key | .idle, .uncontrolled, .ankus] | all(type == \"number\" and . > 0)"
done
claim "elephants_mbit has uncontrolled and ankus, neither above the link's rate" \
  holds '.link_mbit as $link | [.elephants_mbit | .uncontrolled, .ankus] | all(type == "number" and . > 0 and . <= $link)'
claim "all 8 elephants are found" holds '.detected | .true_elephants == 8 and .elephants == 8 and .missed_elephants == 0'
claim "no mouse is called an elephant" holds '.detected.false_elephants == 0'
claim "the good policy is not called harmful" holds '.verdicts.good_policy | . == "helped" or . == "no_effect" or . == "inconclusive"'
claim "the rollback is identical" holds '.rollback_identical == true'
if holds '.rps_refused == null'; then
  claim "RPS was in force, as the kernel says, before it was undone" holds '.rps_applied > 0 and .rps_applied == .rps_actions'
else
  echo "     RPS is not judged: $(jq -r .rps_refused "$work/demo.json")"
fi
claim "workloads carry their runtime's names" holds '[.workloads[].name] | sort == ["backup", "batch", "db", "web"]'
claim "who runs elephants is not light, who does not is" holds \
  '[.workloads[] | (.weight == "light") == (.name == "web" or .name == "db")] | all'
claim "nothing is left of it" [ -z "$(leftovers "$pid")" ]
claim "nothing was written to this machine's Docker" \
  [ "$docker_before" == "$(ls -d /var/lib/docker/containers/* 2>/dev/null | sort)" ]
if holds '.machine_busy == false'; then
  claim "it took less than 60 s" holds '.seconds < 60'
  claim "with Ankus the mice's p99 is below a fifth of a FIFO's" holds '.mice_p99_us | .ankus < .uncontrolled / 5'
  claim "the verdict on it is that it helped" holds '.verdicts.good_policy == "helped"'
  claim "the harmful policy is undone by its verdict" holds '.verdicts | .harmful_policy == "harmed" and .harmful_undone'
  claim "and the elephants keep nine tenths" holds '.elephants_mbit | .ankus > .uncontrolled * 0.9'
else
  echo "     times are not judged: $(jq -r .machine_busy_why "$work/demo.json")"
fi

# Built where the demo puts Docker's metadata on a machine without Docker.
below_var_lib=$(mktemp -d /var/lib/ankus-demo-test.XXXXXX)
mkdir -p "$below_var_lib/tests/lab"
for program in ankusd ankusctl tests/lab/ankus-traffic; do ln -s "$build/$program" "$below_var_lib/$program"; done
build=$below_var_lib run_demo --json
pid=$demo_pid
until grep -q '^6 ' "$work/demo.err" || ! kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
kill -TERM "$pid"
wait "$pid"
status=$?
demo_pid=''
claim "a demo built below /var/lib acts: $(grep -m 1 'ended while' "$work/demo.err")" grep -q '^6 ' "$work/demo.err"
claim "a demo that is interrupted while Ankus acts ends with 130: $status" [ $status == 130 ]
claim "and leaves nothing, either" [ -z "$(leftovers "$pid")" ]

claim "an unknown option is refused" bash -c '"$0" --colour >/dev/null 2>&1; [ $? == 2 ]' "$here/demo"
claim "what is not built is named" bash -c '"$0" --build "$1" 2>&1 | grep -q "ankusd is not built"' "$here/demo" "$work"

[[ $failures == 0 ]] || { printf '%d claims do not hold\n' "$failures"; exit 1; }
