#include "common/config/options.hpp"

#include "common/config/draft_role.hpp"

namespace troupe {
namespace {

using enum OptionType;

std::vector<Option> rows() {
  return {
      // Models
      {"model", text_list, "smollm2-135m-instruct", kMembers,
       "Models to serve: known names (troupe models list), paths of GGUF files or of a BERT's safetensors, or "
       "served-name=either. The first is the default one."},
      {"models", text, "", kAnyRole,
       "Folder of the models cache. Empty: troupe/models below XDG_CACHE_HOME, or below ~/.cache."},
      {"insecure", boolean, "false", kMembers,
       "Let cluster ports listen on other addresses than loopback without keys. Only for networks where "
       "everyone is trusted."},
      {"security.keys", text, "", kMembers,
       "Folder of the cluster's keys (troupe keys make): cluster ports then speak TLS and CURVE, and only to those who hold the same. "
       "Empty: they speak to everyone who reaches them."},

      // The HTTP edge
      {"http.host", text, "127.0.0.1", kGateway, "Address the HTTP API listens on."},
      {"http.port", integer, "8080", kGateway, "Port of the HTTP API; 0 takes a free one and prints it.",
       "port", "0", "65535"},
      reloadable({"http.max_connections", integer, "1024", kGateway,
       "Open connections; further ones are refused with 503.", "connections", "1", "100000"}),
      reloadable({"http.header_bytes", bytes, "16KiB", kGateway, "Largest request header; over it 431.", "", "1KiB",
       "1MiB"}),
      reloadable({"http.body_bytes", bytes, "8MiB", kGateway, "Largest request body; over it 413.", "", "1KiB", "1GiB"}),
      reloadable({"http.read_timeout", duration, "30s", kGateway,
       "Time a client has to send its whole request; over it 408.", "", "100ms", "1h"}),
      reloadable({"http.write_timeout", duration, "30s", kGateway,
       "Time a client may leave an answer unread before it counts as gone.", "", "100ms", "1h"}),
      reloadable({"http.idle_timeout", duration, "75s", kGateway,
       "Time a kept-alive connection may idle between requests.", "", "100ms", "1h"}),
      {"http.tls.certificate", text, "", kGateway,
       "PEM file of the HTTP API's certificate and of those between it and its authority: the API is then HTTPS alone. A changed file "
       "is taken into use while connections go on. Empty: HTTP."},
      {"http.tls.key", text, "", kGateway, "PEM file of that certificate's private key, closed to other users."},
      {"http.cors_origin", text, "", kGateway,
       "Origin that browsers may call from; * for any. Empty sends no CORS headers."},

      {"dashboard.operations",
       choice,
       "auto",
       kServing,
       "What may be ordered from the dashboard. drain: drain workers and take them back. kill: also end a worker at once, "
       "for a worker that has the same option. auto: drain where the dashboard's port listens on loopback, else none.",
       "",
       "",
       "",
       {"auto", "none", "drain", "kill"}},
      {"dashboard.benchmarks", text, "", kGateway,
       "Folder of recorded runs (troupe bench --json) for the dashboard's plots. Empty: only what a person uploads."},

      {"gateway.text_threads", integer, "1", kGateway, "Threads for templates, tokenizing and detokenizing.",
       "threads", "1", "256"},
      {"gateway.text_queue", integer, "256", kGateway, "Requests waiting for a text thread; over it 429.",
       "requests", "1", "65536"},
      reloadable({"gateway.max_streams", integer, "256", kGateway, "Answers in flight; over it 429.", "choices", "1",
       "65536"}),

      {"gateway.api_keys", text, "", kGateway,
       "File of the API's keys (troupe keys api make), closed to other users: requests then need one of them. A changed file is taken "
       "into use while requests come. Empty: whoever reaches the API may use it."},
      reloadable({"gateway.audit", text, "", kGateway,
       "File that is told of every request when it came, by which key, for which model, with how many tokens and how it ended; never a "
       "text. log: lines of the log. Empty: nothing is."}),
      reloadable({"gateway.audit_bytes", bytes, "64MiB", kGateway, "Size at which that file becomes FILE.1 and another one begins.", "", "64KiB",
       "1TiB"}),
      {"gateway.batch.path", text, "", kGateway,
       "Folder of files and batches (/v1/files, /v1/batches), this gateway's alone. Empty: troupe/batches-PORT below XDG_STATE_HOME, or "
       "below ~/.local/state, made when the first file comes. none: there are neither."},
      {"gateway.batch.in_flight", integer, "16", kGateway,
       "Lines of batches that run at a time, behind every request that somebody waits for; at most half of gateway.max_streams.", "lines",
       "1", "65536"},
      {"gateway.batch.lines", integer, "50000", kGateway, "Most requests of a batch.", "lines", "1", "10000000"},
      {"gateway.batch.file_bytes", bytes, "200MiB", kGateway, "Largest file; over it 413.", "", "1KiB", "1TiB"},
      {"gateway.batch.files", integer, "1000", kGateway, "Files of one owner; over it 429.", "files", "1", "1000000"},
      {"gateway.batch.bytes", bytes, "10GiB", kGateway, "Bytes of one owner's files; over it 429.", "", "1KiB", "1024TiB"},
      {"admin.host", text, "127.0.0.1", kGateway, "Address of the admin port."},
      {"admin.port", integer, "-1", kGateway,
       "Port that has all of the API and, alone, the dashboard, its operations, /config and /state; -1: http.port has them, 0: a free one.",
       "port", "-1", "65535"},

      reloadable({"request.deadline", duration, "10min", kGateway,
       "Longest life of a request when it names none of its own; over it 504.", "", "100ms", "24h"}),
      {"request.record_time", duration, "1h", kGateway,
       "Time in which a stream can be resumed and an idempotency key stands for its first request.", "", "1s", "168h"},
      {"request.record_bytes", bytes, "64MiB", kGateway, "Memory for the records that this gateway keeps itself.", "",
       "1MiB", "1TiB"},
      {"request.max_choices", integer, "16", kGateway, "Largest n of a request.", "choices", "1", "128"},
      {"responses.time", duration, "24h", kGateway,
       "Time in which a stored response of /v1/responses can be asked for and gone on from.", "", "1s", "720h"},
      {"responses.bytes", bytes, "32MiB", kGateway,
       "Stored responses that this gateway keeps, in its memory and in the directory; over it the oldest go.", "", "1MiB", "1TiB"},

      // Computing
      {"engine.threads", integer, "0", kComputing,
       "Compute threads; 0 takes the cores that affinity and cgroup allow.", "threads", "0", "1024"},
      {"engine.pin_threads",
       choice,
       "auto",
       kComputing,
       "auto: each compute thread keeps a CPU of its own, no other worker's of this user on this host; where too few are "
       "free, threads neither keep CPUs nor spin. off: the kernel moves them as it likes.",
       "",
       "",
       "",
       {"auto", "off"}},
      {"engine.token_budget", integer, "512", kWorkers,
       "Rows that prompts fill a step up to, the streams' rows counted.", "rows", "1", "65536"},
      {"engine.itl_slo_ms", integer, "0", kWorkers,
       "Longest time between two tokens of a stream: the rows of a step are chosen by measured step times, "
       "engine.token_budget at most. 0: always engine.token_budget.",
       "ms", "0", "60000"},
      {"engine.schedule",
       choice,
       "hybrid",
       kWorkers,
       "hybrid: streams first, prompts fill what is left of a step. prefill_first: streams wait while there are "
       "prompts, for comparison.",
       "",
       "",
       "",
       {"hybrid", "prefill_first"}},
      {"engine.chunk", integer, "256", kWorkers,
       "Prompt rows one sequence may take of a step (chunked prefill).", "rows", "1", "65536"},
      {"engine.max_sequences", integer, "64", kWorkers, "Sequences in one step.", "sequences", "1", "4096"},
      {"engine.queue", integer, "256", kWorkers,
       "Requests waiting for a place in the batch; over it the worker says queue_full.", "requests", "1",
       "65536"},
      {"engine.max_overtakes", integer, "256", kWorkers,
       "Admissions of later requests that a waiting one bears before it goes first, whatever the priorities.",
       "requests", "0", "1000000"},
      {"engine.preemption",
       choice,
       "auto",
       kWorkers,
       "How a request gives up its KV pages to others: swap keeps them in host memory, recompute drops them, auto takes "
       "whichever costs less by measured times.",
       "",
       "",
       "",
       {"auto", "swap", "recompute"}},
      {"engine.tenant_weights", text_list, "", kWorkers,
       "Shares of tenants that compete for a worker: name=weight, 0.001 to 1000; 1 for those not named."},
      {"engine.numerics",
       choice,
       "fast",
       kWorkers | kGateway,
       "fast: 8-bit activations inside quantised products. reference: float32 activations, slow, for "
       "comparison. Streams never mix the two.",
       "",
       "",
       "",
       {"fast", "reference"}},
      {"engine.isa",
       choice,
       "auto",
       kComputing,
       "Instruction set; every one gives the same bits. auto takes the widest the machine has.",
       "",
       "",
       "",
       {"auto", "scalar", "avx2", "avx-vnni", "avx512", "amx"}},
      {"engine.hydragen", boolean, "true", kWorkers,
       "Attend to KV pages that several sequences begin with once a step for all of them."},

      {"speculation.drafter", choice, "off", kWorkers,
       "Who guesses the next tokens of requests that name no drafter, so that a step verifies several. No answer changes. auto: "
       "all of them compete, by measured step times and acceptance; off: nobody. Text that the form of an answer leads to is "
       "drafted in any case.",
       "", "", "", {"off", "auto", "prompt-lookup", "suffix-automaton", "input-copy", "token-recycling", "draft-service", "jump-forward"}},
      {"speculation.max_draft", integer, "8", kWorkers,
       "Most guesses of one sequence that a step verifies; fewer where fewer pay.", "rows", "1", "64"},
      {"speculation.store_tokens", integer, "65536", kWorkers,
       "Tokens of finished answers that drafters remember for each tenant. 0: none.", "tokens", "0", "100000000"},

      {"speculation.service", text_list, "", kDecode,
       "host:port of each draft service (troupe draft) whose models may guess for this worker. Nobody waits for them: what does not "
       "come in time, or not at all, is not drafted."},

      {"superposed.text", text, "", kDecode,
       "File of text (UTF-8) whose n-grams smooth superposed drafts, beside those of each prompt. Workers of one model need the same, or "
       "such a request may end differently where it starts anew. Empty: prompts alone."},
      {"superposed.ngrams", integer, "4000000", kDecode,
       "Most different runs of tokens kept of that text, up to 43 bytes each; of more the later ones are left out.", "runs", "0",
       "100000000"},

      {"draft.model", text_list, "", kDraft,
       "Draft models to host: known names or paths of GGUF files. Each guesses for targets of its own vocabulary. Empty: those of "
       "--model."},
      {"draft.max_sessions", integer, "256", kDraft, "Streams of all decode workers that a draft model keeps a text for.", "sessions", "1",
       "65536"},
      {"draft.pass_rows", integer, "256", kDraft, "Rows of one pass of a draft model.", "rows", "1", "65536"},
      {"draft.queue", integer, "1024", kDraft, "Orders that wait for a pass; more are refused.", "orders", "1", "1000000"},

      {"kv.bytes", bytes, "0", kComputing,
       "Memory for KV pages of one worker or draft model; 0 takes a share of what the cgroup leaves after the weights.", "",
       "0", "16TiB"},
      {"kv.codec", choice, "f16", kWorkers,
       "How KV pages hold numbers. int8: half the bytes, LOSSY: other answers than f16; workers of the two never share pages.",
       "", "", "", {"f16", "int8"}},
      {"kv.swap_bytes", bytes, "64MiB", kWorkers,
       "Host memory, taken as needed, for the KV pages of requests that gave way to others.", "", "0", "16TiB"},
      {"kv.disk.path", text, "", kWorkers,
       "Folder on a local disk where KV pages are kept beyond memory, and over restarts. Empty: none. Workers of one "
       "machine may be given the same."},
      {"kv.disk.capacity", bytes, "16GiB", kWorkers, "Room on that disk for one worker's pages of one model.", "",
       "1MiB", "1024TiB"},
      {"kv.disk.retry", duration, "30s", kWorkers,
       "How long writing pauses when the disk takes no more: it is full, or refuses.", "", "100ms", "1h"},
      {"kv.disk.write", choice, "released", kWorkers,
       "When a page is written. released: soon after its last request ended, so that a killed worker leaves most of "
       "them. evicted: when memory needs its place.",
       "", "", "", {"released", "evicted"}},
      {"kv.prefix_cache", boolean, "true", kWorkers | kRouter,
       "Keep sealed pages of finished requests and reuse them for equal prefixes."},
      {"kv.transfer_window", integer, "4", kWorkers, "KV frames in flight between two workers.", "frames",
       "1", "64"},
      {"kv.transfer_shared_bytes", bytes, "32MiB", kWorkers,
       "Memory in which KV frames are written for other workers of this host, which read them in place; taken as needed. 0: "
       "frames go through sockets.",
       "", "0", "512MiB"},

      {"kv_events.endpoint", text, "", kWorkers,
       "host:port on which KV events are published for other routers, in vLLM's ZeroMQ wire; a second model takes "
       "the next port. Empty: none."},
      {"kv_events.replay_endpoint", text, "", kWorkers,
       "host:port on which missed KV events are replayed. Empty: none are."},
      {"kv_events.to_router", boolean, "true", kWorkers,
       "Tell the cluster's router which blocks are held. false: it predicts them from its placements."},

      reloadable({"disagg.min_prompt_tokens", integer, "256", kGateway | kRouter,
       "Prompts with fewer uncached tokens are prefilled on the decode worker itself.", "tokens", "0",
       "1000000000"}),
      reloadable({"disagg.min_fetch_tokens", integer, "256", kRouter,
       "A prompt's KV pages are fetched from another worker only if it holds at least so many tokens of it more than the chosen "
       "one; with predicted_ttft, and if that is predicted to be sooner than computing them.",
       "tokens", "1", "1000000000"}),

      {"disagg.convert", choice, "exact", kRouter | kWorkers,
       "KV pages between workers that hold them differently. exact: converted where that keeps every bit (page size, order). "
       "lossy: also between number formats (kv.codec, engine.numerics), LOSSY: other answers, resumed streams may differ. off: "
       "pages move only where they lie alike. What is not converted is computed.",
       "", "", "", {"exact", "lossy", "off"}},

      reloadable({"router.policy",
       choice,
       "predicted_ttft",
       kRouter,
       "How the router chooses workers. predicted_ttft: by the time to the first token, with costs learnt of each "
       "worker. The others are simpler, for comparison.",
       "",
       "",
       "",
       {"predicted_ttft", "load_and_prefix", "kv_overlap", "cache_aware", "consistent_hash", "least_loaded", "round_robin",
        "random"}}),
      reloadable({"router.first_token_slo", duration, "0", kRouter,
       "With predicted_ttft: a request whose first token is predicted later is refused with the time until it would "
       "fit; 0: none is. Priorities over 0 (API: under 0) are exempt.",
       "", "0", "1h"}),

      {"router.planner", boolean, "false", kRouter,
       "Move workers between prefill and decode when the load shifts. Of several routers, one plans."},
      {"router.planner_dwell", duration, "60s", kRouter, "Least time between two such moves.", "", "1s", "1h"},
      {"router.planner_queue", duration, "1s", kRouter, "Wait for prefill that its workers may bear.", "", "10ms", "10min"},
      {"router.planner_itl", duration, "100ms", kRouter,
       "Time between two tokens of a stream that decode workers may bear.", "", "1ms", "10s"},
      {"router.planner_arrangement", choice, "keep", kRouter,
       "keep: one of each role stays, and a cluster of one role stays so; GET /state says which would be better. choose: the "
       "planner makes all workers hybrids, or parts prefill from decode, as that is predicted to serve the traffic better.",
       "", "", "", {"keep", "choose"}},
      {"router.kv_events", text_list, "", kRouter,
       "KV events to follow besides what workers tell: host:port, or host:port/host:port with the port for "
       "replays."},

      // The cluster
      {"cluster.router", text_list, "", kGateway | kWorkers,
       "host:port of each router's control port. Workers join all of them, a gateway asks one and turns to the next when "
       "it is gone. Empty: those that enter the Redis of cluster.directory."},
      {"cluster.directory", text, "memory", kServing,
       "Where gateways record requests so that their streams can be resumed: memory (at this gateway alone), "
       "redis://host:port/database (at every gateway that shares it), none. In a Redis routers can be found, too."},
      {"cluster.directory_password", text, "", kServing, "Password of the directory's Redis.", "", "", "", {}, true},
      {"cluster.directory_deadline", duration, "500ms", kServing,
       "Time the directory has to answer; then requests go on without it.", "", "10ms", "1min"},
      {"cluster.listen", text, "127.0.0.1:0", kMembers,
       "host:port of this process's control port (CAF); port 0 takes a free one."},
      {"cluster.advertise", text, "", kMembers,
       "host[:port] others reach this process at; empty: the address it listens on, or where that is 0.0.0.0 the one that "
       "faces its router."},
      {"cluster.data_listen", text, "127.0.0.1:0", kWorkers,
       "host:port on which KV pages arrive (ZeroMQ); port 0 takes a free one."},
      {"cluster.data_advertise", text, "", kWorkers,
       "host[:port] others send KV pages to; empty: the host of cluster.advertise, the port it listens on."},
      {"cluster.heartbeat", duration, "200ms", kMembers, "Interval of membership heartbeats.", "", "10ms",
       "1min"},
      {"cluster.node_timeout", duration, "800ms", kMembers,
       "Silence after which a node gets no work and its requests go on elsewhere; at least two heartbeats. A stream's own "
       "silence is looked into after half of it.", "", "20ms", "10min"},
      {"cluster.lease", duration, "30s", kServing, "Time after which a reservation nobody claimed is freed.",
       "", "100ms", "1h"},

      // Running
      reloadable({"drain.deadline", duration, "30s", kAnyRole,
       "Time that answers in flight have to end after SIGTERM.", "", "0", "1h"}),
      reloadable({"log.level",
       choice,
       "info",
       kAnyRole,
       "Least severe level that is logged.",
       "",
       "",
       "",
       {"debug", "info", "warn", "error", "off"}}),
      {"log.json", boolean, "false", kAnyRole, "One JSON object a line instead of text."},
      {"process.core_dumps", boolean, "false", kAnyRole,
       "Whether a crash may leave a core file: it holds keys, prompts and answers in the clear."},
      {"metrics.host", text, "127.0.0.1", kMembers, "Address of the metrics port."},
      {"metrics.port", integer, "-1", kMembers,
       "Port that serves /metrics, /healthz and /readyz of a process without a gateway, or of one whose API is HTTPS; -1 none, 0 a free "
       "one.",
       "port", "-1", "65535"},
      {"trace.ratio", real, "0", kGateway,
       "Share of the requests whose spans are recorded; those with a sampled traceparent are, whatever it is.", "", "0", "1"},
      {"trace.follow_callers", boolean, "true", kGateway, "Whether a request's traceparent decides."},
      {"trace.otlp_endpoint", text, "", kGateway,
       "Collector that spans are sent to by OTLP/HTTP as JSON, http://host:4318/v1/traces; empty: none."},
      {"supervisor.start_deadline", duration, "5min", kSupervisor,
       "Time a process has to become ready before it is restarted.", "", "100ms", "24h"},
      {"supervisor.restart_first", duration, "500ms", kSupervisor,
       "Wait before the first restart; doubles with each further one.", "", "1ms", "1h"},
      {"supervisor.restart_longest", duration, "30s", kSupervisor, "Longest wait before a restart.", "",
       "1ms", "1h"},
  };
}

}  // namespace

const Schema& product_schema() {
  // These belong to the tests: where their vectors, their tools and the program are.
  static const Schema kSchema(rows(), {"TROUPE_SHARED", "TROUPE_PEER_SOURCE", "TROUPE_PYTHON", "TROUPE_BINARY",
                                       "TROUPE_UPDATE_GOLDEN"});
  return kSchema;
}

}  // namespace troupe
