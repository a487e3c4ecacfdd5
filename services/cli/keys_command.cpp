// `troupe keys`: makes, rotates, retires and shows the keys of a cluster (common/security). It prints
// fingerprints, never a key.
#include <algorithm>
#include <ostream>

#include "common/config/edit_distance.hpp"
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

Expected<void> make_or_rotate(const std::string& verb, const std::string& folder,
                              const security::KeyMaker& maker, Io& io) {
  TROUPE_TRY(verb == "make" ? security::make_keys(folder, maker) : security::rotate_keys(folder, maker));
  return show(folder, io);
}

Expected<void> run(const std::string& verb, Arguments arguments, Io& io) {
  const std::vector<std::string> verbs{"make", "rotate", "retire", "show"};
  if (std::find(verbs.begin(), verbs.end(), verb) == verbs.end())
    return fail(Errc::config_invalid, "keys: unknown verb " + verb + did_you_mean(verb, verbs));
  const bool makes = verb == "make" || verb == "rotate";
  const auto maker = makes ? maker_from(arguments) : security::KeyMaker{};
  if (!maker) return tl::unexpected<Error>(maker.error());
  if (arguments.size() != 1) return fail(Errc::config_invalid, "keys " + verb + ": expected one folder");
  const std::string& folder = arguments.front();
  if (makes) return make_or_rotate(verb, folder, *maker, io);
  return verb == "retire" ? retire(folder, io) : show(folder, io);
}

}  // namespace

int keys_command(Arguments arguments, Io& io) {
  if (take_switch(arguments, "--help")) {
    io.out << kHelp;
    return ok;
  }
  if (arguments.empty()) {
    io.err << kHelp;
    return bad_input;
  }
  const std::string verb = arguments.front();
  arguments.erase(arguments.begin());
  const auto done = run(verb, std::move(arguments), io);
  return done ? ok : report(done.error(), io);
}

}  // namespace troupe::cli
