#include <ostream>

#include "common/base/ids.hpp"
#include "common/http/client.hpp"
#include "common/terminal/printable.hpp"
#include "services/cli/command.hpp"
#include "services/cli/output_file.hpp"

namespace troupe::cli {
namespace {

constexpr std::string_view kHelp =
    "usage: troupe trace REQUEST [--url URL] [--out FILE]\n\n"
    "Writes what a recorded request spent its time on, in every role, for chrome://tracing or Perfetto. REQUEST is the "
    "x-request-id of its answer;\n"
    "requests with a sampled traceparent are recorded, and of the others the share that trace.ratio says.\n\n"
    "  --url URL      a gateway (http://127.0.0.1:8080)\n"
    "  --cacert FILE  authorities to believe of an https URL, PEM; without it the system's\n"
    "  --out FILE     instead of standard output\n\n"
    "The key of OPENAI_API_KEY is shown to a gateway that wants one.\n";
constexpr std::size_t kLargestTrace = 64U << 20;

Expected<std::string> fetch(const std::string& url, const std::string& authorities, const std::string& request,
                            const Io& io) {
  TROUPE_TRY(id_from_hex<RequestId>(request));
  const auto gateway = parse_any_url(url);
  if (!gateway) return tl::unexpected<Error>(gateway.error());
  const auto trust = trust_for(*gateway, authorities);
  if (!trust) return tl::unexpected<Error>(trust.error());
  HttpRequest ask;
  ask.path = "/v1/requests/" + request + "/trace";
  ask.headers = key_header(io);
  auto answer = HttpAnswer::open(*gateway, ask, -1, {}, *trust);
  if (!answer) return tl::unexpected<Error>(answer.error());
  auto body = answer->read_all(kLargestTrace);
  if (body && answer->status() != 200)
    return fail(Errc::io_failed,
                "the gateway answered " + std::to_string(answer->status()) + ": " + printable(*body));
  return body;
}

}  // namespace

int trace_command(Arguments arguments, Io& io) {
  if (take_switch(arguments, "--help")) {
    io.out << kHelp;
    return ok;
  }
  const auto url = take_flag(arguments, "--url");
  if (!url) return report(url.error(), io);
  const auto authorities = take_flag(arguments, "--cacert");
  if (!authorities) return report(authorities.error(), io);
  const auto out = take_flag(arguments, "--out");
  if (!out) return report(out.error(), io);
  if (arguments.size() != 1) return report({Errc::config_invalid, "trace: expected one request's id"}, io);
  const auto text = fetch(url->value_or("http://127.0.0.1:8080"), authorities->value_or(""), arguments.front(), io);
  if (!text) return report(text.error(), io);
  if (!*out) {
    io.out << *text;
    return ok;
  }
  const auto written = write_file(**out, *text);
  return written ? ok : report(written.error(), io);
}

}  // namespace troupe::cli
