// `troupe keys api`: makes keys for the HTTP API and shows which there are (services/gateway/api_keys.hpp). A
// key is printed once, when it is made; the file holds its hash.
#include <charconv>
#include <filesystem>
#include <ostream>
#include <sstream>

#include "common/security/key_files.hpp"
#include "common/terminal/table.hpp"
#include "services/cli/command.hpp"
#include "services/gateway/api_keys.hpp"

namespace troupe::cli {
namespace {

using gateway::ApiKey;

constexpr std::string_view kHelp =
    "usage: troupe keys api make FILE --name NAME [flags]\n"
    "       troupe keys api show FILE\n\n"
    "Keys by which clients are let in at the HTTP API: name FILE to the gateway with --gateway-api-keys. "
    "FILE holds their hashes and is\n"
    "closed to other users; a key that is lost is replaced by another one. A running gateway takes changes "
    "of "
    "FILE by itself: to withdraw\n"
    "a key, delete its entry.\n\n"
    "  make  adds a key to FILE, which may be new, and prints it, this once\n"
    "  show  which keys there are\n\n"
    "  --name NAME                what the key is called, in the audit log and its limits\n"
    "  --tenant NAME              keys of one tenant find each other's cached prompts and share its share of "
    "the cluster;\n"
    "                             default: the key's own name\n"
    "  --scopes A,B               inference: ask for answers; admin: see and operate the cluster; default: "
    "inference\n"
    "  --models A,B               default: all\n"
    "  --requests-per-minute N    default: no limit, as the next two\n"
    "  --tokens-per-minute N      of prompts and answers\n"
    "  --concurrent-requests N\n";

/// A flag's value as this field of an entry has it, so that the entry is checked in one place.
Expected<void> append_field(Arguments& arguments, std::string_view flag, std::string_view field, bool list,
                            std::string& entry) {
  auto value = take_flag(arguments, flag);
  if (!value) return tl::unexpected<Error>(value.error());
  if (!*value) return {};
  if ((*value)->find_first_of("\n\r\"\\") != std::string::npos || (*value)->empty())
    return fail(Errc::config_invalid, std::string(flag) + ": expected words without quotes");
  std::string text = "\"" + **value + "\"";
  if (list) {
    for (std::size_t at = 0; (at = text.find(',', at)) != std::string::npos; at += 3)
      text.replace(at, 1, "\",\"");
    text = "[" + text + "]";
  }
  entry.append("    ").append(field).append(": ").append(text).append("\n");
  return {};
}

Expected<ApiKey> key_from(Arguments& arguments, const std::string& secret) {
  std::string entry = "keys:\n  - hash: sha256:" + security::to_hex(security::sha256(secret)) + "\n";
  struct Flag {
    std::string_view flag, field;
    bool list = false;
  };
  constexpr Flag kFlags[] = {{"--name", "name"},
                             {"--tenant", "tenant"},
                             {"--scopes", "scopes", true},
                             {"--models", "models", true},
                             {"--requests-per-minute", "requests_per_minute"},
                             {"--tokens-per-minute", "tokens_per_minute"},
                             {"--concurrent-requests", "concurrent_requests"}};
  for (const Flag& each : kFlags)
    TROUPE_TRY(append_field(arguments, each.flag, each.field, each.list, entry));
  auto keys = gateway::parse_api_keys(entry, "the new key");
  if (!keys) return tl::unexpected<Error>(std::move(keys.error()));
  return std::move(keys->front());
}

Expected<void> make(Arguments arguments, Io& io) {
  const std::string secret = gateway::make_api_key();
  const auto key = key_from(arguments, secret);
  if (!key) return tl::unexpected<Error>(key.error());
  if (arguments.size() != 1) return fail(Errc::config_invalid, "keys api make: expected one file");
  const std::string& file = arguments.front();
  std::string text = "keys:\n";
  std::error_code ignored;
  if (std::filesystem::exists(file, ignored)) {
    auto before = security::read_secret_file(file, gateway::kLargestApiKeyFile);
    if (!before) return tl::unexpected<Error>(std::move(before.error()));
    if (const auto there = gateway::parse_api_keys(*before, file); !there)
      return tl::unexpected<Error>(there.error());
    text = std::move(*before);
    if (!text.ends_with('\n')) text += '\n';
  }
  text += gateway::entry_text(*key);
  // What is appended must mean what it says there, too: a name may be taken, a list may be written otherwise.
  if (const auto all = gateway::parse_api_keys(text, file); !all || all->back().hash != key->hash)
    return all ? fail(Errc::config_invalid,
                      file + ": an entry cannot be added at its end: write the list in lines")
               : tl::unexpected<Error>(all.error());
  TROUPE_TRY(security::replace_file(file, text));
  io.err << "The key of " << key->name << ", shown this once; " << file << " has its hash:\n";
  io.out << secret << "\n";
  return {};
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out.append(out.empty() ? "" : ",").append(word);
  return out;
}

std::string rate_text(std::uint64_t rate) {
  return rate == 0 ? "-" : std::to_string(rate);
}

Expected<void> show(const Arguments& arguments, Io& io) {
  if (arguments.size() != 1) return fail(Errc::config_invalid, "keys api show: expected one file");
  const auto text = security::read_secret_file(arguments.front(), gateway::kLargestApiKeyFile);
  if (!text) return tl::unexpected<Error>(text.error());
  const auto keys = gateway::parse_api_keys(*text, arguments.front());
  if (!keys) return tl::unexpected<Error>(keys.error());
  Table rows({"NAME", "TENANT", "SCOPES", "MODELS", "REQUESTS/MIN", "TOKENS/MIN", "AT A TIME"});
  for (const ApiKey& key : *keys)
    rows.add(
        {key.name, key.tenant,
         joined(key.inference && key.admin ? std::vector<std::string>{"inference", "admin"}
                                           : std::vector<std::string>{key.admin ? "admin" : "inference"}),
         key.models.empty() ? "all" : joined(key.models), rate_text(key.rates.requests_per_minute),
         rate_text(key.rates.tokens_per_minute), rate_text(key.rates.concurrent_requests)});
  io.out << rows.text();
  return {};
}

}  // namespace

int api_keys_command(Arguments arguments, Io& io) {
  return run_verb("keys api", kHelp,
                  {{"make", [](Arguments rest, Io& to) { return ended(make(std::move(rest), to), to); }},
                   {"show", [](const Arguments& rest, Io& to) { return ended(show(rest, to), to); }}},
                  std::move(arguments), io);
}

}  // namespace troupe::cli
