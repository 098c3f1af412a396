// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

namespace ankus {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

NetlinkMessage link_request(std::string_view name) {
  NetlinkMessage message = netlink_message(RTM_GETLINK, 0, ifinfomsg{.ifi_family = AF_UNSPEC});
  put_text(message, IFLA_IFNAME, name);
  return message;
}

NetlinkMessage bytes(std::initializer_list<int> values) {
  NetlinkMessage message;
  for (const int value : values) message.push_back(static_cast<std::byte>(value));
  return message;
}

TEST(NetlinkMessage, IsLaidOutAsTheManPageSays) {
  // What `ip link show dev lo` asks, laid out by hand after rtnetlink(7).
  EXPECT_EQ(link_request("lo"),
            bytes({40, 0, 0, 0, 18,  0,   1, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // nlmsghdr
                   0,  0, 0, 0, 0,   0,   0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // ifinfomsg
                   7,  0, 3, 0, 'l', 'o', 0, 0}));                       // IFLA_IFNAME, padded
}

TEST(NetlinkMessage, NestsKeepTheirLength) {
  NetlinkMessage message = netlink_message(RTM_NEWLINK, 0, ifinfomsg{});
  const std::size_t outer = begin_nest(message, IFLA_LINKINFO);
  put_text(message, IFLA_INFO_KIND, "veth");
  const std::size_t inner = begin_nest(message, IFLA_INFO_DATA);
  put_value(message, 1, std::uint32_t{7});
  end_nest(message, inner);
  end_nest(message, outer);

  const auto top = attributes_of(message, sizeof(ifinfomsg));
  ASSERT_EQ(top.size(), 1u);
  EXPECT_EQ(top[0].type, IFLA_LINKINFO);
  const auto info = attributes_in(top[0].payload);
  ASSERT_EQ(info.size(), 2u);
  EXPECT_EQ(text_in(info[0].payload), "veth");
  const auto data = attributes_in(info[1].payload);
  ASSERT_EQ(data.size(), 1u);
  EXPECT_EQ(value_in<std::uint32_t>(data[0].payload), 7u);
}

TEST(NetlinkMessage, CutAnywhereReadsAsFewerAttributesAndNeverBeyond) {
  NetlinkMessage message = link_request("eth0");
  put_value(message, IFLA_MTU, std::uint32_t{1500});
  for (std::size_t size = 0; size <= message.size(); ++size) {
    const std::vector<std::byte> cut(message.begin(),
                                     message.begin() + static_cast<std::ptrdiff_t>(size));
    const auto attributes = attributes_of(cut, sizeof(ifinfomsg));
    EXPECT_EQ(attributes.size(), size >= 52 ? 2u : size >= 41 ? 1u : 0u) << size;
  }
}

TEST(NetlinkMessage, AnAttributeWithAnAbsurdLengthEndsTheList) {
  EXPECT_TRUE(attributes_in(bytes({3, 0, 1, 0, 9, 9, 9, 9})).empty());
  EXPECT_TRUE(attributes_in(bytes({255, 255, 1, 0, 9, 9, 9, 9})).empty());
}

TEST(NetlinkAck, CarriesTheKernelsWords) {
  // NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, sequence 9, -EINVAL, NLMSGERR_ATTR_MSG "no".
  const auto ack =
      parse_ack(bytes({44,   0,    0,    0,    2,   0,   0, 3, 9, 0, 0, 0, 0, 0, 0, 0,  //
                       0xea, 0xff, 0xff, 0xff,                                          //
                       40,   0,    0,    0,    18,  0,   5, 0, 9, 0, 0, 0, 0, 0, 0, 0,  //
                       7,    0,    1,    0,    'n', 'o', 0, 0}));
  EXPECT_EQ(ack, (NetlinkAck{.sequence = 9, .err = EINVAL, .text = "no"}));
  EXPECT_EQ(parse_ack(link_request("lo")), std::nullopt);
}

TEST(NetlinkAck, SkipsTheEchoedRequestWhenItIsNotCapped) {
  const auto ack =
      parse_ack(bytes({48,   0,    0,    0,    2,   0,   0, 2, 9, 0, 0, 0, 0, 0, 0, 0,  //
                       0xff, 0xff, 0xff, 0xff,                                          //
                       20,   0,    0,    0,    18,  0,   5, 0, 9, 0, 0, 0, 0, 0, 0, 0,  //
                       1,    2,    3,    4,                                             // echoed
                       7,    0,    1,    0,    'n', 'o', 0, 0}));
  ASSERT_TRUE(ack);
  EXPECT_EQ(ack->err, EPERM);
  EXPECT_EQ(ack->text, "no");
}

// ---- A dump, as messages ----

constexpr std::uint32_t kAsked = 7;

NetlinkMessage reply(std::uint16_t type, std::span<const std::byte> body, std::uint16_t flags = 0,
                     std::uint32_t sequence = kAsked) {
  NetlinkMessage message = netlink_message(type, 0, body);
  nlmsghdr header;
  std::memcpy(&header, message.data(), sizeof header);
  header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_MULTI | flags);
  header.nlmsg_seq = sequence;
  std::memcpy(message.data(), &header, sizeof header);
  return message;
}
NetlinkMessage link_reply(int ifindex, std::uint16_t flags = 0, std::uint32_t sequence = kAsked) {
  const ifinfomsg body{.ifi_index = ifindex};
  return reply(RTM_NEWLINK, std::as_bytes(std::span(&body, 1)), flags, sequence);
}
NetlinkMessage done(int status = 0, std::uint16_t flags = 0) {
  return reply(NLMSG_DONE, std::as_bytes(std::span(&status, 1)), flags);
}

