# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The daemon of one benchmark. Sourced. The caller sets BUILD, WORK (its files), BPF (a directory on a
# bpffs) and HOST (the command that enters the daemon's network namespace; none: () ).
DAEMON=''
# shellcheck disable=SC2153 # BUILD, WORK, BPF and HOST are the caller's
ctl() { "$BUILD/ankusctl" --socket "$WORK/sock" "$@"; }

stop_daemon() {
  [[ -n $DAEMON ]] || return 0
  kill "$DAEMON" 2>/dev/null
  wait "$DAEMON" 2>/dev/null
  DAEMON=''
}
start_daemon() { # with $WORK/policy.toml, and nothing remembered
  rm -rf "$WORK/rt" "$WORK/st" "$WORK/sock"
  chmod 0600 "$WORK/policy.toml"
  "${HOST[@]}" "$BUILD/ankusd" --policy "$WORK/policy.toml" --state-dir "$WORK/st" --runtime-dir "$WORK/rt" \
    --socket "$WORK/sock" --bpf-dir "$BPF/ankus" >"$WORK/daemon.log" 2>&1 &
  DAEMON=$!
  local tries
  for ((tries = 0; tries < 100; ++tries)); do
    ctl status >/dev/null 2>&1 && return 0
    kill -0 "$DAEMON" 2>/dev/null || break
    sleep 0.1
  done
  echo "ankusd does not answer:" >&2
  tail -n 20 "$WORK/daemon.log" >&2
  return 1
}

# In a VM of virtual time: while all of the guest waits for a file of the machine's, its clock jumps from
# timer to timer. So something always runs while nothing is measured, and what is measured is in memory.
keep_busy() {
  nice -n 19 bash -c 'while :; do :; done' &
  # shellcheck disable=SC2034 # the caller's: to stop it while something is measured
  SPINNER=$!
}
load_into_memory() {
  cp "$BUILD/tests/lab/ankus-traffic" "$BUILD/ankusd" "$BUILD/ankusctl" "$WORK/"
  BUILD=$WORK
  modprobe -a veth bridge sch_htb sch_tbf sch_fq_codel sch_cake cls_u32 cls_bpf nf_conntrack nft_ct nft_masq nft_chain_nat
}
