// SPDX-License-Identifier: Apache-2.0
#include "model/json.h"

#include <charconv>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"

namespace ankus {
namespace {

using nlohmann::json;

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

json device_json(const Device& device) {
  return {{"name", text_to_json(device.name)},
          {"ifindex", device.ifindex},
          {"netns", device.netns_cookie}};
}

/// Reads the keys of one object and remembers the first thing that was wrong.
class Reader {
 public:
  Reader(const json& object, std::string what) : object_(object), what_(std::move(what)) {
    if (!object.is_object()) complain("is not an object");
  }

  template <class T>
  T number(const char* key) {
    const json* found = find(key);
    if (found == nullptr) return {};
    const bool whole =
        found->is_number_unsigned() && found->get<std::uint64_t>() <= std::numeric_limits<T>::max();
    if (!whole) {
      complain(std::string("key \"") + key + "\" is not a whole number from 0 to " +
               std::to_string(std::numeric_limits<T>::max()));
      return {};
    }
    return static_cast<T>(found->get<std::uint64_t>());
  }

  std::string text(const char* key) {
    const json* found = find(key);
    if (found == nullptr) return {};
    auto text = text_from_json(*found, key);
    if (!text) return complain(text.error().text), "";
    return *std::move(text);
  }

  Device device() {
    const json* found = find("device");
    if (found == nullptr) return {};
    Reader reader(*found, "device");
    Device device{.name = reader.text("name"),
                  .ifindex = reader.number<std::uint32_t>("ifindex"),
                  .netns_cookie = reader.number<std::uint64_t>("netns")};
    if (!reader.error_.empty()) complain(reader.error_);
    return device;
  }

  TcHandle handle(const char* key) { return {number<std::uint32_t>(key)}; }
  BitRate rate(const char* key) { return {number<std::uint64_t>(key)}; }
  Bytes bytes(const char* key) { return {number<std::uint64_t>(key)}; }

  CpuSet cpus(const char* key) {
    auto set = cpu_list_from_text(text(key));
    if (!set) return complain(std::string("key \"") + key + "\": " + set.error().text), CpuSet{};
    return *std::move(set);
  }
  bool flag(const char* key) {
    const json* found = find(key);
    if (found != nullptr && !found->is_boolean())
      complain(std::string("key \"") + key + "\" is neither true nor false");
    return found != nullptr && found->is_boolean() && found->get<bool>();
  }
  std::vector<std::uint32_t> numbers(const char* key) {
    std::vector<std::uint32_t> list;
    const json* found = find(key);
    if (found == nullptr) return list;
    if (!found->is_array()) complain(std::string("key \"") + key + "\" is not a list");
    for (const json& one : *found) {
      if (!one.is_number_unsigned() || one.get<std::uint64_t>() > UINT32_MAX)
        return complain(std::string("key \"") + key + "\" has an element that is no number"), list;
      list.push_back(one.get<std::uint32_t>());
    }
    return list;
  }

  const json* find(const char* key) {
    if (!error_.empty()) return nullptr;
    const auto found = object_.find(key);
    if (found != object_.end()) return &*found;
    complain(std::string("key \"") + key + "\" is missing");
    return nullptr;
  }

  void complain(const std::string& problem) {
    if (error_.empty()) error_ = what_ + ": " + problem;
  }

  template <class T>
  Result<T> give(T value) {
    if (!error_.empty()) return fail(ErrorKind::invalid, error_);
    return value;
  }

 private:
  const json& object_;
  std::string what_;
  std::string error_;
};

ClassifierProgram::Hook hook_from(Reader& reader) {
  const std::string hook = reader.text("hook");
  if (hook != "tcx" && hook != "clsact") reader.complain("key \"hook\" is neither tcx nor clsact");
  return hook == "clsact" ? ClassifierProgram::Hook::clsact : ClassifierProgram::Hook::tcx;
}

Members members_from(Reader& reader) {
  const std::string hex = reader.text("digest");
  Members members;
  const auto [end, error] =
      std::from_chars(hex.data(), hex.data() + hex.size(), members.digest, 16);
  if (error != std::errc{} || end != hex.data() + hex.size())
    reader.complain("key \"digest\" is not a hex number");
  return members;
}

/// Reads the array at `key` of `object`, each element by `read`.
template <class T>
Result<std::vector<T>> list_from(const json& object, const char* key,
                                 Result<T> (*read)(const json&)) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array())
    return fail(ErrorKind::invalid, std::string("plan: key \"") + key + "\" is not a list");
  std::vector<T> list;
  for (std::size_t i = 0; i < found->size(); ++i) {
    auto item = read((*found)[i]);
    if (!item) return with_context(std::string(key) + "[" + std::to_string(i) + "]", item.error());
    list.push_back(*std::move(item));
  }
  return list;
}