using Datagram = Result<std::vector<NetlinkMessage>>;

/// Gives one datagram after the other; to ask for more than there are is a failure.
class Answers {
 public:
  explicit Answers(std::vector<Datagram> datagrams) : datagrams_(std::move(datagrams)) {}
  NextReplies receive() {
    return [this]() -> Datagram {
      if (next_ == datagrams_.size()) return fail(ErrorKind::refused, "nothing more was sent");
      return datagrams_[next_++];
    };
  }
  std::size_t left() const { return datagrams_.size() - next_; }

 private:
  std::vector<Datagram> datagrams_;
  std::size_t next_ = 0;
};

std::vector<int> ifindexes(std::span<const NetlinkMessage> messages) {
  std::vector<int> found;
  for (const NetlinkMessage& message : messages)
    found.push_back(body_of<ifinfomsg>(message).value().ifi_index);
  return found;
}

TEST(NetlinkDump, EndsWithItsDoneMessage) {
  Answers answers({{{link_reply(1), link_reply(2)}}, {{link_reply(3), done()}}, {{done()}}});
  const auto replies = gather_dump(kAsked, answers.receive());
  ASSERT_TRUE(replies) << replies.error().text;
  EXPECT_THAT(ifindexes(*replies), ElementsAre(1, 2, 3));
  EXPECT_EQ(answers.left(), 1u);
}

TEST(NetlinkDump, WhatWasAskedBeforeIsNoReply) {
  Answers answers({{{link_reply(9, NLM_F_DUMP_INTR, kAsked - 1), link_reply(1)}}, {{done()}}});
  const auto replies = gather_dump(kAsked, answers.receive());
  ASSERT_TRUE(replies) << replies.error().text;
  EXPECT_THAT(ifindexes(*replies), ElementsAre(1));
}

TEST(NetlinkDump, AnInterruptedOneIsThrownAwayWholeAndAskedAgain) {
  // The flag is in any message; in the last where the change came after all others.
  const std::vector<std::vector<Datagram>> interrupted{
      {{{link_reply(1, NLM_F_DUMP_INTR), link_reply(2)}}, {{done()}}},
      {{{link_reply(1)}}, {{link_reply(2, NLM_F_DUMP_INTR)}}, {{done()}}},
      {{{link_reply(1), link_reply(2)}}, {{done(0, NLM_F_DUMP_INTR)}}}};
  for (std::vector<Datagram> datagrams : interrupted) {
    datagrams.push_back({{link_reply(1), link_reply(3), done()}});
    Answers answers(datagrams);
    int asked = 0;
    const auto replies = repeat_dump([&] {
      ++asked;
      return gather_dump(kAsked, answers.receive());
    });
    ASSERT_TRUE(replies) << replies.error().text;
    EXPECT_THAT(ifindexes(*replies), ElementsAre(1, 3));
    EXPECT_EQ(asked, 2);
  }
}

