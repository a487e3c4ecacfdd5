// `troupe keys`: makes, rotates, retires and shows the keys of a cluster (common/security). It prints
// fingerprints, never a key.
#include <ostream>
#include <string_view>
#include <utility>

#include "common/security/key_folder.hpp"
#include "common/terminal/table.hpp"
#include "common/transport/curve.hpp"
#include "services/cli/command.hpp"

namespace troupe::cli {
namespace {

constexpr std::string_view kHelp =
    "usage: troupe keys make DIR [--host NAME]...\n"
    "       troupe keys rotate DIR [--host NAME]...\n"
    "       troupe keys retire DIR\n"
    "       troupe keys show DIR\n\n"
    "Keys by which the members of a cluster know each other: give DIR to every machine, closed to other "
    "users, and name it to\n"
    "every role with --security-keys. Whoever holds DIR is a member.\n\n"
    "  make    new keys, in a folder that is new or empty\n"
    "  rotate  takes the next generation of keys into use; the one before is accepted until it is retired\n"
    "  retire  accepts the one before no longer\n"
    "  show    generations and fingerprints\n\n"
    "After rotate, and again after retire: copy DIR to every machine and restart the roles one by one, all "
    "of them before the next\n"
    "step. Nobody is refused meanwhile.\n\n"
    "  --host NAME  a name or address that the certificate is for, besides localhost\n\n"
    "Keys of the API's clients are others: troupe keys api --help.\n";
constexpr std::size_t kShown = 16;  ///< hex digits of a fingerprint

Expected<security::KeyMaker> maker_from(Arguments& arguments) {
  security::KeyMaker maker{make_curve_pair, {}};
  for (;;) {
    auto host = take_flag(arguments, "--host");
    if (!host) return tl::unexpected<Error>(host.error());
    if (!*host) return maker;
    maker.hosts.push_back(std::move(**host));
  }
}

Expected<void> show(const std::string& folder, Io& io) {
  const auto facts = security::describe_keys(folder);
  if (!facts) return tl::unexpected<Error>(facts.error());
  Table rows({"GENERATION", "STATE", "CURVE", "CERTIFICATE", "EXPIRES"});
  for (const security::KeyFacts& each : *facts)
    rows.add({std::to_string(each.number), each.state, each.curve.substr(0, kShown),
              each.certificate.substr(0, kShown), each.expires});
  io.out << rows.text();
  return {};
}

Expected<void> retire(const std::string& folder, Io& io) {
  const auto retired = security::retire_keys(folder);
  if (!retired) return tl::unexpected<Error>(retired.error());
  for (const unsigned number : *retired) io.out << "retired generation " << number << "\n";
  return show(folder, io);
}

Expected<void> make(const std::string& folder, const security::KeyMaker& maker, Io& io) {
  TROUPE_TRY(security::make_keys(folder, maker));
  return show(folder, io);
}

Expected<void> rotate(const std::string& folder, const security::KeyMaker& maker, Io& io) {
  TROUPE_TRY(security::rotate_keys(folder, maker));
  return show(folder, io);
}

/// `act` on the one folder that is named.
template <class Act>
Expected<void> in_folder(std::string_view verb, const Arguments& arguments, Act act) {
  if (arguments.size() != 1)
    return fail(Errc::config_invalid, "keys " + std::string(verb) + ": expected one folder");
  return act(arguments.front());
}

using Make = Expected<void> (*)(const std::string& folder, const security::KeyMaker& maker, Io& io);

Verb makes(std::string_view name, Make act) {
  return {name, [name, act](Arguments arguments, Io& io) {
            const auto maker = maker_from(arguments);
            if (!maker) return report(maker.error(), io);
            return ended(in_folder(name, arguments,
                                   [&](const std::string& folder) { return act(folder, *maker, io); }),
                         io);
          }};
}

Verb acts(std::string_view name, Expected<void> (*act)(const std::string& folder, Io& io)) {
  return {name, [name, act](const Arguments& arguments, Io& io) {
            return ended(
                in_folder(name, arguments, [&](const std::string& folder) { return act(folder, io); }), io);
          }};
}

}  // namespace

int keys_command(Arguments arguments, Io& io) {
  return run_verb("keys", kHelp,
                  {makes("make", make), makes("rotate", rotate), acts("retire", retire), acts("show", show)},
                  std::move(arguments), io);
}

}  // namespace troupe::cli
