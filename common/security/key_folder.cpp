#include "common/security/key_folder.hpp"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <system_error>

#include "common/security/certificates.hpp"
#include "common/security/key_files.hpp"

namespace troupe::security {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostGenerations = 3;
constexpr std::size_t kCurveCharacters = 40;

struct Names {
  fs::path curve, authority, certificate, private_key;
};

Names names_of(const fs::path& folder, unsigned number) {
  const std::string stem = (folder / std::to_string(number)).string();
  return {stem + ".curve", stem + ".ca.pem", stem + ".node.pem", stem + ".node.key"};
}

std::optional<unsigned> to_number(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0) return std::nullopt;
  return value;
}

std::string_view take_line(std::string_view& text) {
  const auto end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

bool is_z85(std::string_view text) {
  constexpr std::string_view kPunctuation = ".-:+=^!/*?&<>()[]{}@%$#";
  return text.size() == kCurveCharacters && std::all_of(text.begin(), text.end(), [&](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                  kPunctuation.find(c) != std::string_view::npos;
         });
}

/// The file's text is nowhere in an error: a part of it may be a secret.
Expected<CurvePair> read_curve(const fs::path& path) {
  auto text = read_secret_file(path);
  if (!text) return tl::unexpected<Error>(std::move(text.error()));
  std::string_view rest = *text;
  CurvePair pair;
  pair.public_key = take_line(rest);
  pair.secret_key = take_line(rest);
  ::explicit_bzero(text->data(), text->size());
  if (!is_z85(pair.public_key) || !is_z85(pair.secret_key) || !rest.empty())
    return fail(Errc::file_malformed,
                path.string() + ": expected a public and a secret key, a line of 40 characters each");
  return pair;
}

Expected<KeyGeneration> read_generation(const fs::path& folder, unsigned number) {
  const Names names = names_of(folder, number);
  auto curve = read_curve(names.curve);
  if (!curve) return tl::unexpected<Error>(std::move(curve.error()));
  auto private_key = read_secret_file(names.private_key);  // others read it themselves: here its mode counts
  if (!private_key) return tl::unexpected<Error>(std::move(private_key.error()));
  ::explicit_bzero(private_key->data(), private_key->size());
  return KeyGeneration{number, std::move(*curve), names.certificate, names.private_key, names.authority};
}

Expected<std::vector<unsigned>> numbers_in(const fs::path& folder) {
  std::vector<unsigned> found;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() != ".curve") continue;
    if (const auto number = to_number(at->path().stem().string())) found.push_back(*number);
  }
  if (error) return fail(Errc::file_not_found, folder.string() + ": " + error.message());
  std::sort(found.begin(), found.end());
  return found;
}

Expected<unsigned> read_current(const fs::path& folder) {
  const auto text = read_public_file(folder / "current");
  if (!text) return tl::unexpected<Error>(text.error());
  std::string_view rest = *text;
  const auto number = to_number(take_line(rest));
  if (!number || !rest.empty())
    return fail(Errc::file_malformed, (folder / "current").string() + ": expected a number");
  return *number;
}

/// In use, then older ones (the newest first), then younger ones (the oldest first).
void order(std::vector<unsigned>& numbers, unsigned current) {
  std::sort(numbers.begin(), numbers.end(), [current](unsigned a, unsigned b) {
    const auto rank = [current](unsigned n) { return n == current ? 0 : n < current ? 1 : 2; };
    if (rank(a) != rank(b)) return rank(a) < rank(b);
    return a < current ? a > b : a < b;
  });
}

/// What stands before `current` changes: a crash leaves files that the next run replaces, and no half
/// generation in use.
Expected<void> write_generation(const fs::path& folder, unsigned number, const KeyMaker& maker) {
  const auto issued = issue_certificate("troupe", maker.hosts);
  if (!issued) return tl::unexpected<Error>(issued.error());
  const CurvePair pair = maker.curve();
  const Names names = names_of(folder, number);
  TROUPE_TRY(replace_file(names.authority, issued->authority));
  TROUPE_TRY(replace_file(names.certificate, issued->certificate));
  TROUPE_TRY(replace_file(names.private_key, issued->private_key));
  return replace_file(
      names.curve, pair.public_key + "\n" + pair.secret_key + "\n");  // last: with it the generation counts
}

Expected<void> write_authorities(const fs::path& folder, const std::vector<unsigned>& numbers) {
  std::string all;
  for (const unsigned number : numbers) {
    const auto one = read_public_file(names_of(folder, number).authority);
    if (!one) return tl::unexpected<Error>(one.error());
    all += *one;
  }
  return replace_file(folder / "authorities.pem", all);
}

std::vector<unsigned> numbers_of(const ClusterKeys& keys) {
  std::vector<unsigned> numbers;
  for (const KeyGeneration& each : keys.generations) numbers.push_back(each.number);
  return numbers;
}

