// SPDX-License-Identifier: Apache-2.0
#include "policy/balance.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace ankus {
namespace {

using Table = std::vector<std::uint32_t>;

/// Sums of the same numbers in another order differ by this much at most.
constexpr double kRounding = 1 + 1e-9;
/// Looks at a queue that the exhaustive search may take: some 10 us.
constexpr int kSearchBudget = 12'000;
/// Of more it would see too little to find anything.
constexpr std::size_t kSearchable = 32;
constexpr int kMultifitRounds = 4;
/// Moves that may have been tried before yet another strategy is: some 10 us.
constexpr std::size_t kTriedEnough = 40;

double sane(double load) { return std::isfinite(load) && load > 0 ? load : 0; }

/// Entries by load, the largest first; equal ones by their number.
std::vector<std::uint32_t> largest_first(std::span<const double> loads) {
  std::vector<std::uint32_t> order(loads.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, [&](std::uint32_t a, std::uint32_t b) {
    return loads[a] != loads[b] ? loads[a] > loads[b] : a < b;
  });
  return order;
}

double largest(std::span<const double> values) {
  return values.empty() ? 0 : *std::ranges::max_element(values);
}

/// Puts entries into queues from nothing, so that the busiest has little.
class Packing {
 public:
  Packing(std::span<const double> loads, std::uint32_t queues)
      : loads_(loads), queues_(queues), order_(largest_first(loads)) {
    // Entries without load stay where they are; they would only be moved for nothing.
    std::size_t loaded = order_.size();
    while (loaded > 0 && loads_[order_[loaded - 1]] == 0) --loaded;
    loaded_ = std::span(order_).first(loaded);
    least_ = lower_bound();
    pack();
  }

  Packing(const Packing&) = delete;  // a span of its own order would dangle
  Packing& operator=(const Packing&) = delete;

  /// All entries, the largest first.
  std::span<const std::uint32_t> order() const { return order_; }
  double least() const { return least_; }
  double reached() const { return reached_; }
  const Table& table() const { return table_; }

 private:
  /// The mean; and with one entry more than k for each queue, some queue has k + 1 of these.
  double lower_bound() const {
    double bound = 0;
    for (const std::uint32_t entry : loaded_) bound += loads_[entry];
    bound /= queues_;
    for (std::size_t each = 0; each * queues_ < loaded_.size(); ++each) {
      double sum = 0;
      for (std::size_t i = 0; i <= each; ++i) sum += loads_[loaded_[each * queues_ - i]];
      bound = std::max(bound, sum);
    }
    return bound;
  }

  bool good_enough() const { return reached_ <= least_ * kBalanceTolerance; }

  void pack() {
    largest_to_least();
    if (good_enough()) return;
    multifit();
    if (!good_enough() && loaded_.size() <= kSearchable) search();
  }

  /// Graham's rule: the largest entry first, each to the queue with the least.
  void largest_to_least() {
    using Queue = std::pair<double, std::uint32_t>;
    std::vector<Queue> heap;
    for (std::uint32_t queue = 0; queue < queues_; ++queue) heap.emplace_back(0.0, queue);
    table_.assign(loads_.size(), queues_);
    reached_ = 0;
    for (const std::uint32_t entry : loaded_) {
      std::ranges::pop_heap(heap, std::greater<>());
      auto& [sum, queue] = heap.back();
      sum += loads_[entry];
      table_[entry] = queue;
      reached_ = std::max(reached_, sum);
      std::ranges::push_heap(heap, std::greater<>());
    }
  }

  /// The largest first, each into the first queue where it fits below `limit`.
  bool first_fit(double limit, Table& table, std::vector<double>& sums) const {
    std::ranges::fill(sums, 0);
    for (const std::uint32_t entry : loaded_) {
      const auto fits = std::ranges::find_if(
          sums, [&](double sum) { return sum + loads_[entry] <= limit * kRounding; });
      if (fits == sums.end()) return false;
      *fits += loads_[entry];
      table[entry] = static_cast<std::uint32_t>(fits - sums.begin());
    }
    return true;
  }

