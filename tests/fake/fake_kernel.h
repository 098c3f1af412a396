// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "act/actuator.h"
#include "fake/fate.h"

namespace ankus {

/// A kernel that is a map, with the kernel's rules for traffic control: a class needs its root and
/// its parent, a queue its class; a root takes its classes along; a root cannot become another; a
/// burst is kept in ticks of 64 ns; a device that goes takes all of its own along. And with those
/// for what changes in its place: a table has its size and names queues that there are, and follows
/// their number while it is the default; CPUs that are no CPUs are cut away, for a thread those
/// outside of its cpuset too; an interrupt and a thread need one that is left, and with all of them
/// nobody can tell that they were asked for.
class FakeKernel final : public Actuator {
 public:
  std::map<Knob, Setting> settings;  ///< what is absent is not in it
  std::set<Device> devices;
  std::vector<Action> writes;  ///< that had their effect
  Fate* fate = nullptr;
  /// The n-th write from now (0 is the next) fails with `fail_with`; so do all after it if
  /// `for_good`.
  std::optional<int> fail_at;
  int fail_with = EIO;
  bool for_good = false;
  std::set<Knob> unreadable;
  std::set<Knob> deaf;  ///< writes to them are acknowledged and have no effect
  bool rounds_bursts = true;

  CpuSet cpus{{0, 1, 2, 3}};  ///< that are online
  CpuSet cpuset{{0, 1, 2}};   ///< of all threads
  std::set<Knob> managed;     ///< interrupts whose CPUs the kernel chooses
  std::map<Device, std::uint32_t> queues;

  /// Gives a device queues with their knobs, and a table unless `table_size` is 0.
  void add_queues(const Device& device, std::uint32_t count, std::size_t table_size) {
    queues[device] = count;
    if (table_size != 0) settings[knob::RssTable{device}] = default_of(device, table_size);
    for (std::uint32_t queue = 0; queue < count; ++queue) {
      settings[knob::RpsMask{device, queue}] = CpuSet{};
      settings[knob::XpsMask{device, queue}] = CpuSet{};
      settings[knob::IrqAffinity{device, device.name + "-rx-" + std::to_string(queue)}] =
          DefaultCpus{cpus};
    }
  }
  /// What `ethtool -L` does: a default table follows, as does, in `forgets_tables`, any other.
  void change_queues(const Device& device, std::uint32_t count, bool forgets_tables) {
    queues[device] = count;
    auto& table = std::get<Indirection>(settings.at(knob::RssTable{device}));
    if (table.is_default || forgets_tables) table = default_of(device, table.queues.size());
  }
  knob::ThreadAffinity add_thread(std::int32_t tid) {
    knob::ThreadAffinity thread{.tid = tid, .started = 1, .name = "vhost-1"};
    settings[thread] = ThreadCpus{cpuset, cpuset};
    return thread;
  }

  Device add_device(const std::string& name, std::uint32_t ifindex) {
    Device device{.name = name, .ifindex = ifindex, .netns_cookie = 7};
    devices.insert(device);
    return device;
  }
  void remove_device(const Device& device) {
    devices.erase(device);
    std::erase_if(settings, [&](const auto& s) {
      const Device* on = device_of(s.first);
      return on != nullptr && *on == device;
    });
  }
  /// What another process does.
  void change(const Knob& knob, const Setting& setting) {
    if (std::holds_alternative<Absent>(setting))
      remove(knob);
    else
      settings.insert_or_assign(knob, setting);
  }

  std::vector<Result<Setting>> read(std::span<const Knob> knobs) override {
    std::vector<Result<Setting>> found;
    for (const Knob& knob : knobs) found.push_back(read_one(knob));
    return found;
  }

  Setting as_kept(const Knob& knob, const Setting& setting) override {
    const auto* mask = std::get_if<ThreadCpus>(&setting);
    const auto* by_default = std::get_if<DefaultCpus>(&setting);
    const auto* asked = std::get_if<CpuSet>(&setting);
    if (mask != nullptr)
      return common(mask->cpus, cpuset).empty() ? ThreadCpus{cpuset, cpuset} : *mask;
    if (by_default != nullptr) return DefaultCpus{cpus};
    if (asked == nullptr) return setting;
    const CpuSet left = common(*asked, cpus);
    if (left.empty() && std::holds_alternative<knob::IrqAffinity>(knob)) return DefaultCpus{cpus};
    return left;
  }

