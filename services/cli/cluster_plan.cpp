// From a cluster file to every process's flags.
#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <set>

#include "common/config/options.hpp"
#include "services/cli/cluster_file.hpp"

namespace troupe::cli {
namespace {

/// Set by the plan: the file's ports and host say them, nothing else may.
constexpr std::string_view kTopology[] = {"cluster.router", "cluster.listen", "cluster.advertise",
                                          "cluster.data_listen", "cluster.data_advertise"};

/// `over`'s leaves replace those of `base`.
YamlNode merged(const YamlNode& base, const YamlNode& over) {
  if (base.kind != YamlNode::Kind::map || over.kind != YamlNode::Kind::map)
    return over.kind == YamlNode::Kind::null ? base : over;
  YamlNode out = base;
  for (const auto& [key, child] : over.fields) {
    const auto at = std::find_if(out.fields.begin(), out.fields.end(),
                                 [&](const auto& field) { return field.first == key; });
    if (at == out.fields.end())
      out.fields.emplace_back(key, child);
    else
      at->second = merged(at->second, child);
  }
  return out;
}

class Planner {
 public:
  Planner(const ClusterFile& file, const Arguments& flags,
          const std::vector<std::pair<std::string, std::string>>& environment, const PortPicker& pick)
      : file_(file), flags_(flags), environment_(environment), pick_(pick) {}

  Expected<ClusterPlan> run() {
    auto common = load(file_.options);
    if (!common) return tl::unexpected<Error>(std::move(common.error()));
    ClusterPlan plan{{}, {}, std::move(*common)};
    plan.secrets = plan.supervisor.secrets();
    // Routers' and draft services' addresses are in others' flags, so they come first; gateways come last.
    for (const std::string_view stage : {"router", "draft", "worker", "gateway"})
      for (const ProcessEntry& entry : file_.processes)
        if (stage == (entry.role == "prefill" || entry.role == "decode" ? "worker" : std::string_view(entry.role)))
          TROUPE_TRY(add(entry, plan));
    return plan;
  }

 private:
  Expected<Config> load(const YamlNode& options) const {
    ConfigSources sources;
    sources.arguments = flags_;
    sources.environment = environment_;
    sources.file = options;
    sources.file_name = file_.file;
    auto config = Config::load(product_schema(), sources);
    if (!config) return config;
    if (!config->positionals().empty())
      return fail(Errc::config_invalid,
                  "found " + config->positionals().front() + ", expected flags after the cluster file");
    for (const std::string_view name : kTopology)
      if (const Provenance& from = config->provenance(name); from.origin != Origin::default_value)
        return fail(Errc::config_invalid, from.place + ": " + std::string(name) +
                                              " is set by host, port and data_port of " + file_.file);
    return config;
  }

  /// An option given to one process that its role does not use is a mistake; among the common ones it is
  /// meant for others.
  Expected<void> check_own_options(const ProcessEntry& entry, RoleSet role) const {
    ConfigSources sources;
    sources.file = entry.options;
    sources.file_name = file_.file;
    const auto own = Config::load(product_schema(), sources);
    if (!own) return tl::unexpected<Error>(own.error());
    const auto& options = product_schema().options();
    for (std::size_t i = 0; i < options.size(); ++i)
      if (own->provenance(i).origin == Origin::file && options[i].secret)
        return fail(Errc::config_invalid, own->provenance(i).place + ": " + std::string(options[i].name) +
                                              ": a secret is given to all processes, by the environment");
    for (std::size_t i = 0; i < options.size(); ++i)
      if (own->provenance(i).origin == Origin::file && (options[i].roles & role) == 0)
        return fail(Errc::config_invalid, own->provenance(i).place + ": " + std::string(options[i].name) +
                                              ": " + entry.role + " does not use it (" +
                                              role_names(options[i].roles) + " do)");
    return {};
  }

  Expected<std::string> address(std::uint16_t port) {
    if (port == 0) {
      const auto picked = pick_(file_.host);
      if (!picked) return tl::unexpected<Error>(picked.error());
      port = *picked;
    } else if (!used_.insert(port).second) {
      return fail(Errc::config_invalid, file_.file + ": port " + std::to_string(port) + " is given twice");
    }
    const bool ipv6 = file_.host.find(':') != std::string::npos;
    return (ipv6 ? "[" + file_.host + "]" : file_.host) + ":" + std::to_string(port);
  }

  /// Port 0 of an option would be picked by the process itself; picked here it can be printed and stays over
  /// restarts.
  Expected<void> settle_port(Config& config, std::string_view option, const std::string& host) {
    if (config.integer(option) != 0) return {};
    const auto port = pick_(host);
    if (!port) return tl::unexpected<Error>(port.error());
    return config.set(option, std::to_string(*port));
  }

