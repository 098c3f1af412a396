// SPDX-License-Identifier: Apache-2.0
// What the observer keeps in the kernel, when the kernel refuses some of it.
#include "daemon/observer.h"

#include <unistd.h>

#include "netns/support.h"
#include "sense/workloads_rows.h"

namespace ankus {
namespace {

class ObserverOnKernel : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: network namespaces and BPF";
    lab_.emplace("--bridged --containers 'web:light backup:heavy'");
    auto observer = Observer::open({.max_flows = 1024});
    ASSERT_TRUE(observer) << observer.error().text;
    observer_ = std::move(*observer);
    if (!observer_->snapshot().host.tcx) GTEST_SKIP() << "needs tcx links (6.6)";
  }

  /// The kernel attaches a program once only: with ours there, the observer's own is refused.
  UniqueFd occupy_egress(const std::string& device) {
    auto link = bpf::attach_tcx(observer_->programs().program("ankus_workload_receives"),
                                lab_->ifindex(device), bpf::TcxHook::egress);
    EXPECT_TRUE(link) << link.error().text;
    return link ? std::move(*link) : UniqueFd();
  }

  /// So much later that it looks for workloads again.
  void refresh() {
    now_ = now_ + seconds(10);
    const auto done = observer_->refresh(now_);
    ASSERT_TRUE(done) << done.error().text;
  }

  bool has_row(std::uint32_t ifindex) const {
    const auto rows = workload_device_rows(observer_->programs());
    EXPECT_TRUE(rows);
    return rows && rows->contains(ifindex);
  }
  bool complains_of(const std::string& device) const {
    return std::ranges::any_of(observer_->downgrades(), [&](const std::string& line) {
      return line.starts_with(device + ": ");
    });
  }
  static std::size_t links_held() { return Procfs{}.open_files(::getpid(), "anon_inode:bpf_link"); }

  std::optional<Lab> lab_;
  std::unique_ptr<Observer> observer_;
  MonotonicTime now_ = SystemClock().monotonic();
};

TEST_F(ObserverOnKernel, ADeviceThatCannotBeWatchedLeavesNeitherARowNorHalfItsLinks) {
  const std::uint32_t web = lab_->ifindex("v-web");
  UniqueFd occupied = occupy_egress("v-web");
  refresh();
  EXPECT_FALSE(has_row(web));
  EXPECT_TRUE(has_row(lab_->ifindex("v-backup"))) << "the others are watched all the same";
  EXPECT_TRUE(complains_of("v-web"));

  const std::size_t without_web = links_held() - 1;
  occupied.reset();
  refresh();
  EXPECT_TRUE(has_row(web));
  EXPECT_EQ(links_held(), without_web + 2);
  EXPECT_FALSE(complains_of("v-web"));
}

TEST_F(ObserverOnKernel, OfADeviceThatIsGoneNobodyComplains) {
  const UniqueFd occupied = occupy_egress("v-web");
  refresh();
  ASSERT_TRUE(complains_of("v-web"));
  ASSERT_EQ(run("ip link del v-web").code, 0);
  refresh();
  EXPECT_FALSE(complains_of("v-web"));
}

}  // namespace
}  // namespace ankus