TEST(NetlinkDump, OneThatIsInterruptedEachTimeIsAnErrorAndNothingPartial) {
  int asked = 0;
  const auto replies = repeat_dump([&] {
    ++asked;
    Answers answers({{{link_reply(1), link_reply(2, NLM_F_DUMP_INTR), done()}}});
    return gather_dump(kAsked, answers.receive());
  });
  ASSERT_FALSE(replies);
  EXPECT_EQ(replies.error().kind, ErrorKind::busy);
  EXPECT_EQ(replies.error().err, EINTR);
  EXPECT_THAT(replies.error().text, HasSubstr("interrupted"));
  EXPECT_EQ(asked, kDumpAttempts);
}

TEST(NetlinkDump, LostRepliesAreAskedForAgainAsOften) {
  const auto lost = [] { return fail_errno("netlink receive", ENOBUFS); };
  int asked = 0;
  auto replies = repeat_dump([&] {
    Answers answers(++asked < kDumpAttempts ? std::vector<Datagram>{{{link_reply(1)}}, lost()}
                                            : std::vector<Datagram>{{{link_reply(2), done()}}});
    return gather_dump(kAsked, answers.receive());
  });
  ASSERT_TRUE(replies) << replies.error().text;
  EXPECT_THAT(ifindexes(*replies), ElementsAre(2));

  asked = 0;
  replies = repeat_dump([&] {
    ++asked;
    Answers answers({{{link_reply(1)}}, lost()});
    return gather_dump(kAsked, answers.receive());
  });
  ASSERT_FALSE(replies);
  EXPECT_EQ(replies.error().err, ENOBUFS);
  EXPECT_EQ(replies.error().kind, ErrorKind::busy);
  EXPECT_EQ(asked, kDumpAttempts);
}

TEST(NetlinkDump, OneThatTheKernelRefusesIsNotAskedForAgain) {
  int asked = 0;
  const auto replies = repeat_dump([&] {
    ++asked;
    Answers answers({{{link_reply(1), done(-EPERM)}}});
    return gather_dump(kAsked, answers.receive());
  });
  ASSERT_FALSE(replies);
  EXPECT_EQ(replies.error().err, EPERM);
  EXPECT_EQ(asked, 1);
}

TEST(NetlinkNotifications, AnOverrunAloneTellsOfAChange) {
  EXPECT_FALSE(Notifications{}.tell_of_change());
  EXPECT_TRUE((Notifications{.messages = {link_reply(1)}}).tell_of_change());
  EXPECT_TRUE((Notifications{.overrun = true}).tell_of_change());
}

// The socket itself needs no privilege to read links.

TEST(NetlinkSocket, DumpsLinksWithoutTheDoneMessage) {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  ASSERT_TRUE(socket) << socket.error().text;
  const auto replies = socket->dump(netlink_message(RTM_GETLINK, 0, ifinfomsg{}));
  ASSERT_TRUE(replies) << replies.error().text;
  bool loopback = false;
  for (const NetlinkMessage& reply : *replies) {
    EXPECT_EQ(type_of(reply), RTM_NEWLINK);
    for (const auto& attribute : attributes_of(reply, sizeof(ifinfomsg)))
      if (attribute.type == IFLA_IFNAME) loopback |= text_in(attribute.payload) == "lo";
  }
  EXPECT_TRUE(loopback);
}

/// Nobody reads the answers, which do not fit: the next receive has ENOBUFS.
void overrun(const NetlinkSocket& socket) {
  const int least = 1;
  ASSERT_EQ(setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUF, &least, sizeof least), 0);
  const NetlinkMessage missing = link_request("no-such-link");
  for (int i = 0; i < 50; ++i)
    ASSERT_EQ(send(socket.fd(), missing.data(), missing.size(), 0),
              static_cast<ssize_t>(missing.size()));
}

TEST(NetlinkSocket, ADumpIsAskedAgainWhereAnswersFoundNoRoom) {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  ASSERT_TRUE(socket) << socket.error().text;
  overrun(*socket);
  const auto replies = socket->dump(netlink_message(RTM_GETLINK, 0, ifinfomsg{}));
  ASSERT_TRUE(replies) << replies.error().text;
  EXPECT_THAT(ifindexes(*replies), Contains(static_cast<int>(if_nametoindex("lo"))));
}

