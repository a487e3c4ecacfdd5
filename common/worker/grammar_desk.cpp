#include "common/worker/grammar_desk.hpp"

namespace troupe::worker {
namespace {

/// The grammar that a command brings; null: it brings none.
grammar::Source* source_of(Command& command) {
  grammar::Source* source = nullptr;
  if (auto* submit = std::get_if<Submit>(&command)) source = &submit->grammar;
  if (auto* reserve = std::get_if<ReserveImport>(&command)) source = &reserve->grammar;
  return source != nullptr && source->kind != grammar::Kind::none ? source : nullptr;
}

engine::Request& request_of(Command& command) {
  if (auto* submit = std::get_if<Submit>(&command)) return submit->request;
  return std::get<ReserveImport>(command).request;
}

}  // namespace

GrammarDesk::GrammarDesk(std::vector<std::shared_ptr<const grammar::TokenTrie>> vocabularies,
                         std::function<void(std::size_t engine, Command)> forward)
    : forward_(std::move(forward)) {
  for (auto& vocabulary : vocabularies)
    caches_.push_back(vocabulary ? std::make_unique<grammar::GrammarCache>(std::move(vocabulary)) : nullptr);
  thread_ = std::thread([this] { loop(); });
}

GrammarDesk::~GrammarDesk() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wanted_.notify_one();
  thread_.join();
}

bool GrammarDesk::take(std::size_t engine, Command& command) {
  const std::lock_guard lock(mutex_);
  if (const auto* cancel = std::get_if<CancelRequest>(&command)) {
    std::erase_if(waiting_, [&](const Job& job) { return job.id == cancel->engine_id; });
    if (current_ == cancel->engine_id) current_.reset();
    return false;
  }
  grammar::Source* source = source_of(command);
  if (source == nullptr) return false;
  Job job{engine, request_of(command).id, std::move(*source), {}};
  *source = {};
  job.command = std::move(command);
  waiting_.push_back(std::move(job));
  wanted_.notify_one();
  return true;
}

Command GrammarDesk::compiled(Job job) {
  grammar::GrammarCache* cache = caches_[job.engine].get();
  if (cache == nullptr)
    return Reject{
        job.id,
        {Errc::unknown_field_value, "this model's tokens have no texts that a grammar could speak of"}};
  auto automaton = cache->find(job.source);
  if (!automaton) return Reject{job.id, std::move(automaton.error())};
  request_of(job.command).grammar = std::move(*automaton);
  return std::move(job.command);
}

void GrammarDesk::loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    wanted_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
    if (stop_) return;
    Job job = std::move(waiting_.front());
    waiting_.pop_front();
    const std::size_t engine = job.engine;
    current_ = job.id;
    lock.unlock();
    Command command = compiled(std::move(job));
    lock.lock();
    // Under the lock: a cancel either finds it here, or comes to the engine behind it.
    if (current_) forward_(engine, std::move(command));
    current_.reset();
  }
}

}  // namespace troupe::worker
