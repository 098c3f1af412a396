# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Debian's stock kernels for tests/vm/run, and a QEMU that has the NIC igb: fetched by a private apt
# configuration, unpacked, never installed. Sourced; the caller sets `set -euo pipefail`.

VM_HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
VM_KERNELS="6.1 6.12 7" # 7: the newest 7.x
PATH=$PATH:/usr/sbin:/sbin # depmod, for users whose PATH lacks it

# What the guest can modprobe; everything else of the package stays packed.
VM_MODULE_DIRS=(
  arch/x86/crypto block crypto lib net
  fs/9p fs/fscache fs/netfs fs/overlayfs fs/fuse
  drivers/virtio drivers/vhost drivers/char drivers/block drivers/nvme
  drivers/net/'*.ko' drivers/net/'*.ko.xz' drivers/net/bonding drivers/net/ipvlan
  drivers/net/team drivers/net/vmxnet3 drivers/net/vxlan drivers/net/wireguard
  drivers/net/ethernet/intel drivers/i2c drivers/dca drivers/ptp drivers/pps
)
# What the initramfs needs until "/" is there.
VM_BOOT_MODULES=(virtio_pci 9pnet_virtio 9p overlay virtio_console)

vm_say() { printf 'vm: %s\n' "$*" >&2; }

# A failure of the lab itself, told apart from the command's as docker does it.
vm_die() {
  vm_say "$*"
  exit 125
}

# No kernel ($1, such as "kernel 6.1"), no run: a skip, since whether a mirror answers is not this
# project's to test.
vm_skip() {
  printf 'skipped: %s cannot be had: %s\n' "$1" "$2" >&2
  exit 77
}