  /// Coffman, Garey, Johnson: bisects the limit of first_fit().
  void multifit() {
    double low = least_, high = reached_;
    Table table(loads_.size(), queues_);
    std::vector<double> sums(queues_);
    for (int round = 0; round < kMultifitRounds && !good_enough(); ++round) {
      const double limit = (low + high) / 2;
      if (!first_fit(limit, table, sums)) {
        low = limit;
        continue;
      }
      high = limit;
      if (const double busiest = largest(sums); busiest < reached_) {
        reached_ = busiest;
        table_ = table;
      }
    }
  }

  /// All ways that could be better, as far as the budget goes: the largest entry first, never into
  /// two queues that have the same.
  void search() {
    int budget = kSearchBudget;
    std::vector<double> sums(queues_);
    Table table(loads_.size(), queues_);
    const auto place = [&](const auto& self, std::size_t at, double busiest) -> void {
      if (at == loaded_.size()) {
        reached_ = busiest;
        table_ = table;
        return;
      }
      const double load = loads_[loaded_[at]];
      for (std::uint32_t queue = 0; queue < queues_ && budget > 0 && !good_enough(); ++queue) {
        --budget;
        const auto before = sums.begin() + queue;
        if (sums[queue] + load >= reached_ || std::find(sums.begin(), before, *before) != before)
          continue;
        sums[queue] += load;
        table[loaded_[at]] = queue;
        self(self, at + 1, std::max(busiest, sums[queue]));
        sums[queue] -= load;
      }
    };
    place(place, 0, 0);
  }

  std::span<const double> loads_;
  std::uint32_t queues_;
  std::vector<std::uint32_t> order_;
  std::span<const std::uint32_t> loaded_;  // the first of them
  double least_ = 0, reached_ = 0;
  Table table_;  // of entries without load: `queues_`
};

/// Which entry leaves a queue that has too much, and for where. None is best for all loads.
struct Strategy {
  enum class Order { smallest_enough, largest_fitting, largest_of_all };
  enum class Room { tightest, largest };
  Order order = Order::smallest_enough;
  Room room = Room::tightest;
};
constexpr Strategy kStrategies[] = {
    {Strategy::Order::smallest_enough, Strategy::Room::tightest},
    {Strategy::Order::smallest_enough, Strategy::Room::largest},
    {Strategy::Order::largest_of_all, Strategy::Room::largest},
    {Strategy::Order::largest_of_all, Strategy::Room::tightest},
    {Strategy::Order::largest_fitting, Strategy::Room::tightest},
};

/// A table whose entries are being moved until no queue has more than a limit.
class Moves {
 public:
  Moves(std::span<const std::uint32_t> table, std::span<const double> loads, std::uint32_t queues,
        double limit, std::span<const std::uint32_t> order)
      : loads_(loads),
        order_(order),
        from_(table.begin(), table.end()),
        table_(from_),
        limit_(limit * kRounding),
        sums_(queues),
        counts_(queues),
        entries_(queues) {
    for (std::uint32_t entry = 0; entry < table_.size(); ++entry)
      if (table_[entry] < queues) add(entry, table_[entry]);
    for (const std::uint32_t entry : order_)
      if (table_[entry] < queues) entries_[table_[entry]].push_back(entry);
  }

  /// Gives each entry that has none a queue: that with the least.
  void place_homeless() {
    for (const std::uint32_t entry : order_)
      if (table_[entry] >= sums_.size()) {
        const std::uint32_t queue = home_for(loads_[entry]);
        table_[entry] = queue;
        add(entry, queue);
        const auto after = std::ranges::find_if(
            entries_[queue], [&](std::uint32_t other) { return loads_[other] < loads_[entry]; });
        entries_[queue].insert(after, entry);
      }
  }

  /// Takes entries off each queue that has too much, where they fit; false if it gets stuck.
  bool relieve(Strategy strategy) {
    if (strategy.order == Strategy::Order::largest_of_all) move_largest_first(strategy.room);
    for (std::size_t steps = 0; steps <= 4 * table_.size(); ++steps) {
      const auto busiest = std::ranges::max_element(sums_);
      if (busiest == sums_.end() || *busiest <= limit_) return true;
      const auto queue = static_cast<std::uint32_t>(busiest - sums_.begin());
      if (!move_one_off(queue, strategy) && !exchange_one(queue)) return false;
    }
    return false;
  }

