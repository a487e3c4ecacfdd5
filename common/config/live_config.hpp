#pragma once
// The configuration of a running process: what it works with, and what its sources say since. A change of an
// option that is reloadable (Option) is taken over at once; a change of any other waits for a restart.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.hpp"

namespace troupe {

/// An option that is not what it was. Values as text, *** for secrets.
struct OptionChange {
  std::string name;
  std::string from, to;
  std::string place;  ///< of the new value; "" for a default
};

/// Threads: one.
class LiveConfig {
 public:
  /// `started`: what the process was built with. Changes of options that none of `roles` uses are no news.
  LiveConfig(Config started, RoleSet roles);

  struct Reload {
    std::vector<OptionChange> applied;  ///< now in force
    std::vector<OptionChange> pending;  ///< for a restart: those of earlier reloads that still hold, too
  };
  /// `wanted`: every source read anew. It replaces what earlier reloads asked for.
  Reload reload(Config wanted);

  /// Where what the process works with stands: reloadable options in what was read last, others in what it
  /// started with.
  [[nodiscard]] const Config& holder_of(std::string_view option) const;
  /// What was read last: the reloadable options as they are in force, and what it would start with.
  [[nodiscard]] const Config& wanted() const { return wanted_; }
  /// Whether a changed value waits for a restart.
  [[nodiscard]] bool is_pending(std::size_t index) const;
  [[nodiscard]] std::size_t pending() const;

  /// dump_json() of what is in force; each entry also says whether it is "reloadable", and has as "pending" a
  /// changed value that waits, with the same keys.
  [[nodiscard]] std::string json() const;

 private:
  [[nodiscard]] OptionChange change(std::size_t index, const Config& before) const;

  RoleSet roles_;
  Config started_, wanted_;
};

}  // namespace troupe
