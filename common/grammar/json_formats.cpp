#include "common/grammar/json_formats.hpp"

#include <algorithm>
#include <array>

namespace troupe::grammar {
namespace {

#define TROUPE_DATE                                                                                          \
  "[1-9][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[" \
  "0-9]|2[0-8]))"
#define TROUPE_TIME \
  "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define TROUPE_LABEL "[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?"
#define TROUPE_HOST TROUPE_LABEL "(\\." TROUPE_LABEL "){1,4}"
#define TROUPE_OCTET "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"

struct Format {
  std::string_view name;
  const char* pattern;
};

// February's 29th and a 60th second are left out: whether they are valid depends on more than the text's
// shape.
constexpr std::array kFormats{
    Format{"date", "^" TROUPE_DATE "$"},
    Format{"date-time", "^" TROUPE_DATE "T" TROUPE_TIME "$"},
    Format{"duration", "^P([0-9]{1,4}D(T[0-9]{1,2}H)?|[0-9]{1,4}W|[0-9]{1,4}Y|T[0-9]{1,4}[HMS])$"},
    Format{"email", "^[A-Za-z0-9_+-]{1,32}(\\.[A-Za-z0-9_+-]{1,16}){0,2}@" TROUPE_HOST "$"},
    Format{"hostname", "^" TROUPE_HOST "$"},
    Format{"ipv4", "^" TROUPE_OCTET "(\\." TROUPE_OCTET "){3}$"},
    Format{"ipv6", "^([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}$"},
    Format{"time", "^" TROUPE_TIME "$"},
    Format{"uri", "^(https?|ftp)://" TROUPE_HOST
                  "(:[1-9][0-9]{1,3})?(/[A-Za-z0-9._~-]{0,64}){0,8}(\\?[A-Za-z0-9._~=&-]{0,128})?$"},
    Format{"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
};

}  // namespace

const char* find_format(std::string_view name) {
  const auto found =
      std::find_if(kFormats.begin(), kFormats.end(), [&](const Format& f) { return f.name == name; });
  return found == kFormats.end() ? nullptr : found->pattern;
}

std::string known_formats() {
  std::string out;
  for (const Format& format : kFormats) out.append(out.empty() ? "" : ", ").append(format.name);
  return out;
}

}  // namespace troupe::grammar