Result<Refusal> refusal_from_json(const json& object) {
  Reader reader(object, "refusal");
  Refusal refusal{.what = reader.text("what"), .why = reader.text("why")};
  return reader.give(std::move(refusal));
}

template <class T>
Result<T> from_text(std::string_view text, Result<T> (*read)(const json&)) {
  auto parsed = parse_json(text);
  if (!parsed) return std::unexpected(parsed.error());
  return read(*parsed);
}

}  // namespace

json text_to_json(std::string_view text) {
  if (is_utf8(text)) return std::string(text);
  std::string hex;
  char digits[3];
  for (const char c : text) {
    (void)std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(c));
    hex += digits;
  }
  return json{{"hex", hex}};
}

Result<std::string> text_from_json(const json& value, std::string_view key) {
  if (value.is_string()) return value.get<std::string>();
  const auto wrong = [&] {
    return fail(ErrorKind::invalid, "key \"" + std::string(key) + "\" is not text");
  };
  if (!value.is_object() || !value.contains("hex") || !value["hex"].is_string()) return wrong();
  const auto hex = value["hex"].get<std::string>();
  if (hex.size() % 2 != 0) return wrong();
  std::string text;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    unsigned byte = 0;
    const auto [end, error] = std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
    if (error != std::errc{} || end != hex.data() + i + 2) return wrong();
    text += static_cast<char>(byte);
  }
  return text;
}

Result<json> parse_json(std::string_view text) {
  json parsed = json::parse(text, nullptr, false);
  if (parsed.is_discarded())
    return fail(ErrorKind::invalid, "not JSON: " + ankus::quoted(text.substr(0, 80)));
  return parsed;
}

