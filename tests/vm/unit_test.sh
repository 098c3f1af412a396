#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The unit under a real systemd: what docs/operating.md promises of start, sandbox, restart, death and
# stop, and of the systemd timer that is the dead man's switch. One boot; with "steering" another, for that alone.
# Usage: unit_test.sh BUILD [steering] [OPTION of run...]; in the guest it calls itself, to install and judge.
set -uo pipefail
export LC_ALL=C.UTF-8 LANGUAGE=
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$(cd "${1:?the build directory}" && pwd) || exit 2
shift
part=life
[[ ${1-} != steering ]] || { part=steering && shift; }
if [[ ${ANKUS_VM-} != 1 ]]; then
  [[ -x /lib/systemd/systemd ]] || { echo "skipped: no systemd on this machine"; exit 77; }
  # The daemon comes with its symbols, and the guest's disk is memory.
  machine=(--systemd --mem 1536 --nic vmxnet3 --timeout 3000)
  if [[ $part == steering ]]; then
    machine+=(--smp 4 --timeout 900)
    ! "$here/run" --nic igb --fetch >/dev/null 2>&1 || machine+=(--nic igb)
  fi
  exec "$here/run" "${machine[@]}" "$@" -- "$here/unit_test.sh" "$build" ${part/life/}
fi

# Never on the machine itself: in the guest all of / is an overlay that goes with it.
grep -q '^overlay / overlay ' /proc/mounts && grep -q '^vm /run/ankus-vm 9p ' /proc/mounts ||
  { echo "unit_test.sh: ANKUS_VM is set, and this is not the VM" >&2; exit 2; }
# The guest sees the machine's own Ankus, which is not what is judged.
rm -rf /etc/ankus /var/lib/ankus /etc/systemd/system/ankusd.service{,.d} /etc/{sysusers,tmpfiles}.d/ankus.conf

WAIT=60 # seconds until something must have happened; emulation on a busy machine has no lower bound
failures=0
claim() { # claim TEXT COMMAND...: the command's success
  local text=$1 said
  shift
  if said=$("$@" 2>&1); then
    printf 'ok    %s\n' "$text"
    return
  fi
  printf 'FAIL  %s\n' "$text"
  head -n 20 <<<"$said" | sed 's/^/      | /'
  failures=$((failures + 1))
}
eventually() { # eventually COMMAND...: until it succeeds
  local end=$((SECONDS + WAIT))
  until "$@"; do
    [[ $SECONDS -lt $end ]] || return 1
    sleep 0.2
  done
}
not() { ! "$@"; }
equal() { [[ $1 == "$2" ]] || { printf 'wanted: %s\nfound:  %s\n' "$1" "$2"; return 1; }; }
exits_with() { # exits_with CODE WORDS COMMAND...
  local wanted=$1 words=$2 code=0 said
  shift 2
  said=$("$@" 2>&1) || code=$?
  [[ $code -eq $wanted && $said == *"$words"* ]] || { printf 'exit code %s: %s\n' "$code" "$said"; return 1; }
}

of_unit() { systemctl show --value -p "$1" "${2:-ankusd.service}"; }
is_active() { systemctl is-active -q "${1:-ankusd.service}"; }
restarted() { [[ $(of_unit NRestarts) -gt $1 ]] && is_active && answers; }
answers() { ankusctl status >/dev/null 2>&1; }
status() { ankusctl status --json | jq -c "$1"; }
# The daemon is itself a workload, and another one after each start: the digest of the members tells them apart.
held() { status '[.held[] | {id, knob, now: (.now | sub("digest .*"; ""))}]'; }
sensors() { status '[.downgrades, (.sensors[] | {name, state, detail})]'; }
# What of this host a plan changes. A class's line of default options is the kernel's own.
tuning() { tc qdisc show; tc class show dev up0; tc filter show dev up0 egress; ip -o link show type ifb; }
is_tuned() { tc class show dev up0 | grep -q 'htb 7a8c:'; }
is_as() { equal "$1" "$(tuning)"; }

# --- what a package would do