  /// So many must leave queues that have too much, wherever they go.
  std::size_t fewest() const {
    std::size_t count = 0;
    for (std::size_t queue = 0; queue < sums_.size(); ++queue) {
      double sum = sums_[queue];
      for (const std::uint32_t entry : entries_[queue]) {
        if (sum <= limit_) break;
        sum -= loads_[entry];
        ++count;
      }
    }
    return count;
  }

  /// Takes the queues of `packed`, each named after the one whose entries it has most of.
  void take(const Table& packed) {
    struct Kept {
      std::uint32_t count;
      std::uint32_t theirs, ours;
    };
    const auto queues = static_cast<std::uint32_t>(sums_.size());
    std::vector<std::uint32_t> both(std::size_t{queues} * queues);
    for (std::size_t entry = 0; entry < packed.size(); ++entry)
      if (packed[entry] < queues && from_[entry] < queues)
        ++both[packed[entry] * queues + from_[entry]];
    std::vector<Kept> kept;
    for (std::size_t entry = 0; entry < packed.size(); ++entry) {
      if (packed[entry] >= queues || from_[entry] >= queues) continue;
      std::uint32_t& count = both[packed[entry] * queues + from_[entry]];
      if (count > 0)
        kept.push_back({.count = count, .theirs = packed[entry], .ours = from_[entry]});
      count = 0;  // once for each pair
    }
    std::ranges::stable_sort(kept, std::greater<>(), &Kept::count);
    std::vector<std::uint32_t> name(queues, queues);
    std::vector<bool> used(queues);
    const auto call = [&](std::uint32_t theirs, std::uint32_t ours) {
      if (name[theirs] != queues || used[ours]) return;
      name[theirs] = ours;
      used[ours] = true;
    };
    for (const Kept& pair : kept) call(pair.theirs, pair.ours);
    for (std::uint32_t theirs = 0, ours = 0; theirs < queues; ++theirs) {
      if (name[theirs] != queues) continue;
      while (used[ours]) ++ours;
      call(theirs, ours);
    }

    std::ranges::fill(sums_, 0);
    std::ranges::fill(counts_, 0);
    for (std::uint32_t entry = 0; entry < packed.size(); ++entry) {
      if (packed[entry] < queues)
        table_[entry] = name[packed[entry]];
      else
        table_[entry] = from_[entry] < queues ? from_[entry] : home_for(0);
      add(entry, table_[entry]);
    }
  }

  /// Moves back whatever may be where it was after all; the small first, since more of them fit.
  void move_back() {
    std::vector<std::uint32_t> moved = moved_entries();
    std::ranges::stable_sort(moved, {}, [&](std::uint32_t entry) { return loads_[entry]; });
    for (bool again = true; again;) {
      again = false;
      for (const std::uint32_t entry : moved) {
        const std::uint32_t home = from_[entry];
        if (table_[entry] == home || sums_[home] + loads_[entry] > limit_) continue;
        remove(entry, table_[entry]);
        table_[entry] = home;
        add(entry, home);
        again = true;
      }
    }
  }

  std::size_t moved() const { return moved_entries().size(); }
  double busiest() const { return largest(sums_); }
  Table take_table() && { return std::move(table_); }

 private:
  void add(std::uint32_t entry, std::uint32_t queue) {
    sums_[queue] += loads_[entry];
    ++counts_[queue];
  }
  void remove(std::uint32_t entry, std::uint32_t queue) {
    sums_[queue] -= loads_[entry];
    --counts_[queue];
  }

  void shift(std::uint32_t entry, std::uint32_t to) {
    const std::uint32_t from = table_[entry];
    std::erase(entries_[from], entry);
    remove(entry, from);
    const auto after = std::ranges::find_if(
        entries_[to], [&](std::uint32_t other) { return loads_[other] < loads_[entry]; });
    entries_[to].insert(after, entry);
    table_[entry] = to;
    add(entry, to);
  }

