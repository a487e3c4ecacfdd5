#pragma once
// What `troupe up` decides: when to start, restart, stop and kill each process. Plain logic: events and the
// time go in, actions come out.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.hpp"
#include "services/cli/child_process.hpp"

namespace troupe::cli {

class Supervision {
 public:
  /// Stages stop one after another, lowest first: gateways, then workers, then the router.
  struct Member {
    std::string name;
    std::string place;
    int stop_stage = 0;
  };
  struct Settings {
    Duration start_deadline;   ///< to become ready
    Duration restart_first;    ///< wait before the first restart; doubles
    Duration restart_longest;  ///< its bound; ready for that long forgets earlier deaths
    Duration stop_deadline;    ///< of one stage, then it is killed
  };
  struct Action {
    enum class Kind : std::uint8_t { start, terminate, kill, say };
    Kind kind;
    std::size_t member = 0;  ///< not of say
    std::string text;        ///< of say
  };
  using Actions = std::vector<Action>;

  Supervision(std::vector<Member> members, Settings settings);

  [[nodiscard]] Actions begin(TimePoint now);
  [[nodiscard]] Actions ready(std::size_t member, TimePoint now);
  [[nodiscard]] Actions exited(std::size_t member, const ExitStatus& status, TimePoint now);
  /// A request to end; the second one kills.
  [[nodiscard]] Actions stop(TimePoint now);
  /// To be called when next_deadline() has come.
  [[nodiscard]] Actions tick(TimePoint now);
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;

  [[nodiscard]] bool finished() const;  ///< everything has ended after stop()
  [[nodiscard]] bool all_ready() const;
  [[nodiscard]] int exit_code() const { return exit_code_; }  ///< an ExitCode, once finished

 private:
  enum class State : std::uint8_t { waiting, starting, ready, stopped };
  struct Track {
    State state = State::stopped;
    TimePoint since{};
    std::optional<TimePoint> deadline;  ///< of waiting and starting
    bool was_ready = false;
    int deaths = 0;  ///< in a row
  };

  [[nodiscard]] Action start(std::size_t member, TimePoint now);
  [[nodiscard]] Duration back_off(int deaths) const;
  void restart_later(std::size_t member, const std::string& why, TimePoint now, Actions& out);
  void stop_stage(TimePoint now, Actions& out);
  void kill_running(Actions& out) const;
  [[nodiscard]] bool running(std::size_t member) const;

  std::vector<Member> members_;
  std::vector<Track> tracks_;
  Settings settings_;
  std::optional<int> stage_;  ///< being stopped
  std::optional<TimePoint> stage_deadline_;
  int exit_code_ = 0;
};

}  // namespace troupe::cli
