// The table of subcommands: a new one is one line here.
#include "services/cli/backup/backup_command.hpp"
#include "services/cli/command.hpp"
#include "services/cli/role_runner.hpp"

namespace troupe::cli {

const std::vector<Command>& commands() {
  static const std::vector<Command> kCommands{
      {"serve", "[flags]", "every role in this one process; only the HTTP port",
       [](Arguments a, Io& io) { return role_command("serve", std::move(a), io); }},
      {"up", "cluster.yaml [flags]", "start and supervise one process per role", up_command},
      {"gateway", "[flags]", "one gateway: the HTTP API",
       [](Arguments a, Io& io) { return role_command("gateway", std::move(a), io); }},
      {"router", "[flags]", "the router: who is there and who gets a request",
       [](Arguments a, Io& io) { return role_command("router", std::move(a), io); }},
      {"prefill", "[flags]", "one prefill worker: computes prompts for decode workers",
       [](Arguments a, Io& io) { return role_command("prefill", std::move(a), io); }},
      {"decode", "[flags]", "one decode worker: makes the answers",
       [](Arguments a, Io& io) { return role_command("decode", std::move(a), io); }},
      {"draft", "[--draft-model FILE] [flags]", "one draft service: small models that guess for decode workers",
       [](Arguments a, Io& io) { return role_command("draft", std::move(a), io); }},
      {"chat", "[--url URL] [--model NAME] [flags]", "talk to a model in the terminal", chat_command},
      {"bench", "[--url URL] [--workload NAME] [flags]",
       "load on an endpoint: latencies, throughput, comparisons", bench_command},
      {"bench engine", "[--model NAME|FILE] [flags]", "speed of prefill and decode, beside the machine's own limits",
       bench_engine_command},
      {"bench quality", "[--model NAME|FILE] [flags]", "perplexity and divergence of the fast path from the float32 one",
       bench_quality_command},
      {"bench speculation", "[--model NAME|FILE] [flags]", "decoding with drafts beside decoding without, in one run",
       bench_speculation_command},
      {"simulate", "[--trace FILE] [--policy A,B|all] [flags]",
       "router policies over traces, in virtual time", simulate_command},
      {"plan", "[--rate X] [--slo-first-token TIME] [flags]", "how many workers some traffic needs, by simulation",
       plan_command},
      {"models", "list | pull NAME... | inspect NAME|FILE", "known models, their files and what is in them",
       models_command},
      {"techniques", "", "what is implemented, from which paper, and what it does to the answer",
       techniques_command},
      {"trace", "REQUEST [--url URL] [--out FILE]", "what a recorded request spent its time on, in Chrome's trace format",
       trace_command},
      {"top", "[--url URL] [--once]", "a cluster in the terminal while it works", top_command},
      {"doctor", "[cluster.yaml | --role ROLE] [--json] [flags]",
       "whether this machine is fit for the configuration, and what to do", doctor_command},
      {"keys", "make DIR | rotate DIR | retire DIR | show DIR", "the keys that members of a cluster know each other by",
       keys_command},
      {"keys api", "make FILE --name NAME [flags] | show FILE", "the keys by which clients are let in at the API",
       api_keys_command},
      {"backup", "--to FILE [--file PATH]... [--force] [flags]", "configuration, keys and secrets of a deployment in one file",
       backup_command},
      {"restore", "--from FILE [--check] [--root DIR] [--force]", "puts the files of a backup back", restore_command},
      {"config", "print [--role ROLE] [--json] [flags]",
       "every option with its value and where that came from", config_command},
      {"health", "[ROLE] [--url URL] [--timeout TIME]", "whether a role on this machine is ready: the probe of a container",
       health_command},
      {"version", "", "the version", version_command},
  };
  return kCommands;
}

}  // namespace troupe::cli