  /// With the least load; of equal ones that with the fewest entries.
  std::uint32_t emptiest() const {
    std::uint32_t best = 0;
    for (std::uint32_t queue = 1; queue < sums_.size(); ++queue)
      if (sums_[queue] < sums_[best] ||
          (sums_[queue] == sums_[best] && counts_[queue] < counts_[best]))
        best = queue;
    return best;
  }

  /// That with the least; for an entry without load, in which any packet may come next, that with
  /// the fewest entries.
  std::uint32_t home_for(double load) const {
    if (load > 0) return emptiest();
    return static_cast<std::uint32_t>(std::ranges::min_element(counts_) - counts_.begin());
  }

  /// The smallest entry that is enough, if the strategy likes, else the largest that fits.
  bool move_one_off(std::uint32_t queue, Strategy strategy) {
    const std::uint32_t to = emptiest();
    const double excess = sums_[queue] - limit_, room = limit_ - sums_[to];
    const std::vector<std::uint32_t>& own = entries_[queue];  // the largest first
    const auto fits =
        std::ranges::find_if(own, [&](std::uint32_t entry) { return loads_[entry] <= room; });
    if (fits == own.end() || loads_[*fits] == 0) return false;
    auto chosen = fits;
    if (strategy.order == Strategy::Order::smallest_enough)
      for (auto next = fits; next != own.end() && loads_[*next] >= excess; ++next) chosen = next;
    shift(*chosen, room_for(loads_[*chosen], strategy.room, to));
    return true;
  }

  void move_largest_first(Strategy::Room room) {
    std::vector<std::uint32_t> order;
    for (std::size_t queue = 0; queue < sums_.size(); ++queue)
      if (sums_[queue] > limit_)
        order.insert(order.end(), entries_[queue].begin(), entries_[queue].end());
    std::ranges::stable_sort(order, std::greater<>(),
                             [&](std::uint32_t entry) { return loads_[entry]; });
    std::uint32_t to = emptiest();
    for (const std::uint32_t entry : order) {
      if (sums_[table_[entry]] <= limit_ || sums_[to] + loads_[entry] > limit_) continue;
      shift(entry, room_for(loads_[entry], room, to));
      to = emptiest();
    }
  }

  /// A queue where `load` fits: the emptiest, or the one in which it leaves least room, so that
  /// the larger rooms stay for larger entries.
  std::uint32_t room_for(double load, Strategy::Room room, std::uint32_t the_emptiest) const {
    std::uint32_t best = the_emptiest;
    if (room == Strategy::Room::largest) return best;
    for (std::uint32_t queue = 0; queue < sums_.size(); ++queue)
      if (sums_[queue] + load <= limit_ && sums_[queue] > sums_[best]) best = queue;
    return best;
  }

  /// An entry against a smaller one of another queue, where that brings the queue down: as far as
  /// need be with the least, else as far as possible.
  bool exchange_one(std::uint32_t queue) {
    const double excess = sums_[queue] - limit_;
    double best = 0;
    std::uint32_t out = 0, in = 0;
    for (const std::uint32_t mine : entries_[queue])
      for (std::uint32_t other = 0; other < sums_.size(); ++other) {
        if (other == queue) continue;
        for (const std::uint32_t theirs : entries_[other]) {
          const double relief = loads_[mine] - loads_[theirs];
          if (relief <= 0 || sums_[other] + relief > limit_) continue;
          const bool better = best >= excess ? relief >= excess && relief < best : relief > best;
          if (!better) continue;
          best = relief;
          out = mine;
          in = theirs;
        }
      }
    if (best == 0) return false;
    const std::uint32_t other = table_[in];
    shift(out, other);
    shift(in, queue);
    return true;
  }

  std::vector<std::uint32_t> moved_entries() const {
    std::vector<std::uint32_t> moved;
    for (std::uint32_t entry = 0; entry < table_.size(); ++entry)
      if (table_[entry] != from_[entry] && from_[entry] < sums_.size()) moved.push_back(entry);
    return moved;
  }