  std::vector<Result<void>> write(std::span<const Action> actions) override {
    std::vector<Result<void>> outcomes;
    for (const Action& action : actions) {
      outcomes.push_back(write_one(action));
      if (!outcomes.back()) break;
    }
    return outcomes;
  }

 private:
  bool exists(const Knob& knob) const {
    const Device* device = device_of(knob);
    return device == nullptr || devices.contains(*device);
  }

  Result<Setting> read_one(const Knob& knob) const {
    if (fate != nullptr && fate->dead) return fail(ErrorKind::refused, "the process is dead");
    if (unreadable.contains(knob)) return fail_errno("read", EIO);
    if (!exists(knob)) return fail_errno(to_text(knob), ENODEV);
    const auto found = settings.find(knob);
    if (found == settings.end() && is_part_of_something(knob))
      return fail_errno(to_text(knob), ENOENT);
    return found == settings.end() ? Setting(Absent{}) : found->second;
  }

  Result<void> write_one(const Action& action) {
    if (fate != nullptr) {
      const bool happens = fate->write_happens();
      if (!happens) return {};  // nobody is there any more to see it
    }
    if (fail_at && (*fail_at)-- <= 0) {
      if (!for_good) fail_at.reset();
      return fail_errno("write", fail_with);
    }
    if (!exists(action.knob)) return fail_errno("write", ENODEV);
    if (deaf.contains(action.knob)) return {};
    if (const int refused = set(action.knob, action.after); refused != 0)
      return fail_errno("write", refused);
    writes.push_back(action);
    return {};
  }

  bool has(const Knob& knob) const { return settings.contains(knob); }

  /// It cannot be made: it is there as long as its queue, interrupt or thread is.
  static bool is_part_of_something(const Knob& knob) {
    return std::holds_alternative<knob::RpsMask>(knob) ||
           std::holds_alternative<knob::XpsMask>(knob) ||
           std::holds_alternative<knob::IrqAffinity>(knob) ||
           std::holds_alternative<knob::ThreadAffinity>(knob);
  }

  Indirection default_of(const Device& device, std::size_t size) const {
    Indirection table{.queues = std::vector<std::uint32_t>(size), .is_default = true};
    for (std::size_t i = 0; i < size; ++i)
      table.queues[i] = static_cast<std::uint32_t>(i % queues.at(device));
    return table;
  }

  int set_table(const Device& device, Setting& now, const Setting& to) const {
    const auto* wanted = std::get_if<Indirection>(&to);
    auto& table = std::get<Indirection>(now);
    if (wanted == nullptr) return EINVAL;
    const Indirection made = default_of(device, table.queues.size());
    if (wanted->is_default) return table = made, 0;
    if (wanted->queues.size() != table.queues.size()) return EINVAL;
    if (std::ranges::any_of(wanted->queues,
                            [&](std::uint32_t queue) { return queue >= queues.at(device); }))
      return EINVAL;
    table = {.queues = wanted->queues, .is_default = wanted->queues == made.queues};
    return 0;
  }

  int set_cpus(const Knob& knob, Setting& now, const Setting& to) const {
    const bool thread = std::holds_alternative<knob::ThreadAffinity>(knob);
    const bool irq = std::holds_alternative<knob::IrqAffinity>(knob);
    const auto* by_default = std::get_if<DefaultCpus>(&to);
    const auto* as_read = std::get_if<ThreadCpus>(&to);
    if ((by_default != nullptr && !irq) || (as_read != nullptr && !thread)) return EINVAL;
    const auto* wanted = by_default != nullptr ? &by_default->cpus
                         : as_read != nullptr  ? &as_read->cpus
                                               : std::get_if<CpuSet>(&to);
    if (wanted == nullptr) return EINVAL;
    if (managed.contains(knob)) return EIO;
    const bool all = as_read != nullptr && as_read->is_all();
    const CpuSet left = all ? cpuset : common(*wanted, thread ? cpuset : cpus);
    if (left.empty() && (thread || irq)) return EINVAL;
    if (thread)
      now = ThreadCpus{left, cpuset};
    else if (irq && left == cpus)
      now = DefaultCpus{left};
    else
      now = left;
    return 0;
  }

