#pragma once
// Waits for the answers of a directory.
#include <gtest/gtest.h>

#include <future>
#include <memory>

#include "common/directory/directory.hpp"

namespace troupe::test {

using Value = Expected<std::optional<std::string>>;

/// Calls `ask(done)` and waits for the answer; a directory that never answers fails the test after 20 s.
template <class Answer, class Ask>
Answer answer_of(const Ask& ask) {
  auto promise = std::make_shared<std::promise<Answer>>();  // an answer may come after the test has given up
  auto future = promise->get_future();
  ask([promise](Answer answer) { promise->set_value(std::move(answer)); });
  if (future.wait_for(std::chrono::seconds(20)) != std::future_status::ready) {
    ADD_FAILURE() << "no answer";
    return fail(Errc::internal, "no answer");
  }
  return future.get();
}

inline Value put(directory::Directory& d, const directory::Key& key, std::string value) {
  return answer_of<Value>([&](auto done) { d.put(key, std::move(value), done); });
}
inline Value claim(directory::Directory& d, const directory::Key& key, std::string value) {
  return answer_of<Value>([&](auto done) { d.claim(key, std::move(value), done); });
}
inline Value get(directory::Directory& d, const std::string& name) {
  return answer_of<Value>([&](auto done) { d.get(name, done); });
}
inline Value erase(directory::Directory& d, const std::string& name) {
  return answer_of<Value>([&](auto done) { d.erase(name, done); });
}
inline Value enter(directory::Directory& d, const std::string& member, std::string value, Duration lease) {
  return answer_of<Value>([&](auto done) { d.enter("test:roster", member, std::move(value), lease, done); });
}
inline Expected<directory::Members> list(directory::Directory& d) {
  return answer_of<Expected<directory::Members>>([&](auto done) { d.list("test:roster", done); });
}

}  // namespace troupe::test
