#include "common/draft/draft_host.hpp"

#include <algorithm>
#include <cmath>

namespace troupe::draft {
namespace {

using Kind = speculation::DraftAnswer::Kind;

/// Best logits that a guess and its confidence are made of.
constexpr std::uint32_t kBest = 16;

}  // namespace

Expected<std::unique_ptr<DraftHost>> DraftHost::create(std::shared_ptr<const Model> model,
                                                       std::shared_ptr<backend::Backend> backend,
                                                       const HostOptions& options,
                                                       const std::function<void(double)>& on_load) {
  if (options.pass_rows == 0 || options.max_sessions == 0)
    return fail(Errc::config_invalid, "a draft host needs rows and sessions");
  const std::size_t page = engine::page_bytes(model->config(), backend->kv_dtype());
  const std::uint64_t each = (model->config().context_length + kPageTokens - 1) / kPageTokens;
  const std::uint64_t pages = std::min<std::uint64_t>(options.kv_bytes / page, each * options.max_sessions);
  if (pages < 2)
    return fail(Errc::does_not_fit, "kv.bytes is " + std::to_string(options.kv_bytes) + ", at least " +
                                        std::to_string(2 * page) + " are needed for 2 pages");
  auto runner = engine::ModelRunner::create(model, backend, options.pass_rows,
                                            static_cast<std::uint32_t>(pages), on_load);
  TROUPE_TRY(runner);
  return std::unique_ptr<DraftHost>(
      new DraftHost(std::move(model), std::move(backend), options, std::move(*runner)));
}

// Pages are found again by their session alone: other sessions' texts are no business of it.
DraftHost::DraftHost(std::shared_ptr<const Model> model, std::shared_ptr<backend::Backend> backend,
                     const HostOptions& options, std::unique_ptr<engine::ModelRunner> runner)
    : model_(std::move(model)),
      backend_(std::move(backend)),
      options_(options),
      runner_(std::move(runner)),
      pool_(runner_->kv_layout().pages, false),
      context_(std::min(model_->config().context_length, runner_->kv_layout().pages * kPageTokens)) {}

DraftHost::~DraftHost() = default;

/// What a stranger may ask: a text that leaves room for a guess, of tokens that exist.
bool DraftHost::valid(const HostOrder& order) const {
  const std::uint64_t length = std::uint64_t{order.held} + order.tokens.size();
  if (length == 0 || length >= context_) return false;
  return std::all_of(order.tokens.begin(), order.tokens.end(), [this](TokenId token) {
    return token >= 0 && static_cast<std::uint32_t>(token) < vocab();
  });
}

/// The session that holds what the order says it holds; end: none does, or there is no room for another.
DraftHost::Sessions::iterator DraftHost::session_of(const HostOrder& order) {
  const auto found = sessions_.find(order.session);
  if (found != sessions_.end()) {
    const std::span<const TokenId> text = found->second.text;
    const bool same =
        order.held <= text.size() && speculation::text_hash(text.first(order.held)) == order.held_hash;
    return same ? found : sessions_.end();
  }
  if (order.held != 0) return sessions_.end();
  if (sessions_.size() >= options_.max_sessions && !evict_idle()) return sessions_.end();
  return sessions_.try_emplace(order.session, SequencePages(pool_, {}, std::string(kDensePolicy))).first;
}

void DraftHost::order(HostOrder order, TimePoint now) {
  stats_.orders += 1;
  if (!valid(order)) return answer(order.session, order.round, Kind::refused);
  const auto found = session_of(order);
  if (found == sessions_.end()) {
    if (order.held == 0 && !sessions_.contains(order.session))
      return answer(order.session, order.round, Kind::refused);  // every place is working
    return answer(order.session, order.round, Kind::lost);
  }
  Session& session = found->second;
  session.used = now;
  if (session.job) {
    stats_.replaced += 1;
    end_job(session);
  }
  session.text.resize(order.held);
  session.text.insert(session.text.end(), order.tokens.begin(), order.tokens.end());
  // The last token's row is computed in any case: its logits are the first guess.
  const auto kept = static_cast<std::uint32_t>(session.text.size()) - 1;
  session.pages.truncate(std::min({session.pages.length(), order.held, kept}));
  if (order.wanted == 0) return;
  const auto position = static_cast<std::uint32_t>(session.text.size());
  const std::uint32_t wanted = std::min({order.wanted, kMostWanted, context_ - position});
  session.job.emplace(Job{order.round, position, wanted, order.deadline, tickets_++, {}});
  working_ += 1;
}

void DraftHost::answer(const SessionKey& session, std::uint32_t round, Kind kind) {
  stats_.lost += kind == Kind::lost ? 1 : 0;
  stats_.refused += kind == Kind::refused ? 1 : 0;
  speculation::DraftAnswer answer;
  answer.round = round;
  answer.kind = kind;
  answers_.push_back({session, std::move(answer)});
}

/// Says what was guessed, be it all that was wanted or not.
void DraftHost::finish(const SessionKey& key, Session& session) {
  speculation::DraftAnswer answer;
  answer.round = session.job->round;
  answer.position = session.job->position;
  answer.guesses = std::move(session.job->guesses);
  answers_.push_back({key, std::move(answer)});
  end_job(session);
}

void DraftHost::end_job(Session& session) {
  session.job.reset();
  working_ -= 1;
}

DraftHost::Sessions::iterator DraftHost::drop(Sessions::iterator session) {
  if (session->second.job) end_job(session->second);
  return sessions_.erase(session);
}

void DraftHost::forget(const SessionKey& session) {
  if (const auto found = sessions_.find(session); found != sessions_.end()) drop(found);
}

void DraftHost::forget_client(const NodeId& client) {
  for (auto it = sessions_.lower_bound({client, 0}); it != sessions_.end() && it->first.client == client;)
    it = drop(it);
}

/// Drops the session without an order that was used longest ago. false: all of them work.
bool DraftHost::evict_idle() {
  auto oldest = sessions_.end();
  for (auto it = sessions_.begin(); it != sessions_.end(); ++it) {
    if (it->second.job) continue;
    if (oldest == sessions_.end() || it->second.used < oldest->second.used) oldest = it;
  }
  if (oldest == sessions_.end()) return false;
  stats_.evicted += 1;
  drop(oldest);
  return true;
}

/// An order's time is over: what was guessed until then is said. Sessions that nobody uses go.
void DraftHost::expire(TimePoint now) {
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    Session& session = it->second;
    if (session.job && session.job->deadline <= now) {
      stats_.late += 1;
      if (session.job->guesses.empty()) {
        answer(it->first, session.job->round, Kind::refused);
        end_job(session);
      } else {
        finish(it->first, session);
      }
    }
    const bool expired = !session.job && now - session.used >= options_.lease;
    stats_.expired += expired ? 1 : 0;
    it = expired ? drop(it) : std::next(it);
  }
}