  int set(const Knob& knob, const Setting& to) {
    const auto now = settings.find(knob);
    if (const auto* table = std::get_if<knob::RssTable>(&knob))
      return now == settings.end() ? EOPNOTSUPP : set_table(table->device, now->second, to);
    if (is_part_of_something(knob))
      return now == settings.end() ? ENOENT : set_cpus(knob, now->second, to);
    if (now != settings.end() && std::holds_alternative<Foreign>(now->second)) return EEXIST;
    if (std::holds_alternative<Absent>(to)) {
      if (now == settings.end()) return ENOENT;
      if (const auto* c = std::get_if<knob::TcClass>(&knob); c != nullptr && has_children(*c))
        return EBUSY;
      remove(knob);
      return 0;
    }
    if (const auto* c = std::get_if<knob::TcClass>(&knob)) {
      const auto& setting = std::get<HtbClass>(to);
      const auto root = settings.find(knob::RootQdisc{c->device});
      if (root == settings.end() || !std::holds_alternative<HtbRoot>(root->second)) return ENOENT;
      const TcHandle handle = std::get<HtbRoot>(root->second).handle;
      if (setting.parent != handle && !has(knob::TcClass{c->device, setting.parent})) return ENOENT;
      if (now != settings.end() && std::get<HtbClass>(now->second).parent != setting.parent)
        return EINVAL;
      settings.insert_or_assign(knob, rounds_bursts ? rounded(setting) : setting);
      return 0;
    }
    if (const auto* leaf = std::get_if<knob::LeafQdisc>(&knob))
      if (!has(knob::TcClass{leaf->device, leaf->parent})) return ENOENT;
    if (std::holds_alternative<knob::RootQdisc>(knob) && now != settings.end() && now->second != to)
      return EOPNOTSUPP;
    if (const auto* redirect = std::get_if<knob::IngressRedirect>(&knob))
      if (!has(knob::Clsact{redirect->device})) return EINVAL;
    if (const auto* program = std::get_if<ClassifierProgram>(&to))
      if (program->hook == ClassifierProgram::Hook::clsact && !has(knob::Clsact{*device_of(knob)}))
        return EINVAL;
    if (const auto* ifb = std::get_if<knob::Ifb>(&knob)) {
      if (now != settings.end()) return EEXIST;
      add_device(ifb->name, std::get<IfbDevice>(to).ifindex);
    }
    settings.insert_or_assign(knob, to);
    return 0;
  }

  bool has_children(const knob::TcClass& parent) const {
    return std::ranges::any_of(settings, [&](const auto& s) {
      const auto* c = std::get_if<knob::TcClass>(&s.first);
      return c != nullptr && c->device == parent.device &&
             std::get<HtbClass>(s.second).parent == parent.handle;
    });
  }

  void remove(const Knob& knob) {
    const Setting was = settings.contains(knob) ? settings.at(knob) : Setting(Absent{});
    settings.erase(knob);
    const Device* device = device_of(knob);
    const auto erase_on_device = [&](auto falls) {
      std::erase_if(settings, [&](const auto& s) {
        const Device* on = device_of(s.first);
        return on != nullptr && *on == *device && falls(s.first, s.second);
      });
    };
    if (std::holds_alternative<knob::RootQdisc>(knob))
      erase_on_device([](const Knob& k, const Setting&) {
        return std::holds_alternative<knob::TcClass>(k) ||
               std::holds_alternative<knob::LeafQdisc>(k);
      });
    if (const auto* c = std::get_if<knob::TcClass>(&knob))
      settings.erase(knob::LeafQdisc{c->device, c->handle});
    if (std::holds_alternative<knob::Clsact>(knob))
      erase_on_device([](const Knob& k, const Setting& s) {
        const auto* program = std::get_if<ClassifierProgram>(&s);
        return std::holds_alternative<knob::IngressRedirect>(k) ||
               (program != nullptr && program->hook == ClassifierProgram::Hook::clsact);
      });
    if (const auto* ifb = std::get_if<knob::Ifb>(&knob))
      if (const auto* present = std::get_if<IfbDevice>(&was))
        remove_device({.name = ifb->name, .ifindex = present->ifindex, .netns_cookie = 7});
  }

  static HtbClass rounded(HtbClass setting) {
    const auto round = [](Bytes burst, BitRate rate) {
      const double per_tick = static_cast<double>(rate.bytes_per_second()) * 64e-9;
      if (per_tick <= 0) return burst;
      // To the nearest, as the actuator asks for: what was read can be written back and is the
      // same.
      const double ticks = std::round(static_cast<double>(burst.count) / per_tick);
      return Bytes{static_cast<std::uint64_t>(std::round(ticks * per_tick))};
    };
    setting.burst = round(setting.burst, setting.rate);
    setting.cburst = round(setting.cburst, setting.ceil);
    return setting;
  }
};

}  // namespace ankus
