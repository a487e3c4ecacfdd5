// Addresses this machine is to listen on, and the Redis it is to reach.
#include <algorithm>
#include <map>
#include <utility>

#include "common/actors/address.hpp"
#include "common/actors/local_address.hpp"
#include "common/directory/redis_address.hpp"
#include "services/cli/doctor/checks.hpp"
#include "services/cli/doctor/words.hpp"

namespace troupe::cli::doctor {
namespace {

using actors::HostPort;

struct Listener {
  const Subject* subject = nullptr;
  std::string option;
  HostPort at;
  bool http = false;  ///< answers /healthz
};

/// What `subject` listens on; `findings` gets what is no address, and what its process would refuse.
class ListenersOf {
 public:
  ListenersOf(const Subject& subject, std::vector<Listener>& out, Findings& findings)
      : subject_(subject), out_(out), findings_(findings) {}

  void collect() {
    const Config& config = subject_.config;
    if (subject_.serves_http()) http("http");
    if (subject_.serves_http() && config.integer("admin.port") >= 0) http("admin");
    if (!subject_.serves_http() && config.integer("metrics.port") >= 0) http("metrics");
    if (subject_.clustered()) cluster("cluster.listen");
    if (subject_.clustered() && subject_.computes()) cluster("cluster.data_listen");
    if (!subject_.computes()) return;
    for (const char* option : {"kv_events.endpoint", "kv_events.replay_endpoint"})
      if (!config.text(option).empty()) cluster(option);
  }

 private:
  void http(const std::string& group) {
    const Config& config = subject_.config;
    out_.push_back(
        {&subject_,
         group + ".port",
         {config.text(group + ".host"), static_cast<std::uint16_t>(config.integer(group + ".port"))},
         true});
  }

  void cluster(const std::string& option) {
    const auto at = actors::parse_host_port(subject_.config.text(option));
    if (!at) {
      findings_.push_back({Level::problem, "ports", subject_.name + ": " + option + ": " + at.error().detail,
                           "write it as host:port"});
      return;
    }
    const auto allowed = actors::check_listen(option, *at, subject_.config.boolean("insecure"));
    if (!allowed) {
      findings_.push_back({Level::problem, "ports",
                           subject_.name + ": " + option + " is " + actors::format(*at) +
                               ", which others than this machine reach",
                           "listen on 127.0.0.1, or set insecure where everyone on the network is trusted"});
      return;
    }
    out_.push_back({&subject_, option, *at, false});
  }

  const Subject& subject_;
  std::vector<Listener>& out_;
  Findings& findings_;
};

std::string named(const Listener& listener) {
  return listener.subject->name + ": " + listener.option + " " + actors::format(listener.at);
}

bool same_place(const HostPort& a, const HostPort& b) {
  return a.port == b.port && a.port != 0 &&
         (a.host == b.host || actors::is_wildcard(a.host) || actors::is_wildcard(b.host));
}

Findings given_twice(const std::vector<Listener>& all) {
  Findings findings;
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = i + 1; j < all.size(); ++j)
      if (same_place(all[i].at, all[j].at))
        findings.push_back({Level::problem, "ports", named(all[i]) + " is also that of " + named(all[j]),
                            "give one of them another port, or 0"});
  return findings;
}

/// Where a Troupe process would be asked: a wildcard is no address to dial.
std::string dialled(const std::string& host) {
  if (!actors::is_wildcard(host)) return host;
  return host == "::" ? "::1" : "127.0.0.1";
}

/// Whether this process runs already: one of its HTTP ports answers.
bool runs(const Subject& subject, const std::vector<Listener>& all, const Machine& machine) {
  return std::ranges::any_of(all, [&](const Listener& each) {
    return each.subject == &subject && each.http && each.at.port != 0 &&
           machine.troupe_answers(dialled(each.at.host), each.at.port);
  });
}

Finding taken(const Listener& listener, const Error& error, bool running) {
  if (error.code != Errc::address_in_use)
    return {Level::problem, "ports", named(listener) + ": " + error.detail,
            "listen on an address of this machine, and on ports from 1024 on"};
  if (running)
    return {Level::warning, "ports", named(listener) + " is taken: a Troupe process answers there",
            "nothing, when it is the one that is meant; else end it, or choose another port"};
  return {Level::problem, "ports", named(listener) + " is taken by another program",
          "end that (ss -ltnp names it), or choose another port"};
}

Findings check_redis(const Config& config, const Machine& machine) {
  const std::string& where = config.text("cluster.directory");
  const auto address = directory::parse_redis_address(where);
  if (!address)
    return {{Level::problem, "redis", "cluster.directory: " + address.error().detail,
             "write redis://host:port/database, memory or none"}};
  directory::RedisOptions redis;
  redis.address = *address;
  redis.password = config.text("cluster.directory_password");
  redis.deadline = config.duration("cluster.directory_deadline");
  const auto took = machine.ping_redis(redis);
  if (took) {
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(*took).count();
    return {{Level::ok, "redis", where + " answers in " + std::to_string(us) + " us", {}}};
  }
  const bool refused = took.error().code == Errc::io_failed;
  return {
      {Level::problem, "redis", where + ": " + to_string(took.error()),
       refused
           ? "give its password by TROUPE_CLUSTER_DIRECTORY_PASSWORD"
           : "start it, or correct cluster.directory; a slow one needs a longer cluster.directory_deadline"}};
}

}  // namespace

Findings check_ports(const Subjects& subjects, const Machine& machine) {
  Findings findings;
  std::vector<Listener> all;
  for (const Subject& subject : subjects) ListenersOf(subject, all, findings).collect();
  for (Finding& each : given_twice(all)) findings.push_back(std::move(each));
  std::string free;
  for (const Listener& each : all) {
    const auto able = machine.listen(each.at.host, each.at.port);
    if (!able)
      findings.push_back(taken(each, able.error(), runs(*each.subject, all, machine)));
    else if (each.at.port != 0)
      append_item(free, std::to_string(each.at.port));
  }
  if (findings.empty())
    findings.push_back({Level::ok, "ports", free.empty() ? "any free ones will do" : "free: " + free, {}});
  return findings;
}

Findings check_directory(const Subjects& subjects, const Machine& machine) {
  std::map<std::pair<std::string, std::string>, const Config*> asked;  // each Redis once
  for (const Subject& subject : subjects) {
    const std::string& where = subject.config.text("cluster.directory");
    if (where != "memory" && where != "none")
      asked.emplace(std::pair(where, subject.config.text("cluster.directory_password")), &subject.config);
  }
  Findings findings;
  for (const auto& [key, config] : asked)
    for (Finding& each : check_redis(*config, machine)) findings.push_back(std::move(each));
  return findings;
}

}  // namespace troupe::cli::doctor
