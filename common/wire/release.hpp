#pragma once
// Which releases serve in one cluster. A process tells its release when it joins; it is taken in when it and
// every member are neighbours: each writes messages of a revision that the other still serves with.
#include <cstdint>
#include <string>

#include "common/base/error.hpp"
#include "common/wire/codec.hpp"

namespace troupe::wire {

/// Of the messages and of what they mean; a release raises it by one if it changes either.
///   1  releases that do not tell which they are
///   2  Join and JoinReply tell the release
inline constexpr std::uint16_t kRevision = 2;
/// The oldest that this release serves with. Not before the neighbour's, so that what stands for older ones
/// can go.
inline constexpr std::uint16_t kOldestRevision = kRevision - 1;

/// What a process is. The defaults are those of a process that does not tell.
struct Release {
  std::string version = {};  ///< "0.1.0", for people; empty: not told
  std::uint16_t revision = 1;
  std::uint16_t oldest = 1;  ///< revision that it serves with
  bool operator==(const Release&) const = default;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("version", s.version, Bound{64});
    v("revision", s.revision);
    v("oldest", s.oldest);
  }
};

/// This program's.
[[nodiscard]] const Release& own_release();
/// "release 0.1.0 (wire revision 2)"
[[nodiscard]] std::string to_string(const Release& release);
/// Whether these two serve in one cluster. Errors: wire_version naming both.
[[nodiscard]] Expected<void> check_neighbours(const Release& one, const Release& other);

}  // namespace troupe::wire
