#include "services/cli/cluster_file.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "common/config/edit_distance.hpp"

namespace troupe::cli {
namespace {

constexpr std::int64_t kMostProcesses = 256;

/// Reads the file's maps; every error names file and line.
class Reader {
 public:
  explicit Reader(const std::string& file) : file_(file) {}

  [[nodiscard]] tl::unexpected<Error> error(const YamlNode& at, const std::string& what) const {
    return fail(Errc::config_invalid, file_ + ":" + std::to_string(at.line) + ": " + what);
  }

  Expected<void> known_keys(const YamlNode& map, std::vector<std::string> known) const {
    if (map.kind != YamlNode::Kind::map) return error(map, "expected key: value lines");
    for (const auto& [key, child] : map.fields)
      if (std::find(known.begin(), known.end(), key) == known.end())
        return error(child, "unknown key " + key + did_you_mean(key, known));
    return {};
  }

  Expected<std::string> text(const YamlNode& map, std::string_view key, std::string fallback) const {
    const YamlNode* node = map.field(key);
    if (node == nullptr) return fallback;
    if (node->kind != YamlNode::Kind::scalar || node->text.empty())
      return error(*node, std::string(key) + ": expected one word");
    return node->text;
  }

  Expected<std::int64_t> number(const YamlNode& map, std::string_view key, std::int64_t fallback,
                                std::int64_t low, std::int64_t high) const {
    const YamlNode* node = map.field(key);
    if (node == nullptr) return fallback;
    const auto value = parse_value(OptionType::integer, node->text);
    if (!value || std::get<std::int64_t>(*value) < low || std::get<std::int64_t>(*value) > high)
      return error(*node, std::string(key) + ": found \"" + node->text + "\", expected " +
                              std::to_string(low) + ".." + std::to_string(high));
    return std::get<std::int64_t>(*value);
  }

  Expected<YamlNode> options(const YamlNode& map) const {
    const YamlNode* node = map.field("options");
    if (node == nullptr) return YamlNode{};
    if (node->kind != YamlNode::Kind::map && node->kind != YamlNode::Kind::null)
      return error(*node, "options: expected key: value lines");
    return *node;
  }

 private:
  const std::string& file_;
};

Expected<void> read_process(const Reader& reader, const YamlNode& node, std::vector<ProcessEntry>& out) {
  TROUPE_TRY(reader.known_keys(node, {"role", "name", "count", "port", "data_port", "options"}));
  const auto role = reader.text(node, "role", "");
  if (!role) return tl::unexpected<Error>(role.error());
  constexpr std::array<std::string_view, 5> kRoles{"router", "prefill", "decode", "draft", "gateway"};
  if (std::find(kRoles.begin(), kRoles.end(), *role) == kRoles.end())
    return reader.error(node, "role: found \"" + *role + "\", expected router, prefill, decode, draft or gateway");
  auto name = reader.text(node, "name", *role);
  auto count = reader.number(node, "count", 1, 1, kMostProcesses);
  auto port = reader.number(node, "port", 0, 0, 65535);
  auto data_port = reader.number(node, "data_port", 0, 0, 65535);
  auto options = reader.options(node);
  TROUPE_TRY(name);
  TROUPE_TRY(count);
  TROUPE_TRY(port);
  TROUPE_TRY(data_port);
  TROUPE_TRY(options);
  if (*count > 1 && (*port != 0 || *data_port != 0))
    return reader.error(node, "count: several processes cannot share a port; leave port and data_port at 0");
  if (node.field("data_port") != nullptr && *role != "prefill" && *role != "decode")
    return reader.error(node, "data_port: only workers have one");
  for (std::int64_t i = 0; i < *count; ++i)
    out.push_back(
        {*name, *role, static_cast<std::uint16_t>(*port), static_cast<std::uint16_t>(*data_port), *options});
  return {};
}

/// "decode", "decode" become "decode-0", "decode-1".
void number_names(std::vector<ProcessEntry>& processes) {
  std::map<std::string, int> total;
  std::map<std::string, int> next;
  for (const ProcessEntry& process : processes) ++total[process.name];
  for (ProcessEntry& process : processes)
    if (total[process.name] > 1) {
      const int number = next[process.name]++;
      process.name.append(1, '-').append(std::to_string(number));
    }
}

Expected<void> check_members(const Reader& reader, const YamlNode& root, const ClusterFile& file) {
  std::map<std::string, int> roles;
  std::map<std::string, int> names;
  for (const ProcessEntry& process : file.processes) {
    ++roles[process.role];
    if (++names[process.name] > 1) return reader.error(root, "two processes are named " + process.name);
  }
  for (const char* role : {"router", "decode", "gateway"})
    if (roles[role] == 0)
      return reader.error(root, std::string("processes: found no ") + role + ", expected at least 1");
  if (file.processes.size() > static_cast<std::size_t>(kMostProcesses))
    return reader.error(root, "processes: expected at most " + std::to_string(kMostProcesses));
  return {};
}

}  // namespace

Expected<ClusterFile> parse_cluster_file(const YamlNode& root, const std::string& name) {
  const Reader reader(name);
  TROUPE_TRY(reader.known_keys(root, {"host", "options", "processes"}));
  ClusterFile file;
  file.file = name;
  auto host = reader.text(root, "host", file.host);
  if (!host) return tl::unexpected<Error>(std::move(host.error()));
  file.host = std::move(*host);
  auto options = reader.options(root);
  if (!options) return tl::unexpected<Error>(std::move(options.error()));
  file.options = std::move(*options);
  const YamlNode* processes = root.field("processes");
  if (processes == nullptr || processes->kind != YamlNode::Kind::list)
    return reader.error(root, "processes: expected a list of roles");
  for (const YamlNode& node : processes->items) TROUPE_TRY(read_process(reader, node, file.processes));
  number_names(file.processes);
  TROUPE_TRY(check_members(reader, root, file));
  return file;
}

}  // namespace troupe::cli