TEST(NetlinkSocket, ADumpIsAskedAgainWhereOneIsStuckInTheMiddle) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: makes a network namespace";
  std::thread([] {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);  // this thread's, and gone with it
    std::string batch;
    for (int i = 0; i < 40; ++i) batch += "link add v" + std::to_string(i) + " type veth\n";
    ASSERT_EQ(std::system(("printf '" + batch + "' | ip -batch -").c_str()), 0);
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    ASSERT_TRUE(socket) << socket.error().text;
    const NetlinkMessage all = netlink_message(RTM_GETLINK, NLM_F_DUMP, ifinfomsg{});
    ASSERT_EQ(send(socket->fd(), all.data(), all.size(), 0), static_cast<ssize_t>(all.size()));
    overrun(*socket);
    const auto replies = socket->dump(netlink_message(RTM_GETLINK, 0, ifinfomsg{}));
    ASSERT_TRUE(replies) << replies.error().text;
    EXPECT_EQ(replies->size(), 81u);
  }).join();
}

TEST(NetlinkSocket, EachResultBelongsToItsRequest) {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  ASSERT_TRUE(socket) << socket.error().text;
  std::vector<NetlinkMessage> requests;
  for (int i = 0; i < 150; ++i)
    requests.push_back(link_request(i % 3 == 1 ? "no-such-link" : "lo"));
  const auto results = socket->transact(requests);
  ASSERT_EQ(results.size(), requests.size());
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (i % 3 != 1) {
      EXPECT_TRUE(results[i]) << i << ": " << results[i].error().text;
    } else {
      ASSERT_FALSE(results[i]) << i;
      EXPECT_EQ(results[i].error().kind, ErrorKind::gone);
    }
  }
}

TEST(NetlinkSocket, AnAnswerThatIsLostIsNoSuccess) {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  ASSERT_TRUE(socket) << socket.error().text;
  const int least = 1;  // the kernel's minimum, which holds the answers to two or three
  ASSERT_EQ(setsockopt(socket->fd(), SOL_SOCKET, SO_RCVBUF, &least, sizeof least), 0);
  std::vector<NetlinkMessage> requests(50, link_request("no-such-link"));
  requests.push_back(link_request("lo"));
  const auto results = socket->transact(requests);
  ASSERT_EQ(results.size(), requests.size());
  for (const auto& result : results) EXPECT_FALSE(result);
  EXPECT_THAT(results.back().error().text, HasSubstr("may have been made"));
}

TEST(NetlinkSocket, StopsBehindTheFirstFailureWhenAsked) {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  ASSERT_TRUE(socket) << socket.error().text;
  const std::vector<NetlinkMessage> requests{link_request("lo"), link_request("no-such-link"),
                                             link_request("lo")};
  const auto results = socket->transact(requests, AfterFailure::stop);
  ASSERT_EQ(results.size(), 2u);
  EXPECT_TRUE(results[0]);
  EXPECT_FALSE(results[1]);
}

TEST(NetlinkSocket, GetsOneReply) {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  ASSERT_TRUE(socket) << socket.error().text;
  const auto replies = socket->get(link_request("lo"));
  ASSERT_TRUE(replies) << replies.error().text;
  ASSERT_EQ(replies->size(), 1u);
  const auto missing = socket->get(link_request("no-such-link"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().err, ENODEV);
}

TEST(NetlinkSocket, PassesTheKernelsWordsOn) {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  ASSERT_TRUE(socket) << socket.error().text;
  // A strict request may carry no attribute that the kernel would ignore.
  NetlinkMessage request = netlink_message(RTM_GETROUTE, 0, rtmsg{.rtm_family = AF_INET});
  put_value(request, RTA_PRIORITY, std::uint32_t{1});
  const auto replies = socket->dump(request);
  ASSERT_FALSE(replies);
  EXPECT_EQ(replies.error().err, EINVAL);
  EXPECT_THAT(replies.error().text, HasSubstr("attribute"));
}

TEST(NetlinkSocket, HasNoNotificationsWhenNothingHappens) {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE, RTMGRP_LINK);
  ASSERT_TRUE(socket) << socket.error().text;
  const auto news = socket->receive_notifications();
  ASSERT_TRUE(news) << news.error().text;
  EXPECT_FALSE(news->overrun);
}

TEST(NetnsCookie, IsTheSameEachTime) {
  const auto first = own_netns_cookie();
  ASSERT_TRUE(first) << first.error().text;
  EXPECT_NE(*first, 0u);
  EXPECT_EQ(*first, *own_netns_cookie());
}

}  // namespace
}  // namespace ankus
