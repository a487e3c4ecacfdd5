#pragma once
// The processes a diagnosis is about: one role with its flags, or every process of a cluster file.
#include <string>
#include <vector>

#include "common/config/config.hpp"
#include "services/cli/command.hpp"

namespace troupe::cli::doctor {

struct Subject {
  std::string name;  ///< "decode-0"
  std::string role;  ///< "serve", "router", "gateway", "prefill", "decode" or "draft"
  RoleSet roles = 0;
  Config config;

  [[nodiscard]] bool computes() const { return (roles & kWorkers) != 0; }
  [[nodiscard]] bool serves_http() const { return (roles & kGateway) != 0; }
  /// One process of several: it has cluster ports.
  [[nodiscard]] bool clustered() const { return role != "serve"; }
};
using Subjects = std::vector<Subject>;

/// `arguments`: a cluster file and flags, as `up` takes them; or [--role ROLE] (serve) and flags, as that
/// role takes them. Errors: those of the two.
[[nodiscard]] Expected<Subjects> read_subjects(Arguments arguments, const Io& io);

}  // namespace troupe::cli::doctor