install -m 755 "$build/ankusd" /usr/sbin/
install -m 755 "$build/ankusctl" /usr/bin/
install -m 644 "$root/systemd/ankusd.service" /usr/lib/systemd/system/
install -m 644 "$root/systemd/ankus.sysusers" /usr/lib/sysusers.d/ankus.conf
install -m 644 "$root/systemd/ankus.tmpfiles" /usr/lib/tmpfiles.d/ankus.conf
install -D -m 644 "$root/docs/operating.md" /usr/share/doc/ankus/operating.md
claim "systemd-sysusers takes our file" systemd-sysusers
claim "systemd-tmpfiles takes our file" systemd-tmpfiles --create ankus.conf
claim "what others must not read is root's alone" equal "700 root:root" "$(stat -c '%a %U:%G' /var/lib/ankus)"
systemctl daemon-reload
claim "the unit is whole" equal loaded "$(of_unit LoadState)"
documentation=$(of_unit Documentation)
claim "its documentation is where it says" test -e "${documentation#file://}"

ip netns add beyond
ip link add up0 type veth peer name wire netns beyond
ip addr add 10.77.0.1/24 dev up0
ip link set up0 up
ip -n beyond link set wire up
ip route add default via 10.77.0.2
ip link set nic0 up
has_carrier() { [[ $(</sys/class/net/nic0/carrier) == 1 ]]; }
claim "the NIC has its wire" eventually has_carrier
policies=/etc/ankus/policies.d
install -m 644 "$root/policies/mice-first.toml" $policies/10-mice-first.toml
printf '%s\n' '[link.uplink]' 'rate = "200 Mbit"' >$policies/20-link.toml
chmod 644 $policies/*
switch='ankus-rollback'
finish() {
  [[ $failures -gt 0 ]] || exit 0
  printf '%s claims failed; the words of the daemon and of the switch:\n' "$failures"
  journalctl -q --no-pager -o cat -u ankusd.service -u $switch.service -u $switch.timer | tail -n 60
  exit 1
}
if [[ $part == steering ]]; then
  systemctl start ankusd.service
  claim "it answers on its socket" eventually answers
  # shellcheck source=tests/vm/unit_steering.sh
  . "$here/unit_steering.sh"
  finish
fi

# A probe that starts with the daemon, in its sandbox.
mkdir -p /run/systemd/system/ankusd.service.d /opt/ankus-test
cat >/opt/ankus-test/probe <<'TEXT'
#!/bin/bash
exec >/run/ankus/probe 2>&1
writes_back() { local value; value=$(<"$1") && printf '%s' "$value" >"$1" && echo "writes $2" || echo "cannot write $2"; }
writes_back /sys/class/net/up0/queues/rx-0/rps_cpus rps
writes_back /sys/class/net/up0/queues/tx-0/xps_cpus xps
writes_back /proc/sys/net/core/rps_sock_flow_entries sysctl
for irq in /proc/irq/*/smp_affinity; do [[ ! -e ${irq%/*}/virtio0-config ]] || writes_back "$irq" irq; done
taskset -p 1 "$(</run/ankus-test-thread)" >/dev/null && echo "moves a thread of somebody else" || echo "cannot move a thread"
[[ -r /lib/modules/$(uname -r)/modules.dep ]] && echo "reads the list of modules" || echo "cannot read the list of modules"
touch /etc/ankus-was-here && echo "can write /etc"
modprobe dummy && echo "can load modules"
mkdir /sys/fs/cgroup/ankus-was-here && echo "can make cgroups"
exec 3<>/dev/udp/127.0.0.1/9 && echo "can open an internet socket"
unshare --net true && echo "can enter a namespace"
[[ -z $(ls -A /root) ]] || echo "can look into homes"
echo end
TEXT
chmod 755 /opt/ankus-test/probe
printf '%s\n' '[Service]' 'ExecStartPost=/opt/ankus-test/probe' >/run/systemd/system/ankusd.service.d/probe.conf
systemctl daemon-reload
setpriv --reuid=65534 --regid=65534 --clear-groups sleep 10000 &
echo $! >/run/ankus-test-thread
untouched=$(tuning)

# --- start

claim "nf_conntrack is not there before" not test -e /sys/module/nf_conntrack
claim "systemctl start succeeds" systemctl start ankusd.service
claim "... when the daemon has said that it is ready" equal "active running notify" \
  "$(of_unit ActiveState) $(of_unit SubState) $(of_unit Type)"
claim "nf_conntrack was loaded for it" test -e /sys/module/nf_conntrack
claim "it answers on its socket" answers
claim "the socket is the group's" equal "660 root:ankus" "$(stat -c '%a %U:%G' /run/ankus/control.sock)"
claim "the watchdog is armed" equal 30s "$(of_unit WatchdogUSec)"
fed=$(of_unit WatchdogTimestampMonotonic)
is_fed() { [[ $(of_unit WatchdogTimestampMonotonic) != "$fed" ]]; }
claim "... and fed" eventually is_fed
claim "no sensor has failed" equal '[]' "$(status '[.sensors[] | select(.state == "failed")]')"
claim "doctor finds nothing that fails" exits_with 0 "HTB is there" ankusctl doctor
claim "... and that downloads can be shaped" exits_with 0 "downloads can be shaped" ankusctl doctor

ankus=$(getent group ankus | cut -d: -f3) admin=$(getent group ankus-admin | cut -d: -f3)
as() { setpriv --reuid=65534 --regid=65534 --groups="$1" "${@:2}"; }
claim "somebody in no group is refused" exits_with 4 ankus as 65534 ankusctl status
claim "a reader reads" exits_with 0 "mode advise" as "$ankus" ankusctl status
claim "... and changes nothing" exits_with 4 ankus-admin as "$ankus" ankusctl pause
claim "an admin changes" exits_with 0 "" as "$ankus,$admin" ankusctl pause
claim "... both ways" exits_with 0 "" as "$ankus,$admin" ankusctl resume

# --- the sandbox

probe=$(</run/ankus/probe)
claim "the sandbox allows what is tuned, and the rest it does not" equal \
  'writes rps|writes xps|writes sysctl|writes irq|moves a thread of somebody else|reads the list of modules|end' \
  "$(grep -E '^(writes|moves|reads|can|end)' <<<"$probe" | paste -sd'|')"
rm -r /run/systemd/system/ankusd.service.d
systemctl daemon-reload

# --- apply, restart, death

claim "a plan is applied in the sandbox" exits_with 0 "" ankusctl apply
claim "... by the kernel's word as well" is_tuned
claim "it is rolled back" exits_with 0 "" ankusctl rollback --all
claim "... to what was there" is_as "$untouched"
ankusctl resume >/dev/null
claim "it is applied again" exits_with 0 "" ankusctl apply
tuned=$(tuning) holds=$(held) watched=$(sensors)
claim "something is held" not equal '[]' "$holds"

# The classifier is the new process's program; all else stays as it is.
without_ids() { sed -E 's/ id [0-9]+//; s/ tag [0-9a-f]+//; s/ jited//' <<<"$1"; }
stays() { equal "$(without_ids "$tuned")" "$(without_ids "$(tuning)")" && equal "$holds" "$(held)"; }
pid=$(of_unit MainPID)
claim "systemctl restart succeeds" systemctl restart ankusd.service
claim "... with another process" not equal "$pid" "$(of_unit MainPID)"
claim "... which keeps what is held" stays
claim "... and the sensors" equal "$watched" "$(sensors)"

kill -9 "$(of_unit MainPID)"
claim "after kill -9 systemd starts it again" eventually restarted 0
claim "... and what is held is kept" stays

printf '%s\n' '# nothing' >$policies/30-more.toml
chmod 644 $policies/30-more.toml
claim "systemctl reload succeeds" systemctl reload ankusd.service
reads_three() { [[ $(status '.policies | length') == 3 ]]; }
claim "... and the policies are read again" eventually reads_three
printf '%s\n' 'mode = "nonsense"' >$policies/30-more.toml
systemctl reload ankusd.service
complained() { journalctl -q -u ankusd.service | grep -q '30-more.toml.*mode'; }
claim "a policy that is wrong is named in the journal" eventually complained
claim "... and the old ones stay in force" reads_three
rm $policies/30-more.toml

# The driver is asked by an ioctl, and the sandbox allows no socket of the network's.
knows_speed() { ankusctl doctor | grep '^device nic0' | grep ' Gbit'; }
ip route add default dev nic0 metric 9
claim "a NIC's speed is known" eventually knows_speed
ip route del default dev nic0

mkdir /run/systemd/system/ankusd.service.d
printf '%s\n' '[Service]' 'WatchdogSec=6s' >/run/systemd/system/ankusd.service.d/soon.conf
systemctl daemon-reload
systemctl restart ankusd.service
before=$(of_unit NRestarts)
kill -STOP "$(of_unit MainPID)"
claim "a daemon that hangs is ended and started again" eventually restarted "$before"
claim "... by the watchdog" eventually \
  bash -c 'journalctl -q -u ankusd.service | grep -q "Watchdog timeout"'
claim "... and what is held is kept" stays
rm -r /run/systemd/system/ankusd.service.d
systemctl daemon-reload

# --- stop, and undo without a daemon

claim "systemctl stop succeeds" systemctl stop ankusd.service
claim "... cleanly" equal "inactive success" "$(of_unit ActiveState) $(of_unit Result)"
claim "... and leaves the tuning" equal "$(without_ids "$tuned")" "$(without_ids "$(tuning)")"
ankusd >/run/outside.log 2>&1 &
outside=$!
claim "outside its sandbox" eventually answers
claim "... the sensors are the same" equal "$(sensors)" "$watched"
kill "$outside"
wait "$outside"
claim "ankusd --rollback takes it away" exits_with 0 "" ankusd --rollback
claim "... to what was there" is_as "$untouched"
claim "... and the pins" not test -e /sys/fs/bpf/ankus

# --- the dead man's switch

is_over() { is_as "$untouched" >/dev/null && ! is_active $switch.timer && ! is_active $switch.service; }
state() { status .state.name; }
systemctl start ankusd.service
ankusctl resume >/dev/null # --rollback holds
claim "apply --confirm-within arms a timer" exits_with 0 "systemd timer $switch.timer" \
  ankusctl apply --confirm-within 100s
claim "... that runs" is_active $switch.timer
claim "confirm stops it" exits_with 0 "" ankusctl confirm
claim "... really" not is_active $switch.timer
claim "... and the plan stays" is_tuned
ankusctl rollback --all >/dev/null
ankusctl resume >/dev/null

claim "a plan that nobody confirms is applied" exits_with 0 "" ankusctl apply --confirm-within 2s
claim "... and undone by the daemon, which takes the switch away" eventually is_over
claim "... and holds" equal '"held"' "$(state)"
ankusctl resume >/dev/null
# Long enough for a busy machine to kill the daemon before it undoes the plan itself.
claim "the next plan can be armed at once" exits_with 0 "$switch.timer" ankusctl apply --confirm-within 30s
claim "... and is applied" is_tuned
systemctl mask -q --runtime ankusd.service
kill -9 "$(of_unit MainPID)"
claim "the daemon is dead and stays so" eventually not is_active
claim "the switch undoes the plan without it" eventually is_over
claim "... and the pins" not test -e /sys/fs/bpf/ankus
claim "... and has said so" eventually bash -c "journalctl -q -u $switch.service | grep -q undo"
claim "the daemon was not there to do it" not is_active
claim "no unit is left as failed" equal "" "$(systemctl list-units --failed --plain --no-legend 'ankus-*')"

# --- beside it an instance in a network namespace that is not systemd's

ip netns add lab
ip -n lab link add up0 type veth peer name wire2 netns beyond
ip -n lab addr add 10.78.0.1/24 dev up0
ip -n lab link set up0 up
ip -n beyond link set wire2 up
ip -n lab route add default via 10.78.0.2
systemctl unmask -q --runtime ankusd.service
systemctl start ankusd.service
ankusctl resume >/dev/null
claim "a plan of the host's waits" exits_with 0 "systemd timer $switch.timer" ankusctl apply --confirm-within 10m
nsenter --net=/run/netns/lab ankusd --state-dir /run/second/state --runtime-dir /run/second \
  --socket /run/second/control.sock --bpf-dir /sys/fs/bpf/second >/run/second.log 2>&1 &
second=$!
in_lab() { ankusctl --socket /run/second/control.sock "$@"; }
lab_tuned() { tc -n lab class show dev up0 | grep -q 'htb 7a8c:'; }
claim "a second instance answers" eventually in_lab status
claim "its switch is a process in its namespace" exits_with 0 "a detached process" in_lab apply --confirm-within 20s
claim "... that waits for a plan in force" lab_tuned
kill -9 $second
claim "... and undoes it without the daemon" eventually not lab_tuned
claim "the switch of the host is let alone" is_active $switch.timer
ankusctl rollback --all >/dev/null

finish
