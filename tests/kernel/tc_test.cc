// SPDX-License-Identifier: Apache-2.0
#include "kernel/tc.h"

#include <gmock/gmock.h>
#include <linux/rtnetlink.h>

#include "fake/recorded.h"

namespace ankus {
namespace {

using ::testing::ElementsAre;

/// A request as the kernel would dump it: the flags differ, the attributes do not.
template <class Value>
Value reread(const NetlinkMessage& request,
             std::optional<Value> (*parse)(std::span<const std::byte>)) {
  const auto value = parse(request);
  EXPECT_TRUE(value);
  return value.value_or(Value{});
}

TEST(Tc, ReadsWhatIproute2MadeOnARealKernel) {
  std::vector<tc::Qdisc> qdiscs;
  for (const NetlinkMessage& message : recorded_messages("tc/tree.txt", "qdisc"))
    if (auto qdisc = tc::parse_qdisc(message); qdisc && qdisc->ifindex == 42)
      qdiscs.push_back(*qdisc);
  EXPECT_THAT(
      qdiscs,
      ElementsAre(tc::Qdisc{.ifindex = 42,
                            .handle = 0x70000,
                            .parent = tc::kRoot,
                            .kind = "htb",
                            .options = tc::HtbQdisc{.default_minor = 0x20, .direct_packets = 500}},
                  tc::Qdisc{.ifindex = 42,
                            .handle = 0x270000,
                            .parent = 0x70020,
                            .kind = "bfifo",
                            .options = tc::FifoQdisc{64000}},
                  tc::Qdisc{.ifindex = 42,
                            .handle = tc::kClsactHandle,
                            .parent = tc::kClsact,
                            .kind = "clsact"}));
}

TEST(Tc, ReadsClassesAlsoThoseOver32Bit) {
  std::vector<tc::Class> classes;
  for (const NetlinkMessage& message : recorded_messages("tc/tree.txt", "class"))
    classes.push_back(tc::parse_class(message).value());
  std::ranges::sort(classes, {}, &tc::Class::handle);
  ASSERT_EQ(classes.size(), 2U);
  EXPECT_EQ(classes[0].handle, 0x70001U);
  EXPECT_EQ(classes[0].htb->rate, 12'500'000'000U) << "100 Gbit/s need TCA_HTB_RATE64";
  EXPECT_EQ(classes[1].parent, 0x70001U);
  EXPECT_EQ(classes[1].htb->rate, 15'000'000U);
  EXPECT_EQ(classes[1].htb->ceil, 25'000'000U);
  EXPECT_EQ(classes[1].htb->priority, 3U);
  EXPECT_EQ(classes[1].htb->quantum, 60'000U);
  EXPECT_NEAR(static_cast<double>(tc::burst_bytes(classes[1].htb->burst, 15'000'000)), 15 * 1024,
              16);
  EXPECT_NEAR(static_cast<double>(tc::burst_bytes(classes[1].htb->cburst, 25'000'000)), 16 * 1024,
              16);
}

TEST(Tc, ReadsFilters) {
  const auto messages = recorded_messages("tc/tree.txt", "filter");
  bool redirect = false, program = false;
  for (const NetlinkMessage& message : messages) {
    const auto filter = tc::parse_filter(message);
    ASSERT_TRUE(filter);
    if (filter->redirect_ifindex == 43) {
      redirect = true;
      EXPECT_EQ(filter->priority, 9);
      EXPECT_EQ(filter->kind, "u32");
    }
    if (filter->program_id != 0) {
      program = true;
      EXPECT_EQ(filter->priority, 11);
      EXPECT_EQ(filter->kind, "bpf");
    }
  }
  EXPECT_TRUE(redirect && program);
}

TEST(Tc, AClassReadsBackAsItWasWritten) {
  for (const std::uint64_t rate :
       {8'000ULL, 15'000'000ULL, 0xffffffffULL, 0x100000000ULL, 50'000'000'000ULL}) {
    const tc::HtbClass wanted{.rate = rate,
                              .ceil = rate * 2,
                              .burst = 1234,
                              .cburst = 5678,
                              .priority = 7,
                              .quantum = 1514};
    const auto read =
        reread(tc::put_htb_class(5, 0x7a8c0010, 0x7a8c0001, wanted, false), tc::parse_class);
    EXPECT_EQ(read, (tc::Class{.ifindex = 5,
                               .handle = 0x7a8c0010,
                               .parent = 0x7a8c0001,
                               .kind = "htb",
                               .htb = wanted}));
  }
}

TEST(Tc, ARedirectNamesItsTarget) {
  const auto read = reread(tc::add_redirect_filter(5, tc::kClsactIngress, 77, 9), tc::parse_filter);
  EXPECT_EQ(read.redirect_ifindex, 9U);
  EXPECT_EQ(read.priority, 77);
  EXPECT_EQ(read.protocol, 3) << "ETH_P_ALL";
}

TEST(Tc, BurstsSurviveTheKernelsTicksToWithinOne) {
  for (const std::uint64_t rate :
       {8'000ULL, 1'250'000ULL, 25'000'000ULL, 1'250'000'000ULL, 12'500'000'000ULL})
    for (const std::uint64_t bytes : {1'600ULL, 15'140ULL, 250'000ULL}) {
      const std::uint64_t back = tc::burst_bytes(tc::burst_ticks(bytes, rate), rate);
      const std::uint64_t tick = rate * 64 / 1'000'000'000 + 1;
      EXPECT_GE(back + 1, bytes) << rate;
      EXPECT_LE(back, bytes + tick) << rate;
      EXPECT_EQ(tc::burst_bytes(tc::burst_ticks(back, rate), rate), back)
          << "what was read can be written again";
    }
}

TEST(Tc, TheQueueOfADumpedQdiscIsRead) {
  std::size_t read = 0;
  for (const NetlinkMessage& message : recorded_messages("tc/tree.txt", "qdisc"))
    if (const auto queue = tc::parse_qdisc_queue(message)) {
      EXPECT_EQ(queue->ifindex, tc::parse_qdisc(message)->ifindex);
      ++read;
    }
  EXPECT_GT(read, 0U);
  EXPECT_FALSE(tc::parse_qdisc_queue(tc::class_dump(3)));
}

TEST(Tc, TornMessagesAreNotRead) {
  for (const std::string kind : {"qdisc", "class", "filter"})
    for (const NetlinkMessage& whole : recorded_messages("tc/tree.txt", kind))
      for (std::size_t length = 0; length < whole.size(); ++length) {
        const std::span<const std::byte> torn(whole.data(), length);
        (void)tc::parse_qdisc(torn);  // must not read beyond its end: ASan looks
        (void)tc::parse_qdisc_queue(torn);
        (void)tc::parse_class(torn);
        (void)tc::parse_filter(torn);
      }
}

}  // namespace
}  // namespace ankus
