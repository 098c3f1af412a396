# shellcheck shell=bash disable=SC2154 # build, policies and the claims are unit_test.sh's
# SPDX-License-Identifier: Apache-2.0
# Part of unit_test.sh, which sources it: all that steers packets, planned, set, kept and undone by the unit as
# shipped. Receive queues, interrupts, XPS, RPS, NAPI and vhost threads in one plan with the bandwidth tree.

# --- what the kernel has, in the words of a plan

# now_of KNOB
now_of() {
  local number
  case $1 in
    "affinity of IRQ "*)
      number=${1#affinity of IRQ } number=${IRQ_OF[${number% of nic0}]}
      echo "CPU $(<"/proc/irq/$number/smp_affinity_list")" ;;
    "XPS of transmit queue "*) number=${1#XPS of transmit queue } && cpus_in "/sys/class/net/nic0/queues/tx-${number%% *}/xps_cpus" ;;
    "RPS of receive queue "*) number=${1#RPS of receive queue } && cpus_in "/sys/class/net/up0/queues/rx-${number%% *}/rps_cpus" ;;
    "affinity of thread "*)
      number=${1##*\(}
      sed -n 's/^Cpus_allowed_list:\s*/CPU /p' "/proc/${number%)}/status" ;;
    "indirection table of nic0") table_text ;;
  esac
}
declare -A IRQ_OF # by name
while read -r number name; do IRQ_OF[$name]=${number%:}; done < <(awk '$NF ~ /^nic0-/ { print $1, $NF }' /proc/interrupts)
cpus_in() { # FILE with a mask
  local mask cpu cpus=''
  mask=$((16#$(tr -d , <"$1")))
  for cpu in 0 1 2 3; do ((!(mask >> cpu & 1))) || cpus+=,$cpu; done
  [[ -z $cpus ]] && echo "no CPU" || echo "CPU ${cpus#,}"
}
table_entries() { ethtool -x nic0 | awk '/^ *[0-9]+: / { for (i = 2; i <= NF; ++i) print $i }'; }
# As to_text() of the controller writes it: what each queue has, and the FNV-1a hash of them all.
table_text() {
  local queue hash=$((0xcbf29ce484222325)) count=0 i text byte each=()
  while read -r queue; do
    while [[ ${#each[@]} -le $queue ]]; do each+=(0); done
    count=$((count + 1)) each[queue]=$((each[queue] + 1)) text="$queue "
    for ((i = 0; i < ${#text}; ++i)); do
      printf -v byte %d "'${text:i:1}"
      hash=$(((hash ^ byte) * 0x100000001b3))
    done
  done < <(table_entries)
  printf '%s entries, per queue %s, digest %.8s\n' $count "${each[*]}" "$(printf '%016x' $hash)"
}

# All that a plan of these may change, to the byte.
steering() {
  local thread
  ethtool -x nic0
  grep -Hs . /proc/irq/*/smp_affinity /sys/class/net/*/queues/*/*ps_cpus
  for thread in $(pgrep '^napi/nic0') "$worker"; do grep -H _allowed "/proc/$thread/status"; done
}
is_steered_as() { equal "$1" "$(steering)"; }

# --- what was said of it

STEERS='(.actions // .held)[] | select(.knob | test("^(affinity|XPS|RPS|indirection)"))'
# said FILE KEY: of a plan or of what is held, a line for each knob that steers.
said() { jq -r --arg key "$2" "$STEERS"' | "\(.knob): \(.[$key] | sub(" \\(nobody.s choice\\)"; ""))"' "$1" | sort; }
found() { # FILE: the same, by the kernel
  jq -r "$STEERS | .knob" "$1" | while read -r knob; do echo "$knob: $(now_of "$knob")"; done | sort
}
is_as_said() { equal "$(said "$1" "$2")" "$(found "$1")"; }
kinds() { jq -r '[.actions[].knob | capture("^(?<k>affinity of (IRQ|thread [a-z]+)|XPS|RPS|indirection|class)").k] | unique | join(", ")' "$1"; }
nothing_in() { ! grep .; }
# has_entries KIND FROM TO: history, of each knob that was held.
has_entries() {
  comm -23 <(jq -r --arg from "$2" --arg to "$3" "$STEERS"' | "\(.knob): \(.[$from]) -> \(.[$to])"' /run/held | sort) \
    <(ankusctl history --limit 10000 --json | jq -r --arg kind "$1" '.entries[] | select(.kind == $kind) | .text | sub("; asked for .*"; "")' | sort) |
    sed 's/^/missing: /' | nothing_in
}
explains() { # PLAN
  ankusctl explain "$1" --json | jq -r --slurpfile held /run/held '(.lines | join("\n")) as $lines |
    $held[0] | '"$STEERS"' | .knob | select(. as $knob | $lines | contains($knob) | not) | "missing: \(.)"' | nothing_in
}

# --- a NIC whose packets all come by one queue, with everything on CPU 0; a VM

modprobe -a tun vhost_net
driver=$(basename "$(readlink /sys/class/net/nic0/device/driver)")
rx=rx kinds='RPS, XPS, affinity of IRQ, affinity of thread napi, affinity of thread vhost, class, indirection'
[[ $driver != vmxnet3 ]] || rx=rxtx kinds=${kinds%, indirection} # it tells no hash, so nobody knows what an entry brings
[[ $driver != igb ]] || ethtool -N nic0 rx-flow-hash udp4 sdfn
echo 1 >/sys/class/net/nic0/threaded
ethtool -X nic0 equal 1
for irq in "${IRQ_OF[@]}"; do echo 0 >"/proc/irq/$irq/smp_affinity_list"; done
ip route add default via 10.99.0.2 dev nic0 metric 9 # so that it is an uplink
systemd-run -q --unit=fake-vm -p StandardOutput=file:/run/fake-vm "$build/tests/vm/ankus-fake-vm" tap0
worker_of() { grep -lx "vhost-$1" /proc/[0-9]*/comm "/proc/$1/task"/*/comm 2>/dev/null | sed 's|.*/\([0-9]*\)/comm|\1|'; }
has_worker() { [[ -s /run/fake-vm ]] && worker=$(worker_of "$(</run/fake-vm)") && [[ -n $worker ]]; }
eventually has_worker
claim "a VM has a vhost thread" has_worker
kill -STOP "$(</run/fake-vm)" # of what it sends there is enough
ip link set tap0 up
traffic=$build/tests/lab/ankus-traffic flows=()
server=$("$traffic" serve --background --udp --port 5000)
for i in 0 1 2 3; do
  nsenter --net=/run/netns/wire "$traffic" bulk --udp --to 10.99.0.1:5000 --from-ports $((20000 + i * 1237)) \
    --rate "$((250 << i)) Kbit" --seconds 3600 --out /dev/null &
  flows+=($!)
done
cat >$policies/40-steering.toml <<'TEXT'
[verify]
samples = 100000000 # of an emulated machine's latency no verdict is wanted

[[rule]]
name = "hardware"
irq = { device = "nic0", cpus = "all" }
xps = { device = "nic0", cpus = "all" }
napi = { device = "nic0", cpus = "2-3" }

[[rule]]
name = "software"
rps = { device = "up0", cpus = "1" }

[[rule]]
name = "VMs"
match = { kind = "vm" }
vhost = { cpus = "3" }

[[rule]]
name = "by load"
receive = { device = "nic0", balance = "load", busy = "0%", min_gain = "1%", user_table = "take" }
TEXT
chmod 644 $policies/40-steering.toml
before=$(steering) untuned=$(tuning)
systemctl reload ankusd.service

# --- the plan

plans() { ankusctl plan --json >/run/plan && equal "$kinds" "$(kinds /run/plan)"; }
eventually plans >/dev/null
claim "one plan has the tree, the table, interrupts, XPS, RPS and threads ($driver)" equal "$kinds" "$(kinds /run/plan)"
claim "... and sees what is there" is_as_said /run/plan before
claim "... and sets nothing" is_steered_as "$before"

# --- apply, restart

claim "it is applied in the sandbox" exits_with 0 applied ankusctl apply
kill "${flows[@]}" "$server"
status '{held}' >/run/held
# The table is made of what comes in at that moment; all else is to be the plan that was shown.
but_table() { said "$@" | grep -v '^indirection'; }
claim "what is held is the plan" equal "$(but_table /run/plan after)" "$(but_table /run/held now)"
claim "... and what the kernel has is what is held" is_as_said /run/held now
each_of() { cat "$@" | paste -sd' '; }
claim "each receive queue's interrupt has a CPU of its own" equal "0 1 2 3" \
  "$(for i in 0 1 2 3; do cat "/proc/irq/${IRQ_OF[nic0-$rx-$i]}/smp_affinity_list"; done | sort | paste -sd' ')"
claim "each CPU has its transmit queue" equal "1 2 4 8" "$(each_of /sys/class/net/nic0/queues/tx-?/xps_cpus)"
claim "RPS is set" equal 2 "$(each_of /sys/class/net/up0/queues/rx-0/rps_cpus)"
claim "the NAPI threads are where they belong" equal "2-3" \
  "$(for i in $(pgrep '^napi/nic0'); do grep _allowed_list "/proc/$i/status"; done | awk '/^Cpus/ { print $2 }' | sort -u)"
claim "the vhost thread is where it belongs" equal 3 "$(awk '/^Cpus_allowed_list/ { print $2 }' "/proc/$worker/status")"
[[ $driver == vmxnet3 ]] || claim "the table has more than one queue" not equal 0 "$(table_entries | sort -u | paste -sd' ')"
steered=$(steering)

claim "the daemon is restarted" systemctl restart ankusd.service
status '{held}' >/run/held.again
claim "... and holds it all" equal "$(said /run/held now)" "$(said /run/held.again now)"
claim "... and has changed nothing" is_steered_as "$steered"

# --- the audit, and undo

claim "history has each intent" has_entries intent before now
claim "... and that it was done" has_entries "done" before now
claim "explain tells the plan" explains "$(jq -r '.held[0].plan' /run/held)"
claim "... and one action of it" exits_with 0 'rule "VMs"' \
  ankusctl explain "$(jq -r '.held[] | select(.knob | contains("vhost")) | .id' /run/held)"
claim "all is rolled back" exits_with 0 "" ankusctl rollback --all
claim "... to what was there, to the byte" is_steered_as "$before"
claim "... and the tree is gone" is_as "$untuned"
claim "... and nothing is held" equal '[]' "$(held)"
claim "history has each undo" has_entries undone now before