  std::span<const double> loads_;
  std::span<const std::uint32_t> order_;  // the largest first
  Table from_, table_;
  double limit_;
  std::vector<double> sums_;
  std::vector<std::uint32_t> counts_;
  std::vector<std::vector<std::uint32_t>> entries_;  // of each queue, the largest first
};

std::optional<Table> moved_to(std::span<const std::uint32_t> table, std::span<const double> loads,
                              std::uint32_t queues, double limit, const Packing& packing) {
  Moves start(table, loads, queues, limit, packing.order());
  start.place_homeless();
  const std::size_t fewest = start.fewest();
  std::size_t tried_moves = 0;
  std::optional<Moves> best;
  const auto consider = [&](Moves&& tried) {
    tried.move_back();
    if (!best || tried.moved() < best->moved()) best = std::move(tried);
  };
  for (const Strategy strategy : kStrategies) {
    if (tried_moves > kTriedEnough) break;
    Moves tried = start;
    const bool relieved = tried.relieve(strategy);
    tried_moves += tried.moved();
    if (relieved) consider(std::move(tried));
    if (best && best->moved() <= fewest) return std::move(*best).take_table();
  }
  // Step by step is best where little is wrong; where much is, a fresh table may be nearer.
  if (packing.reached() <= limit * kRounding) {
    Moves afresh(table, loads, queues, limit, packing.order());
    afresh.take(packing.table());
    consider(std::move(afresh));
  }
  if (!best) return std::nullopt;
  return std::move(*best).take_table();
}

std::vector<double> sane_loads(std::span<const BucketLoad> loads) {
  std::vector<double> all;
  all.reserve(loads.size());
  for (const BucketLoad& load : loads) all.push_back(sane(load.packets_per_second));
  return all;
}

std::vector<double> sums_of(const Table& table, std::span<const double> loads,
                            std::uint32_t queues) {
  std::vector<double> sums(queues);
  for (std::size_t entry = 0; entry < table.size(); ++entry) sums[table[entry]] += loads[entry];
  return sums;
}

/// Balances the entries of one kind over the queues that are theirs; an entry from elsewhere must
/// move in any case.
void balance_kind(const std::vector<bool>& is_theirs, const std::vector<std::uint32_t>& queues,
                  std::span<const double> loads, Table& table) {
  const auto count = static_cast<std::uint32_t>(queues.size());
  std::vector<double> own_loads;
  Table own;
  for (std::size_t entry = 0; entry < table.size(); ++entry) {
    if (!is_theirs[entry]) continue;
    const auto at = std::ranges::lower_bound(queues, table[entry]);
    const bool there = at != queues.end() && *at == table[entry];
    own.push_back(there ? static_cast<std::uint32_t>(at - queues.begin()) : count);
    own_loads.push_back(loads[entry]);
  }
  if (own.empty()) return;
  const Packing packing(own_loads, count);
  const double limit = std::max(packing.reached(), packing.least() * kBalanceTolerance);
  const auto balanced = moved_to(own, own_loads, count, limit, packing);
  for (std::size_t entry = 0, next = 0; entry < table.size(); ++entry)
    if (is_theirs[entry]) table[entry] = queues[(*balanced)[next++]];
}

/// How often a packet of an entry without elephants shares its queue with an elephant's. Mice in an
/// elephant's own entry go where it goes.
double meetings(const Table& table, const std::vector<BucketLoad>& loads, std::uint32_t queues) {
  std::vector<double> mice(queues), elephants(queues);
  for (std::size_t entry = 0; entry < table.size(); ++entry) {
    const double large = sane(loads[entry].elephant_packets_per_second);
    elephants[table[entry]] += large;
    if (large == 0) mice[table[entry]] += sane(loads[entry].packets_per_second);
  }
  return std::inner_product(mice.begin(), mice.end(), elephants.begin(), 0.0);
}

Share gain_of(double before, double after) { return {before > 0 ? 1 - after / before : 0}; }

std::string rate_text(double per_second) {
  return std::to_string(static_cast<std::uint64_t>(per_second)) + " packets/s";
}

/// In whole percents: a reason needs no more.
std::string percent(Share share) {
  return std::to_string(static_cast<int>(std::lround(share.of_one * 100))) + "%";
}

std::string entries_text(std::uint32_t count) {
  return std::to_string(count) + (count == 1 ? " entry" : " entries");
}

bool is_valid(const BalanceInput& input) {
  const auto below = [&](std::uint32_t queue) { return queue < input.queues; };
  return input.loads.size() == input.table.size() && input.queues > 0 &&
         std::ranges::all_of(input.table, below) &&
         std::ranges::all_of(input.elephant_queues, below) &&
         input.elephant_queues.size() < input.queues;
}

Table balanced_table(const BalanceInput& input, std::span<const double> loads) {
  Table table = input.table;
  std::vector<std::uint32_t> elephants = input.elephant_queues, mice;
  for (std::uint32_t queue = 0; queue < input.queues; ++queue)
    if (!std::ranges::binary_search(elephants, queue)) mice.push_back(queue);
  std::vector<bool> has_elephants(table.size());
  for (std::size_t entry = 0; entry < table.size(); ++entry)
    has_elephants[entry] =
        !elephants.empty() && sane(input.loads[entry].elephant_packets_per_second) > 0;
  balance_kind(has_elephants, elephants, loads, table);
  has_elephants.flip();
  balance_kind(has_elephants, mice, loads, table);
  return table;
}

}  // namespace

