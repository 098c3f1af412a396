// SPDX-License-Identifier: Apache-2.0
#include "kernel/thread.h"

#include <sched.h>

#include <memory>
#include <string>

#include "base/text.h"

namespace ankus {
namespace {

struct FreeCpuSet {
  void operator()(cpu_set_t* set) const { CPU_FREE(set); }
};
using KernelCpuSet = std::unique_ptr<cpu_set_t, FreeCpuSet>;

constexpr std::size_t kCpus = kHighestCpu + 1;  // the kernel refuses what is smaller than its own

KernelCpuSet empty_set() {
  KernelCpuSet set(CPU_ALLOC(kCpus));
  CPU_ZERO_S(CPU_ALLOC_SIZE(kCpus), set.get());
  return set;
}

std::string named(std::int32_t tid) { return "affinity of thread " + std::to_string(tid); }

}  // namespace

std::optional<CpuSet> parse_thread_affinity(std::string_view status) {
  constexpr std::string_view kList = "Cpus_allowed_list:";
  for (const std::string_view line : split(status, '\n'))
    if (line.starts_with(kList))
      if (auto cpus = cpu_list_from_text(line.substr(kList.size()))) return *std::move(cpus);
  return std::nullopt;
}

Result<CpuSet> thread_affinity(const Procfs& procfs, std::int32_t tid) {
  const auto status = read_file_head(procfs.root + "/" + std::to_string(tid) + "/status");
  if (!status) return with_context(named(tid), status.error());
  auto cpus = parse_thread_affinity(*status);
  if (!cpus) return fail(ErrorKind::invalid, named(tid) + ": its status does not tell");
  return *std::move(cpus);
}

Result<void> free_thread_affinity(std::int32_t tid) {
  CpuSet all;
  for (std::uint32_t cpu = 0; cpu < kCpus; ++cpu) all.cpus.push_back(cpu);
  return set_thread_affinity(tid, all);
}

Result<void> set_thread_affinity(std::int32_t tid, const CpuSet& cpus) {
  const std::size_t size = CPU_ALLOC_SIZE(kCpus);
  const KernelCpuSet set = empty_set();
  for (const std::uint32_t cpu : cpus.cpus) CPU_SET_S(cpu, size, set.get());
  if (sched_setaffinity(tid, size, set.get()) == 0) return {};
  const Error error = fail_errno(named(tid) + " to CPU " + to_text(cpus)).error();
  if (error.err != EINVAL) return std::unexpected(error);
  return std::unexpected(Error{error.kind, error.err,
                               error.text + ": its cpuset has none of them, or it may not move"});
}

}  // namespace ankus