vm_need_tools() {
  local tool missing=()
  for tool in qemu-system-x86_64 busybox cpio depmod modprobe xz dpkg apt-get flock; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  [[ ${#missing[@]} -eq 0 ]] ||
    vm_die "not found: ${missing[*]}; install the packages in $VM_HERE/packages.txt:" \
      "apt-get install --no-install-recommends \$(cat $VM_HERE/packages.txt)"
  # ldd fails for what is static.
  [[ $(ldd "$(command -v busybox)" 2>&1 || true) =~ (not a dynamic|statically linked) ]] ||
    vm_die "$(command -v busybox) is not static: install busybox-static"
}

# Prints the directory that keeps kernels between runs.
vm_cache_dir() {
  local dir=${ANKUS_VM_DIR:-/var/cache/ankus-vm}
  if [[ -z ${ANKUS_VM_DIR:-} ]] && ! { mkdir -p "$dir" && [[ -w $dir ]]; } 2>/dev/null; then
    dir=$(cd "$VM_HERE/../.." && pwd)/build/vm
  fi
  mkdir -p "$dir" || vm_die "cannot make $dir; name another directory in ANKUS_VM_DIR"
  (cd "$dir" && pwd)
}

# One fetch at a time into the cache $1, until VM_LOCK is closed. What a killed one has left goes.
vm_lock_cache() {
  exec {VM_LOCK}>"$1/lock"
  flock "$VM_LOCK"
  rm -rf "$1"/work.*
}

# Prints the machine's own apt sources for one suite pattern as one-line entries; further arguments
# are apt's options. apt itself reads them, so list files, deb822 files and whatever comes next are
# all understood.
vm_apt_entries() {
  local pattern=$1 repo suite component key
  shift
  # shellcheck disable=SC2016  # apt's variables
  apt-get "$@" indextargets \
    --format '$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SIGNED_BY)' 'Created-By: Packages' |
    sort -u | while IFS='|' read -r repo suite component key; do
      [[ $component == main && $suite =~ ^($pattern)$ ]] || continue
      # Only a keyring's path fits a one-line entry; without one apt uses /etc/apt/trusted.gpg.d.
      [[ $key == /* ]] && key="[signed-by=$key] " || key=
      printf 'deb %s%s %s main\n' "$key" "$repo" "$suite"
    done
}

# Writes the sources of $1 (a kernel, or "qemu") to $2; the further arguments are options that keep
# apt's state apart from the machine's.
vm_write_sources() {
  local version=$1 list=$2 pattern base suite=bookworm-backports
  shift 2
  local -a own_lists=()
  # apt names only sources whose lists it has, and images of containers are often stripped of them.
  if [[ -z $(vm_apt_entries bookworm) ]]; then
    apt-get "$@" -qq update >/dev/null 2>&1 || true # some other source may be unreachable
    own_lists=("$@")
  fi
  case $version in
    6.1)
      pattern='bookworm|bookworm-updates|bookworm-security|bookworm/updates'
      vm_apt_entries "$pattern" "${own_lists[@]}" >"$list" ;;
    *) # a suite next to the machine's own: same mirror, same keyring
      [[ $version != 7 ]] || suite=trixie-backports
      base=$(vm_apt_entries bookworm "${own_lists[@]}" | head -n 1)
      [[ -z $base ]] || printf '%s\n' "${base/%bookworm main/$suite main}" >"$list" ;;
  esac
  [[ -s $list ]]
}

# Makes VM_APT, the options of an apt of our own below the directory $2 that knows the sources of $1,
# called $3 in a skip.
vm_private_apt() {
  local version=$1 work=$2 name=$3
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/deb" "$work/tree"
  VM_APT=(
    -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
    -o Acquire::Languages=none -o Acquire::Retries=3
  )
  vm_write_sources "$version" "$work/sources.list" "${VM_APT[@]}" ||
    vm_skip "$name" "no Debian bookworm mirror in this machine's apt sources, or none that answers"
  VM_APT+=(
    -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::State::status=/dev/null -o APT::Update::Error-Mode=any
  )
  apt-get "${VM_APT[@]}" -qq update >"$work/log" 2>&1 ||
    vm_skip "$name" "apt-get update: $(grep -m 1 -E '^(E|W):' "$work/log" || tail -n 1 "$work/log")"
}

# Downloads the packages from $3 on into $1/deb.
vm_download() {
  local work=$1 name=$2
  shift 2
  (cd "$work/deb" && apt-get "${VM_APT[@]}" -qq download "$@") >"$work/log" 2>&1 ||
    vm_skip "$name" "apt-get download $*: $(tail -n 1 "$work/log")"
}

# Prints the package that linux-image-amd64 stands for.
vm_kernel_package() {
  apt-cache "${VM_APT[@]}" show --no-all-versions linux-image-amd64 2>/dev/null |
    sed -n 's/^Depends: *//p' | tr ',' '\n' | sed -n 's/^ *\(linux-image-[0-9][^ ]*\).*/\1/p' |
    head -n 1
}

# Fetches kernel $1 into $2 (which becomes complete at once, by rename) below the work directory $3.
vm_fetch_kernel() {
  local version=$1 target=$2 work=$3 name="kernel $1" package deb release modules module lib
  local -a patterns=() packages=()
  vm_say "fetching kernel $version (once; kept in $(dirname "$target"))"
  vm_private_apt "$version" "$work" "$name"
  package=$(vm_kernel_package) || true
  [[ $package == "linux-image-$version".* || $package == "linux-image-$version"+* ]] ||
    vm_skip "$name" "the mirror's linux-image-amd64 is ${package:-missing}"
  packages=("$package")
  # Since 7 the image is empty and stands for three: vmlinuz, modules, and modules.builtin with more.
  if apt-cache "${VM_APT[@]}" show "${package/image/modules}" >/dev/null 2>&1; then
    packages=("${package/image/binary}" "${package/image/modules}" "${package/image/base}")
  fi
  vm_download "$work" "$name" "${packages[@]}"

  for lib in ./lib ./usr/lib; do
    for module in "${VM_MODULE_DIRS[@]}"; do
      patterns+=("$lib/modules/*/kernel/$module")
    done
    patterns+=("$lib/modules/*/modules.*" "$lib/modules/*/vmlinuz")
  done
  # tar complains of patterns without a match (one of the two roots; fs/fscache, which became
  # fs/netfs in 6.8): what is truly needed is checked below.
  for deb in "$work"/deb/*.deb; do
    dpkg --fsys-tarfile "$deb" |
      tar -x -C "$work/tree" --wildcards --no-wildcards-match-slash --no-same-owner \
        './boot/vmlinuz-*' "${patterns[@]}" 2>"$work/log" ||
      ! grep -v -e 'Not found in archive' -e 'due to previous errors' "$work/log" >&2 ||
      vm_die "cannot unpack $deb"
  done
  modules=$(find "$work/tree" -type d -path '*lib/modules/*' -prune | head -n 1)
  [[ -n $modules && -d $modules/kernel/net ]] || vm_die "$package holds no kernel/net modules"
  release=$(basename "$modules")
  mkdir -p "$work/kernel/lib/modules"
  mv "$work/tree/boot/vmlinuz-$release" "$work/kernel/vmlinuz" 2>/dev/null ||
    mv "$modules/vmlinuz" "$work/kernel/vmlinuz" || vm_die "$package holds no vmlinuz of $release"
  mv "$modules" "$work/kernel/lib/modules/$release"
  printf '%s\n' "$release" >"$work/kernel/release"
  for deb in "$work"/deb/*.deb; do dpkg-deb -f "$deb" Package Version; done >"$work/kernel/package"
  depmod -b "$work/kernel" "$release" || vm_die "depmod of $release failed"
  mv "$work/kernel" "$target"
}

# The QEMU that is installed, by its major version.
vm_qemu_major() { "$1" --version | sed -n '1s/.*version \([0-9]*\).*/\1/p'; }

# Sets VM_QEMU, the words that start a QEMU of version $1 or later: the installed one, or that of
# bookworm-backports, whose libraries are those of the installed one.
vm_get_qemu() {
  local wanted=$1 cache work dir status=0
  VM_QEMU=(qemu-system-x86_64)
  [[ $(vm_qemu_major qemu-system-x86_64) -lt $wanted ]] || return 0
  cache=$(vm_cache_dir)
  dir=$cache/qemu
  vm_lock_cache "$cache"
  if [[ ! -d $dir ]]; then
    work=$(mktemp -d "$cache/work.XXXXXX")
    (
      vm_say "fetching QEMU $wanted or later (once; kept in $cache)"
      vm_private_apt qemu "$work" "QEMU $wanted"
      vm_download "$work" "QEMU $wanted" qemu-system-x86 qemu-system-common qemu-system-data seabios
      for deb in "$work"/deb/*.deb; do
        dpkg-deb -x "$deb" "$work/tree" || vm_die "cannot unpack $deb"
      done
      mv "$work/tree" "$dir"
    ) || status=$?
    rm -rf "$work"
  fi
  exec {VM_LOCK}>&-
  [[ $status -eq 0 ]] || exit "$status"
  VM_QEMU=(env "QEMU_MODULE_DIR=$dir/usr/lib/x86_64-linux-gnu/qemu" "$dir/usr/bin/qemu-system-x86_64"
    -L "$dir/usr/share/qemu" -L "$dir/usr/share/seabios")
  [[ $(vm_qemu_major "${VM_QEMU[2]}" 2>&1) -ge $wanted ]] ||
    vm_skip "QEMU $wanted" "bookworm-backports' does not start: $("${VM_QEMU[2]}" --version 2>&1 | head -n 1)"
}

# Builds the initramfs: busybox, the boot modules in their order, and the init beside this file.
vm_build_initramfs() {
  local kernel=$1 target=$2 work=$3 release module path file
  release=$(<"$kernel/release")
  mkdir -p "$work/bin" "$work/modules"
  cp "$(command -v busybox)" "$work/bin/busybox"
  install -m 0755 "$VM_HERE/initramfs-init" "$work/init"
  for module in "${VM_BOOT_MODULES[@]}"; do
    modprobe -C /dev/null -d "$kernel" -S "$release" --show-depends "$module" ||
      vm_die "kernel $release has no module $module"
  done | while read -r word path _; do
    [[ $word == insmod ]] || continue # "builtin NAME"
    file=$(basename "${path%.xz}")
    [[ ! -e $work/modules/$file ]] || continue
    case $path in
      *.xz) xz -dc "$path" >"$work/modules/$file" ;;
      *) cp "$path" "$work/modules/$file" ;;
    esac
    printf '%s\n' "$file" >>"$work/modules/order"
  done || exit # the subshell in vm_get_kernel does not see to it
  (cd "$work" && find . | cpio --quiet -o -H newc) >"$target.new"
  mv "$target.new" "$target"
}

# Sets VM_KERNEL (directory: vmlinuz, release, lib/modules) and VM_INITRAMFS for kernel $1,
# fetching and building what the cache does not hold.
vm_get_kernel() {
  local version=$1 cache work stamp
  case " $VM_KERNELS " in
    *" $version "*) ;;
    *) vm_say "unknown kernel \"$version\"; known: $VM_KERNELS"; exit 2 ;;
  esac
  cache=$(vm_cache_dir)
  VM_KERNEL=$cache/$version
  stamp=$(cat "$VM_HERE/kernels.sh" "$VM_HERE/initramfs-init" "$(command -v busybox)" | cksum)
  VM_INITRAMFS=$VM_KERNEL/initramfs-${stamp%% *}
  [[ ! -e $VM_INITRAMFS ]] || return 0
  vm_lock_cache "$cache" # two runs at once must not fetch twice
  work=$(mktemp -d "$cache/work.XXXXXX")
  # A subshell, so that a skip or an error in it leaves nothing behind.
  local status=0
  (
    [[ -e $VM_KERNEL/release ]] || vm_fetch_kernel "$version" "$VM_KERNEL" "$work/fetch"
    [[ -e $VM_INITRAMFS ]] || vm_build_initramfs "$VM_KERNEL" "$VM_INITRAMFS" "$work/initramfs"
  ) || status=$?
  rm -rf "$work"
  exec {VM_LOCK}>&-
  [[ $status -eq 0 ]] || exit "$status"
}