std::optional<Table> few_moves_to(std::span<const std::uint32_t> table,
                                  std::span<const double> loads, std::uint32_t queues,
                                  double limit) {
  return moved_to(table, loads, queues, limit, Packing(loads, queues));
}

BalanceBounds balance_bounds(std::span<const double> loads, std::uint32_t queues) {
  const Packing packing(loads, queues);
  return {.reached = packing.reached(), .least = packing.least()};
}

Balance balance(const BalanceInput& input) {
  if (!is_valid(input)) return {.reason = "table, loads and queues do not fit one another"};
  const std::vector<double> loads = sane_loads(input.loads);
  const std::vector<double> before = sums_of(input.table, loads, input.queues);
  const auto busiest =
      static_cast<std::uint32_t>(std::ranges::max_element(before) - before.begin());
  if (before[busiest] == 0) return {.reason = "nothing was received"};
  const std::string who = "its busiest queue " + std::to_string(busiest);
  const auto busy = busiest < input.busy.size() ? input.busy[busiest] : std::nullopt;
  if (!busy) return {.reason = "which CPU serves " + who + " is not known"};
  if (*busy < input.busy_enough)
    return {.reason = "the CPU of " + who + " is " + percent(*busy) + " busy, below " +
                      percent(input.busy_enough)};

  Table table = balanced_table(input, loads);
  const double after = largest(sums_of(table, loads, input.queues));
  Balance result{.gain = gain_of(before[busiest], after)};
  for (std::size_t entry = 0; entry < table.size(); ++entry)
    result.moves += table[entry] != input.table[entry] ? 1 : 0;
  if (result.moves == 0) {
    result.reason = "it is balanced already: " + who + " has " + rate_text(before[busiest]);
    return result;
  }
  std::string what = "the busiest queue's load";
  if (!input.elephant_queues.empty()) {
    const Share apart = gain_of(meetings(input.table, input.loads, input.queues),
                                meetings(table, input.loads, input.queues));
    if (result.gain < apart) {
      result.gain = apart;
      what = "the mice's packets that meet elephants'";
    }
  }
  if (result.gain < input.min_gain) {
    result.reason = "to move " + entries_text(result.moves) + " would take " +
                    percent(result.gain) + " off " + what + ", less than " +
                    percent(input.min_gain);
    return result;
  }
  result.reason = who + " had " + rate_text(before[busiest]) + " on a CPU " + percent(*busy) +
                  " busy; " + entries_text(result.moves) + " moved take " + percent(result.gain) +
                  " off " + what;
  result.table = std::move(table);
  return result;
}

}  // namespace ankus