const char* state_of(unsigned number, unsigned current) {
  return number == current ? "in use" : number > current ? "next" : "retiring";
}

}  // namespace

Expected<std::shared_ptr<const ClusterKeys>> load_keys(const fs::path& folder) {
  TROUPE_TRY(check_secret_folder(folder));
  const auto current = read_current(folder);
  if (!current) return tl::unexpected<Error>(current.error());
  auto numbers = numbers_in(folder);
  if (!numbers) return tl::unexpected<Error>(numbers.error());
  if (std::find(numbers->begin(), numbers->end(), *current) == numbers->end())
    return fail(Errc::file_malformed,
                folder.string() + ": generation " + std::to_string(*current) + " is in use and not there");
  if (numbers->size() > kMostGenerations)
    return fail(Errc::file_malformed, folder.string() + ": found " + std::to_string(numbers->size()) +
                                          " generations, expected 3 at most");
  order(*numbers, *current);
  auto keys = std::make_shared<ClusterKeys>();
  for (const unsigned number : *numbers) {
    auto generation = read_generation(folder, number);
    if (!generation) return tl::unexpected<Error>(std::move(generation.error()));
    keys->generations.push_back(std::move(*generation));
  }
  keys->authorities = folder / "authorities.pem";
  return keys;
}

Expected<void> make_keys(const fs::path& folder, const KeyMaker& maker) {
  TROUPE_TRY(make_secret_folder(folder));
  const auto numbers = numbers_in(folder);
  if (!numbers) return tl::unexpected<Error>(numbers.error());
  std::error_code error;
  if (fs::exists(folder / "current", error))
    return fail(Errc::config_invalid,
                folder.string() + " holds keys already: troupe keys rotate makes new ones");
  for (const unsigned number : {1U, 2U}) TROUPE_TRY(write_generation(folder, number, maker));
  TROUPE_TRY(write_authorities(folder, {1, 2}));
  return replace_file(folder / "current", "1\n");
}

Expected<void> rotate_keys(const fs::path& folder, const KeyMaker& maker) {
  const auto keys = load_keys(folder);
  if (!keys) return tl::unexpected<Error>(keys.error());
  const unsigned current = (*keys)->current().number;
  auto numbers = numbers_of(**keys);
  if (std::any_of(numbers.begin(), numbers.end(), [&](unsigned n) { return n < current; }))
    return fail(
        Errc::config_invalid,
        folder.string() + ": the generation before is still accepted: troupe keys retire comes first");
  const unsigned next = current + 1;
  if (std::find(numbers.begin(), numbers.end(), next) == numbers.end())
    return fail(Errc::file_malformed,
                folder.string() + ": the next generation, " + std::to_string(next) + ", is missing");
  TROUPE_TRY(write_generation(folder, next + 1, maker));
  TROUPE_TRY(write_authorities(folder, {current, next, next + 1}));
  return replace_file(folder / "current", std::to_string(next) + "\n");
}

Expected<std::vector<unsigned>> retire_keys(const fs::path& folder) {
  const auto keys = load_keys(folder);
  if (!keys) return tl::unexpected<Error>(keys.error());
  const unsigned current = (*keys)->current().number;
  std::vector<unsigned> kept, retired;
  for (const unsigned number : numbers_of(**keys)) (number < current ? retired : kept).push_back(number);
  if (retired.empty()) return fail(Errc::config_invalid, folder.string() + ": there is nothing to retire");
  std::sort(kept.begin(), kept.end());
  TROUPE_TRY(write_authorities(folder, kept));
  for (const unsigned number : retired) {
    const Names names = names_of(folder, number);
    for (const fs::path& path : {names.curve, names.private_key, names.certificate, names.authority})
      if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return fail(Errc::io_failed, path.string() + ": cannot be deleted: " + std::strerror(errno));
  }
  return retired;
}

Expected<std::vector<KeyFacts>> describe_keys(const fs::path& folder) {
  const auto keys = load_keys(folder);
  if (!keys) return tl::unexpected<Error>(keys.error());
  std::vector<KeyFacts> facts;
  for (const KeyGeneration& each : (*keys)->generations) {
    const auto pem = read_public_file(each.certificate);
    if (!pem) return tl::unexpected<Error>(pem.error());
    const auto certificate = certificate_facts(*pem);
    if (!certificate)
      return fail(Errc::file_malformed, each.certificate.string() + ": " + certificate.error().detail);
    facts.push_back({each.number, state_of(each.number, (*keys)->current().number),
                     fingerprint(each.curve.public_key), certificate->fingerprint, certificate->expires});
  }
  std::sort(facts.begin(), facts.end(),
            [](const KeyFacts& a, const KeyFacts& b) { return a.number < b.number; });
  return facts;
}

}  // namespace troupe::security
