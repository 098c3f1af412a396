// SPDX-License-Identifier: Apache-2.0
#include "sense/workloads_names.h"

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "kernel/procfs.h"

namespace ankus {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kFileLimit = 1 << 20;

/// The text below `object`[key]..., "" if any step is missing or something else.
template <class... Keys>
std::string text_at(const Json& object, const Keys&... keys) {
  const Json* here = &object;
  const auto step = [&here](const char* key) {
    if (!here || !here->is_object()) {
      here = nullptr;
      return;
    }
    const auto found = here->find(key);
    here = found == here->end() ? nullptr : &*found;
  };
  (step(keys), ...);
  return here && here->is_string() ? here->get<std::string>() : std::string{};
}

std::string base_name(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

/// The name under which Kubernetes people know a container, from whichever keys the runtime uses.
std::optional<NameAndLabel> kubernetes_names(std::string_view name_space, std::string_view pod,
                                             std::string_view container) {
  if (pod.empty() || container.empty()) return std::nullopt;
  const std::string space(name_space);
  // A pod's name ends in a random part; its namespace and container name come back.
  return NameAndLabel{
      .name = display_text(space + "/" + std::string(pod) + "/" + std::string(container)),
      .label = display_text("k8s:" + space + "/" + std::string(container))};
}

}  // namespace

std::string display_text(std::string_view text) { return printable(text, 96); }

std::optional<RuntimeFacts> parse_docker_config(std::string_view json) {
  const Json config = Json::parse(json, nullptr, false);
  if (!config.is_object()) return std::nullopt;
  const auto label = [&](const char* key) { return text_at(config, "Config", "Labels", key); };
  RuntimeFacts facts;
  if (auto names =
          kubernetes_names(label("io.kubernetes.pod.namespace"), label("io.kubernetes.pod.name"),
                           label("io.kubernetes.container.name"))) {
    facts.names = *names;
    facts.sandbox = label("io.kubernetes.docker.type") == "podsandbox";
    if (facts.sandbox) facts.names.label.clear();
    return facts;
  }
  const std::string image = text_at(config, "Config", "Image");
  std::string name = text_at(config, "Name");
  if (name.starts_with('/')) name.erase(0, 1);
  if (image.empty() && name.empty()) return std::nullopt;
  facts.names.name = display_text(name);
  const std::string service = label("com.docker.compose.service");
  // Names are often random; the image and what runs in it come back with the next container.
  facts.names.label =
      service.empty()
          ? display_text("image:" + image + " " + base_name(text_at(config, "Path")))
          : display_text("compose:" + label("com.docker.compose.project") + "/" + service);
  return facts;
}

std::optional<RuntimeFacts> parse_containerd_config(std::string_view json) {
  const Json config = Json::parse(json, nullptr, false);
  if (!config.is_object()) return std::nullopt;
  const auto note = [&](const char* key) {
    return text_at(config, "annotations", (std::string("io.kubernetes.cri.") + key).c_str());
  };
  RuntimeFacts facts{.sandbox = note("container-type") == "sandbox"};
  const std::string container = facts.sandbox ? "pause" : note("container-name");
  if (auto names = kubernetes_names(note("sandbox-namespace"), note("sandbox-name"), container)) {
    facts.names = *names;
    if (facts.sandbox) facts.names.label.clear();
    return facts;
  }
  return std::nullopt;
}

std::optional<RuntimeFacts> RuntimeNames::find(const CgroupName& container) {
  if (container.role != CgroupRole::container) return std::nullopt;
  if (const auto known = known_.find(container.id); known != known_.end()) {
    known->second.used = true;
    return known->second.facts;
  }
  std::optional<RuntimeFacts> facts;
  if (container.runtime == "docker") {
    const auto text =
        read_file_head(roots_.docker + "/" + container.id + "/config.v2.json", kFileLimit);
    if (text) facts = parse_docker_config(*text);
  } else if (container.runtime == "containerd" || container.runtime == "cri") {
    const auto text =
        read_file_head(roots_.containerd + "/k8s.io/" + container.id + "/config.json", kFileLimit);
    if (text) facts = parse_containerd_config(*text);
  }
  // Only what was found is remembered: a file that is not there yet may come.
  if (facts) known_[container.id] = {.facts = *facts};
  return facts;
}

void RuntimeNames::forget_unused() {
  std::erase_if(known_, [](const auto& entry) { return !entry.second.used; });
  for (auto& [id, remembered] : known_) remembered.used = false;
}

}  // namespace ankus
