#include <unistd.h>

#include <ostream>

#include "common/config/dump.hpp"
#include "services/cli/chat_session.hpp"
#include "services/cli/command.hpp"
#include "common/terminal/interrupt.hpp"
#include "services/cli/line_reader.hpp"
#include "common/terminal/printable.hpp"

namespace troupe::cli {
namespace {

/// The flags of this tool alone; the variables and the file of the product's schema say nothing about it.
const Schema& chat_schema() {
  static const Schema kSchema({
      {"url", OptionType::text, "http://127.0.0.1:8080/v1", kEveryRole, "Base URL of an OpenAI endpoint."},
      {"cacert", OptionType::text, "", kEveryRole,
       "PEM file of the authorities to believe of an https URL; empty: the system's."},
      {"model", OptionType::text, "", kEveryRole, "Model name; empty takes the first the endpoint lists."},
      {"system", OptionType::text, "", kEveryRole, "System message."},
      {"max_tokens", OptionType::integer, "0", kEveryRole, "Longest answer; 0 leaves it to the server.",
       "tokens", "0"},
      {"temperature", OptionType::real, "-1", kEveryRole, "Sampling temperature; -1 leaves it to the server.",
       "", "-1", "2"},
      {"seed", OptionType::integer, "-1", kEveryRole, "Seed of the sampling; -1 leaves it to the server.", "",
       "-1"},
  });
  return kSchema;
}

Expected<ChatSettings> settings_from(Arguments arguments, const Io& io) {
  ConfigSources sources;
  sources.arguments = std::move(arguments);
  const auto config = Config::load(chat_schema(), sources);
  if (!config) return tl::unexpected<Error>(config.error());
  if (!config->positionals().empty())
    return fail(Errc::config_invalid, "found " + config->positionals().front() + ", expected flags");
  ChatSettings settings;
  settings.url = config->text("url");
  settings.authorities = config->text("cacert");
  settings.model = config->text("model");
  settings.system = config->text("system");
  if (config->integer("max_tokens") > 0) settings.max_tokens = config->integer("max_tokens");
  if (config->real("temperature") >= 0) settings.temperature = config->real("temperature");
  if (config->integer("seed") >= 0) settings.seed = config->integer("seed");
  for (const auto& [key, value] : io.environment)
    if (key == "OPENAI_API_KEY") settings.api_key = value;
  return settings;
}

class Chat {
 public:
  Chat(ChatSession& session, Io& io)
      : session_(session),
        io_(io),
        interactive_(::isatty(io.input) == 1),
        lines_(io.input, interrupt_.fd()) {}

  int run() {
    const auto model = session_.choose_model(interrupt_.fd());
    if (!model) return report(model.error(), io_);
    if (interactive_)
      io_.err << printable(*model)
              << ". /reset forgets, /history shows, /exit or Ctrl-D leaves, Ctrl-C stops an answer.\n";
    for (std::string line;;) {
      if (interactive_) io_.err << "> " << std::flush;
      interrupt_.clear();
      switch (lines_.next(line)) {
        case LineReader::Outcome::end:
          if (interactive_) io_.err << "\n";
          return code_;
        case LineReader::Outcome::interrupted:
          io_.err << "\n";
          continue;
        case LineReader::Outcome::line:
          break;
      }
      if (line == "/exit" || line == "/quit") return code_;
      answer(line);
    }
  }

 private:
  void answer(const std::string& line) {
    if (line.find_first_not_of(" \t") == std::string::npos) return;
    if (line.starts_with('/')) return command(line);
    interrupt_.clear();
    const auto got = session_.ask(
        line, interrupt_.fd(), [this](std::string_view piece) { io_.out << printable(piece) << std::flush; });
    io_.out << "\n" << std::flush;
    if (!got) {
      code_ = report(got.error(), io_);
      return;
    }
    code_ = ok;
    if (got->interrupted) io_.err << "[stopped]\n";
    if (got->finish_reason == "length") io_.err << "[cut at the token limit]\n";
  }

  void command(const std::string& line) {
    if (line == "/reset") {
      session_.reset();
      io_.err << "[forgotten]\n";
    } else if (line == "/history") {
      for (const ChatMessage& message : session_.history())
        io_.out << message.role << ": " << printable(message.content) << "\n";
    } else {
      io_.err << "/reset, /history, /exit\n";
    }
  }

  ChatSession& session_;
  Io& io_;
  InterruptSource interrupt_;
  bool interactive_;
  LineReader lines_;
  int code_ = ok;  ///< of the last question: a script that pipes one in sees whether it was answered
};

}  // namespace

int chat_command(Arguments arguments, Io& io) {
  if (take_switch(arguments, "--help")) {
    io.out << "usage: troupe chat [flags]\n\n" << help_text_of_flags(chat_schema());
    return ok;
  }
  auto settings = settings_from(std::move(arguments), io);
  if (!settings) return report(settings.error(), io);
  auto session = ChatSession::make(std::move(*settings));
  if (!session) return report(session.error(), io);
  return Chat(*session, io).run();
}

}  // namespace troupe::cli
