// SPDX-License-Identifier: Apache-2.0
// The last of these tests: a CPU whose vectors are all taken has none for any other test.
#include <gmock/gmock.h>

#include <optional>

#include "vm/any_device.h"
#include "vm/hardware.h"
#include "vm/support.h"

namespace ankus {
namespace {

using ::testing::HasSubstr;

// A CPU has some 200 vectors. Where interrupts are remapped the kernel takes one at once, and says
// when there is none; elsewhere at the next interrupt, and then silently leaves it where it was
// (kernel/irq/migration.c, irq_move_masked_irq): drift.
TEST(Vectors, WhereNoneIsLeftIsSaid) {
  if (!in_the_vm()) GTEST_SKIP() << "needs the VM lab (tests/vm/run): it moves interrupts";
  ANKUS_SKIP_WITHOUT("iommu", text_of("/proc/interrupts").contains(" IR-"),
                     "--qemu-arg -device --qemu-arg intel-iommu,intremap=on");
  // A serial console's queues are all called the same: here by their number.
  const TempTree tree;
  const Sysfs sysfs{.root = tree.root};
  std::vector<std::string> irqs;
  const std::string drivers = "/sys/bus/virtio/drivers/virtio_console";
  const auto consoles = read_directory(drivers).value();
  for (const std::string& console : consoles) {
    if (!console.starts_with("virtio")) continue;
    const AsNetworkDevice device(drivers + "/" + console, console);
    const auto its = device.sysfs().device_irqs(console).value();
    for (const DeviceIrq& irq : its) {
      const std::string number = std::to_string(irq.number);
      irqs.push_back("irq-" + number);
      tree.file("class/net/consoles/device/msi_irqs/" + number, "msix\n");
      tree.file("kernel/irq/" + number + "/actions", irqs.back() + "\n");
    }
  }
  ANKUS_SKIP_WITHOUT("iommu", irqs.size() >= 250,
                     "virtio-serial-pci,max_ports=31,vectors=66 5 times");
  std::optional<Error> full;
  for (const std::string& irq : irqs) {
    const auto done = write_irq(sysfs, "consoles", irq, cpus("0-3"), cpus("1"));
    if (done) continue;
    full = done.error();
    break;
  }
  ASSERT_TRUE(full);
  EXPECT_EQ(full->err, ENOSPC);
  EXPECT_EQ(full->kind, ErrorKind::refused);
  EXPECT_THAT(full->text, HasSubstr("CPU 1 has no interrupt vector left"));
}

}  // namespace
}  // namespace ankus