std::string line_of(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

json to_json(const Knob& knob) {
  return std::visit(
      Overloaded{
          [](const knob::Ifb& k) -> json {
            return {{"knob", "ifb"}, {"name", text_to_json(k.name)}};
          },
          [](const knob::RootQdisc& k) -> json {
            return {{"knob", "root_qdisc"}, {"device", device_json(k.device)}};
          },
          [](const knob::TcClass& k) -> json {
            return {{"knob", "tc_class"},
                    {"device", device_json(k.device)},
                    {"handle", k.handle.value}};
          },
          [](const knob::LeafQdisc& k) -> json {
            return {{"knob", "leaf_qdisc"},
                    {"device", device_json(k.device)},
                    {"parent", k.parent.value}};
          },
          [](const knob::Clsact& k) -> json {
            return {{"knob", "clsact"}, {"device", device_json(k.device)}};
          },
          [](const knob::Classifier& k) -> json {
            return {{"knob", "classifier"}, {"device", device_json(k.device)}};
          },
          [](const knob::IngressRedirect& k) -> json {
            return {{"knob", "ingress_redirect"}, {"device", device_json(k.device)}};
          },
          [](const knob::Membership&) -> json { return {{"knob", "membership"}}; },
          [](const knob::RssTable& k) -> json {
            return {{"knob", "rss_table"}, {"device", device_json(k.device)}};
          },
          [](const knob::RpsMask& k) -> json {
            return {{"knob", "rps_mask"}, {"device", device_json(k.device)}, {"queue", k.queue}};
          },
          [](const knob::XpsMask& k) -> json {
            return {{"knob", "xps_mask"}, {"device", device_json(k.device)}, {"queue", k.queue}};
          },
          [](const knob::IrqAffinity& k) -> json {
            return {{"knob", "irq_affinity"},
                    {"device", device_json(k.device)},
                    {"irq", text_to_json(k.irq)}};
          },
          [](const knob::ThreadAffinity& k) -> json {
            return {{"knob", "thread_affinity"},
                    {"tid", static_cast<std::uint32_t>(k.tid)},
                    {"started", k.started},
                    {"name", text_to_json(k.name)}};
          },
          [](const knob::IrqbalanceBans&) -> json { return {{"knob", "irqbalance_bans"}}; },
      },
      knob);
}

json to_json(const Setting& setting) {
  return std::visit(
      Overloaded{
          [](const Absent&) -> json { return {{"is", "absent"}}; },
          [](const Foreign& s) -> json {
            return {{"is", "foreign"}, {"what", text_to_json(s.what)}};
          },
          [](const IfbDevice& s) -> json { return {{"is", "ifb_device"}, {"ifindex", s.ifindex}}; },
          [](const HtbRoot& s) -> json {
            return {{"is", "htb_root"},
                    {"handle", s.handle.value},
                    {"default_minor", s.default_minor},
                    {"direct_packets", s.direct_packets}};
          },
          [](const HtbClass& s) -> json {
            return {{"is", "htb_class"},
                    {"parent", s.parent.value},
                    {"rate", s.rate.bits_per_second},
                    {"ceil", s.ceil.bits_per_second},
                    {"burst", s.burst.count},
                    {"cburst", s.cburst.count},
                    {"priority", s.priority},
                    {"quantum", s.quantum.count}};
          },
          [](const ByteFifo& s) -> json {
            return {{"is", "byte_fifo"}, {"handle", s.handle.value}, {"limit", s.limit.count}};
          },
          [](const ClsactQdisc&) -> json { return {{"is", "clsact_qdisc"}}; },
          [](const ClassifierProgram& s) -> json {
            return {{"is", "classifier_program"},
                    {"hook", s.hook == ClassifierProgram::Hook::tcx ? "tcx" : "clsact"},
                    {"major", s.major}};
          },
          [](const RedirectTo& s) -> json {
            return {{"is", "redirect_to"}, {"ifindex", s.ifindex}};
          },
          [](const Members& s) -> json {
            json members = {{"is", "members"}, {"digest", hex_text(digest_of(s))}};
            // Of one that was read from a journal the number of its rows is not known any more.
            if (s.digest == 0) members["count"] = s.rows.size();
            return members;
          },
          [](const Indirection& s) -> json {
            return {{"is", "indirection"}, {"queues", s.queues}, {"is_default", s.is_default}};
          },
          [](const CpuSet& s) -> json { return {{"is", "cpus"}, {"cpus", cpu_list_text(s)}}; },
          [](const DefaultCpus& s) -> json {
            return {{"is", "default_cpus"}, {"cpus", cpu_list_text(s.cpus)}};
          },
          [](const ThreadCpus& s) -> json {
            return {{"is", "thread_cpus"},
                    {"cpus", cpu_list_text(s.cpus)},
                    {"within", cpu_list_text(s.within)}};
          },
          [](const BannedIrqs& s) -> json { return {{"is", "banned_irqs"}, {"irqs", s.irqs}}; },
      },
      setting);
}

json to_json(const Action& action) {
  return {{"knob", to_json(action.knob)},
          {"before", to_json(action.before)},
          {"after", to_json(action.after)},
          {"reason", text_to_json(action.reason)}};
}

json to_json(const Plan& plan) {
  json actions = json::array(), refusals = json::array();
  for (const Action& action : plan.actions) actions.push_back(to_json(action));
  for (const Refusal& refusal : plan.refusals)
    refusals.push_back({{"what", text_to_json(refusal.what)}, {"why", text_to_json(refusal.why)}});
  return {{"actions", std::move(actions)}, {"refusals", std::move(refusals)}};
}

Result<Knob> knob_from_json(const json& object) {
  Reader reader(object, "knob");
  const std::string kind = reader.text("knob");
  Knob knob = knob::Membership{};
  if (kind == "ifb")
    knob = knob::Ifb{.name = reader.text("name")};
  else if (kind == "root_qdisc")
    knob = knob::RootQdisc{.device = reader.device()};
  else if (kind == "tc_class")
    knob = knob::TcClass{.device = reader.device(), .handle = reader.handle("handle")};
  else if (kind == "leaf_qdisc")
    knob = knob::LeafQdisc{.device = reader.device(), .parent = reader.handle("parent")};
  else if (kind == "clsact")
    knob = knob::Clsact{.device = reader.device()};
  else if (kind == "classifier")
    knob = knob::Classifier{.device = reader.device()};
  else if (kind == "ingress_redirect")
    knob = knob::IngressRedirect{.device = reader.device()};
  else if (kind == "rss_table")
    knob = knob::RssTable{.device = reader.device()};
  else if (kind == "rps_mask")
    knob = knob::RpsMask{.device = reader.device(), .queue = reader.number<std::uint32_t>("queue")};
  else if (kind == "xps_mask")
    knob = knob::XpsMask{.device = reader.device(), .queue = reader.number<std::uint32_t>("queue")};
  else if (kind == "irq_affinity")
    knob = knob::IrqAffinity{.device = reader.device(), .irq = reader.text("irq")};
  else if (kind == "thread_affinity")
    knob =
        knob::ThreadAffinity{.tid = static_cast<std::int32_t>(reader.number<std::uint32_t>("tid")),
                             .started = reader.number<std::uint64_t>("started"),
                             .name = reader.text("name")};
  else if (kind == "irqbalance_bans")
    knob = knob::IrqbalanceBans{};
  else if (kind != "membership")
    reader.complain("no knob is called " + ankus::quoted(kind));
  return reader.give(std::move(knob));
}

Result<Setting> setting_from_json(const json& object) {
  Reader reader(object, "setting");
  const std::string kind = reader.text("is");
  Setting setting = Absent{};
  if (kind == "foreign")
    setting = Foreign{.what = reader.text("what")};
  else if (kind == "ifb_device")
    setting = IfbDevice{.ifindex = reader.number<std::uint32_t>("ifindex")};
  else if (kind == "htb_root")
    setting = HtbRoot{.handle = reader.handle("handle"),
                      .default_minor = reader.number<std::uint16_t>("default_minor"),
                      .direct_packets = reader.number<std::uint32_t>("direct_packets")};
  else if (kind == "htb_class")
    setting = HtbClass{.parent = reader.handle("parent"),
                       .rate = reader.rate("rate"),
                       .ceil = reader.rate("ceil"),
                       .burst = reader.bytes("burst"),
                       .cburst = reader.bytes("cburst"),
                       .priority = reader.number<std::uint32_t>("priority"),
                       .quantum = reader.bytes("quantum")};
  else if (kind == "byte_fifo")
    setting = ByteFifo{.handle = reader.handle("handle"), .limit = reader.bytes("limit")};
  else if (kind == "clsact_qdisc")
    setting = ClsactQdisc{};
  else if (kind == "classifier_program")
    setting = ClassifierProgram{.hook = hook_from(reader),
                                .major = reader.number<std::uint16_t>("major")};
  else if (kind == "redirect_to")
    setting = RedirectTo{.ifindex = reader.number<std::uint32_t>("ifindex")};
  else if (kind == "members")
    setting = members_from(reader);
  else if (kind == "indirection")
    setting =
        Indirection{.queues = reader.numbers("queues"), .is_default = reader.flag("is_default")};
  else if (kind == "cpus")
    setting = reader.cpus("cpus");
  else if (kind == "default_cpus")
    setting = DefaultCpus{.cpus = reader.cpus("cpus")};
  else if (kind == "thread_cpus")
    setting = ThreadCpus{.cpus = reader.cpus("cpus"), .within = reader.cpus("within")};
  else if (kind == "banned_irqs")
    setting = BannedIrqs{.irqs = reader.numbers("irqs")};
  else if (kind != "absent")
    reader.complain("no setting is called " + ankus::quoted(kind));
  return reader.give(std::move(setting));
}

Result<Action> action_from_json(const json& object) {
  Reader reader(object, "action");
  Action action;
  if (const json* knob = reader.find("knob")) {
    auto read = knob_from_json(*knob);
    if (read)
      action.knob = *std::move(read);
    else
      reader.complain(read.error().text);
  }
  for (const auto& [key, into] : {std::pair{"before", &action.before}, {"after", &action.after}})
    if (const json* setting = reader.find(key)) {
      auto read = setting_from_json(*setting);
      if (read)
        *into = *std::move(read);
      else
        reader.complain(std::string(key) + ": " + read.error().text);
    }
  action.reason = reader.text("reason");
  return reader.give(std::move(action));
}

Result<Plan> plan_from_json(const json& object) {
  if (!object.is_object()) return fail(ErrorKind::invalid, "plan: is not an object");
  auto actions = list_from<Action>(object, "actions", action_from_json);
  if (!actions) return std::unexpected(actions.error());
  auto refusals = list_from<Refusal>(object, "refusals", refusal_from_json);
  if (!refusals) return std::unexpected(refusals.error());
  return Plan{.actions = *std::move(actions), .refusals = *std::move(refusals)};
}

std::string json_text(const Knob& knob) { return line_of(to_json(knob)); }
std::string json_text(const Setting& setting) { return line_of(to_json(setting)); }
Result<Knob> knob_from_json_text(std::string_view text) {
  return from_text<Knob>(text, knob_from_json);
}
Result<Setting> setting_from_json_text(std::string_view text) {
  return from_text<Setting>(text, setting_from_json);
}

}  // namespace ankus