/// Sessions with an order: those that need their next guess only, then the others, as they came.
std::vector<DraftHost::Sessions::iterator> DraftHost::by_turn() {
  std::vector<Sessions::iterator> turn;
  for (auto it = sessions_.begin(); it != sessions_.end(); ++it)
    if (it->second.job) turn.push_back(it);
  const auto key = [](const Sessions::iterator& it) {
    const Session& session = it->second;
    return std::pair(session.text.size() - session.pages.length() > 1, session.job->ticket);
  };
  std::sort(turn.begin(), turn.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
  return turn;
}

/// Pages up to `length`, those of idle sessions if need be.
bool DraftHost::reserve(Session& session, std::uint32_t length) {
  while (!session.pages.reserve(length))
    if (!evict_idle()) return false;
  return true;
}

std::vector<DraftHost::Share> DraftHost::plan() {
  std::vector<Share> shares;
  std::uint32_t left = options_.pass_rows;
  std::vector<Sessions::iterator> turn = by_turn();
  for (const auto& it : turn) {
    if (left == 0) break;
    Session& session = it->second;
    const std::uint32_t begin = session.pages.length();
    const std::uint32_t rows = std::min(left, static_cast<std::uint32_t>(session.text.size()) - begin);
    if (!reserve(session, begin + rows)) continue;
    shares.push_back({&session, begin, rows});
    left -= rows;
  }
  if (!shares.empty() || turn.empty()) return shares;
  // They hold each other's pages: the one that came last gives way.
  const auto last = std::max_element(turn.begin(), turn.end(), [](const auto& a, const auto& b) {
    return a->second.job->ticket < b->second.job->ticket;
  });
  answer((*last)->first, (*last)->second.job->round, Kind::refused);
  stats_.evicted += 1;
  drop(*last);
  return shares;
}

void DraftHost::step(TimePoint now) {
  expire(now);
  const std::vector<Share> shares = plan();
  if (shares.empty()) return;
  compute(shares);
  for (auto& [key, session] : sessions_)
    if (session.job && session.job->guesses.size() >= session.job->wanted) finish(key, session);
}

/// One pass; whose text is computed to its end has its next token guessed.
void DraftHost::compute(const std::vector<Share>& shares) {
  batch_.clear();
  std::vector<Session*> owners;  // of the batch's logit rows
  for (const Share& share : shares) {
    Session& session = *share.session;
    (void)session.pages.append(
        std::span(session.text).subspan(share.begin, share.rows));  // never shared: nothing to copy
    const std::uint32_t table = batch_.add_sequence(session.pages.pages());
    for (std::uint32_t at = share.begin; at < share.begin + share.rows; ++at) {
      const bool last = at + 1 == session.text.size();
      if (last) owners.push_back(&session);
      batch_.add_row(table, session.text[at], at, session.pages.slot_of(at), at, last, kBest);
    }
  }
  (void)runner_->forward(
      batch_, {}, [](std::size_t, std::span<const float>) {},
      [&](std::size_t i, std::span<const backend::Scored> best) {
        owners[i]->job->guesses.push_back(guess_of(best));
        owners[i]->text.push_back(owners[i]->job->guesses.back().token);
        stats_.guesses += 1;
      });
  for (const Share& share : shares) share.session->pages.computed(share.begin + share.rows);
  stats_.passes += 1;
  stats_.rows += batch_.rows();
}

/// Probabilities among the best alone: a little high, which is what acceptance estimates correct.
speculation::Guess DraftHost::guess_of(std::span<const backend::Scored> best) {
  speculation::Guess guess;
  if (best.empty()) return guess;
  float sum = 0;
  for (const backend::Scored& one : best) sum += std::exp(one.value - best[0].value);
  guess.token = best[0].id;
  guess.confidence = 1 / sum;
  if (best.size() > 1) {
    guess.second = best[1].id;
    guess.second_confidence = std::exp(best[1].value - best[0].value) / sum;
  }
  return guess;
}

HostStats DraftHost::stats() const {
  HostStats out = stats_;
  out.sessions = static_cast<std::uint32_t>(sessions_.size());
  out.working = working_;
  out.pages_total = pool_.total();
  out.pages_free = pool_.available();
  return out;
}

}  // namespace troupe::draft
