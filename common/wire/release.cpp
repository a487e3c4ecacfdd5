#include "common/wire/release.hpp"

namespace troupe::wire {

const Release& own_release() {
  static const Release kOwn{TROUPE_VERSION, kRevision, kOldestRevision};
  return kOwn;
}

std::string to_string(const Release& release) {
  const std::string revision = "wire revision " + std::to_string(release.revision);
  if (release.version.empty()) return "a release that does not tell which it is (" + revision + ")";
  return "release " + release.version + " (" + revision + ")";
}

Expected<void> check_neighbours(const Release& one, const Release& other) {
  if (one.revision >= other.oldest && other.revision >= one.oldest) return {};
  return fail(Errc::wire_version, to_string(one) + " and " + to_string(other) +
                                      " are no neighbours: " + "upgrade one release at a time");
}

}  // namespace troupe::wire