  Expected<void> add(const ProcessEntry& entry, ClusterPlan& plan) {
    const auto role = role_set(entry.role);
    if (!role) return tl::unexpected<Error>(role.error());
    TROUPE_TRY(check_own_options(entry, *role));
    auto config = load(merged(file_.options, entry.options));
    if (!config) return tl::unexpected<Error>(std::move(config.error()));
    const auto listen = address(entry.port);
    if (!listen) return tl::unexpected<Error>(listen.error());
    TROUPE_TRY(config->set("cluster.listen", *listen));
    std::string place = *listen;
    if (entry.role == "router") {
      router_.append(router_.empty() ? "" : ",").append(*listen);
    } else if (entry.role == "draft") {
      drafts_.append(drafts_.empty() ? "" : ",").append(*listen);
    } else {
      TROUPE_TRY(config->set("cluster.router", router_));
    }
    const bool names_drafts = config->provenance("speculation.service").origin != Origin::default_value;
    if (entry.role == "decode" && !drafts_.empty() && !names_drafts)
      TROUPE_TRY(config->set("speculation.service", drafts_));
    if ((*role & kWorkers) != 0) {
      const auto data = address(entry.data_port);
      if (!data) return tl::unexpected<Error>(data.error());
      TROUPE_TRY(config->set("cluster.data_listen", *data));
    }
    if (entry.role == "gateway") {
      TROUPE_TRY(settle_port(*config, "http.port", config->text("http.host")));
      place = url_of(config->text("http.host"), config->integer("http.port"));
      if (!config->text("http.tls.certificate").empty()) place.replace(0, std::string_view("http").size(), "https");
      plan.urls.push_back(place + "/v1");
    } else {
      TROUPE_TRY(settle_port(*config, "metrics.port", config->text("metrics.host")));
      if (config->integer("metrics.port") > 0)
        place +=
            ", metrics " + url_of(config->text("metrics.host"), config->integer("metrics.port")) + "/metrics";
    }
    std::vector<std::string> arguments = config->to_flags(*role);
    arguments.insert(arguments.begin(), entry.role);
    plan.processes.push_back({entry.name, entry.role, std::move(arguments), std::move(place)});
    return {};
  }

  static std::string url_of(const std::string& host, std::int64_t port) {
    std::string url = "http://";
    if (host == "0.0.0.0" || host == "::") {
      url += "127.0.0.1";
    } else {
      const bool ipv6 = host.find(':') != std::string::npos;
      url.append(ipv6 ? "[" : "").append(host).append(ipv6 ? "]" : "");
    }
    return url.append(":").append(std::to_string(port));
  }

  const ClusterFile& file_;
  const Arguments& flags_;
  const std::vector<std::pair<std::string, std::string>>& environment_;
  const PortPicker& pick_;
  std::string router_;  ///< of all routers, which come first
  std::string drafts_;  ///< of all draft services
  std::set<std::uint16_t> used_;
};

/// Holds the sockets that mark ports as taken until all are picked.
struct HeldPorts {
  std::vector<int> sockets;
  HeldPorts() = default;
  HeldPorts(const HeldPorts&) = delete;
  HeldPorts& operator=(const HeldPorts&) = delete;
  ~HeldPorts() {
    for (const int fd : sockets) ::close(fd);
  }
};

Expected<std::uint16_t> hold_free_port(const std::string& host, HeldPorts& held) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* list = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), "0", &hints, &list); error != 0)
    return fail(Errc::io_failed, host + ": " + ::gai_strerror(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
  const int fd = ::socket(list->ai_family, list->ai_socktype | SOCK_CLOEXEC, list->ai_protocol);
  if (fd < 0) return fail(Errc::io_failed, host + ": socket: " + std::strerror(errno));
  held.sockets.push_back(fd);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::bind(fd, list->ai_addr, list->ai_addrlen) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0)
    return fail(Errc::io_failed, host + ": bind: " + std::strerror(errno));
  if (bound.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&bound)->sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in*>(&bound)->sin_port);
}

}  // namespace

Expected<ClusterPlan> plan_cluster(const ClusterFile& file, const Arguments& flags,
                                   const std::vector<std::pair<std::string, std::string>>& environment,
                                   const PortPicker& pick) {
  return Planner(file, flags, environment, pick).run();
}

PortPicker free_port_picker() {
  // Shared because a std::function must be copyable; the copies are one picker.
  return
      [held = std::make_shared<HeldPorts>()](const std::string& host) { return hold_free_port(host, *held); };
}

}  // namespace troupe::cli
