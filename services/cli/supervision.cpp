#include "services/cli/supervision.hpp"

#include <algorithm>

#include "common/config/value.hpp"
#include "services/cli/command.hpp"

namespace troupe::cli {
namespace {
using Kind = Supervision::Action::Kind;
}

Supervision::Supervision(std::vector<Member> members, Settings settings)
    : members_(std::move(members)), tracks_(members_.size()), settings_(settings) {}

Supervision::Actions Supervision::begin(TimePoint now) {
  Actions out;
  for (std::size_t m = 0; m < members_.size(); ++m) out.push_back(start(m, now));
  return out;
}

Supervision::Action Supervision::start(std::size_t member, TimePoint now) {
  Track& track = tracks_[member];
  track.state = State::starting;
  track.since = now;
  track.deadline = now + settings_.start_deadline;
  return {Kind::start, member, {}};
}

Supervision::Actions Supervision::ready(std::size_t member, TimePoint now) {
  Track& track = tracks_[member];
  if (track.state != State::starting || stage_) return {};
  track.state = State::ready;
  track.since = now;
  track.deadline.reset();
  track.was_ready = true;
  Actions out{{Kind::say, 0, members_[member].name + " is up: " + members_[member].place}};
  if (all_ready())
    out.push_back({Kind::say, 0, "all " + std::to_string(members_.size()) + " processes are up"});
  return out;
}

Supervision::Actions Supervision::exited(std::size_t member, const ExitStatus& status, TimePoint now) {
  Track& track = tracks_[member];
  Actions out;
  if (stage_) {
    track.state = State::stopped;
    track.deadline.reset();
    out.push_back({Kind::say, 0,
                   members_[member].name + " has ended" +
                       (status.code == 0 && status.signal == 0 ? std::string() : ": " + to_string(status))});
    stop_stage(now, out);
    return out;
  }
  if (status.signal == 0 && status.code == bad_input && !track.was_ready) {
    // The same command line would end the same way for ever.
    out.push_back({Kind::say, 0,
                   members_[member].name + " cannot run as configured: " + to_string(status) + "; stopping"});
    track.state = State::stopped;
    track.deadline.reset();
    exit_code_ = bad_input;
    for (Action& action : stop(now)) out.push_back(std::move(action));
    return out;
  }
  restart_later(member, "died: " + to_string(status), now, out);
  return out;
}

void Supervision::restart_later(std::size_t member, const std::string& why, TimePoint now, Actions& out) {
  Track& track = tracks_[member];
  if (track.state == State::ready && now - track.since >= settings_.restart_longest) track.deaths = 0;
  const Duration wait = back_off(track.deaths++);
  track.state = State::waiting;
  track.deadline = now + wait;
  out.push_back({Kind::say, 0, members_[member].name + " " + why + "; restart in " + format_duration(wait)});
}

Duration Supervision::back_off(int deaths) const {
  Duration wait = settings_.restart_first;
  for (int i = 0; i < deaths && wait < settings_.restart_longest; ++i) wait *= 2;
  return std::min(wait, settings_.restart_longest);
}

Supervision::Actions Supervision::stop(TimePoint now) {
  Actions out;
  if (stage_) {
    out.push_back({Kind::say, 0, "killing what is left"});
    kill_running(out);
    return out;
  }
  // What waits for its restart has no process.
  for (Track& track : tracks_)
    if (track.state == State::waiting) track.state = State::stopped;
  for (Track& track : tracks_) track.deadline.reset();
  stage_ = -1;
  stop_stage(now, out);
  return out;
}

/// Goes on to the next stage that has something running once the present one has nothing.
void Supervision::stop_stage(TimePoint now, Actions& out) {
  std::optional<int> lowest;
  for (std::size_t m = 0; m < members_.size(); ++m)
    if (running(m) && (!lowest || members_[m].stop_stage < *lowest)) lowest = members_[m].stop_stage;
  if (!lowest) {
    stage_deadline_.reset();
    return;
  }
  if (*lowest <= *stage_) return;
  stage_ = lowest;
  stage_deadline_ = now + settings_.stop_deadline;
  for (std::size_t m = 0; m < members_.size(); ++m) {
    if (!running(m) || members_[m].stop_stage != *lowest) continue;
    out.push_back({Kind::say, 0, members_[m].name + " drains"});
    out.push_back({Kind::terminate, m, {}});
  }
}

void Supervision::kill_running(Actions& out) const {
  for (std::size_t m = 0; m < members_.size(); ++m)
    if (running(m)) out.push_back({Kind::kill, m, {}});
}

Supervision::Actions Supervision::tick(TimePoint now) {
  Actions out;
  if (stage_) {
    if (!stage_deadline_ || now < *stage_deadline_) return out;
    stage_deadline_ =
        now + settings_.stop_deadline;  // a killed process ends soon; should it not, it is killed again
    for (std::size_t m = 0; m < members_.size(); ++m) {
      if (!running(m) || members_[m].stop_stage != *stage_) continue;
      out.push_back({Kind::say, 0,
                     members_[m].name + " did not end within " + format_duration(settings_.stop_deadline) +
                         ": killed"});
      out.push_back({Kind::kill, m, {}});
    }
    return out;
  }
  for (std::size_t m = 0; m < members_.size(); ++m) {
    Track& track = tracks_[m];
    if (!track.deadline || now < *track.deadline) continue;
    if (track.state == State::waiting) {
      out.push_back(start(m, now));
    } else {
      out.push_back({Kind::say, 0,
                     members_[m].name + " was not ready within " + format_duration(settings_.start_deadline) +
                         ": killed"});
      out.push_back({Kind::kill, m, {}});
      track.deadline = now + settings_.start_deadline;  // its death comes as exited()
    }
  }
  return out;
}

std::optional<TimePoint> Supervision::next_deadline() const {
  std::optional<TimePoint> next = stage_deadline_;
  for (const Track& track : tracks_)
    if (track.deadline && (!next || *track.deadline < *next)) next = track.deadline;
  return next;
}

bool Supervision::running(std::size_t member) const {
  return tracks_[member].state == State::starting || tracks_[member].state == State::ready;
}

bool Supervision::finished() const {
  if (!stage_) return false;
  for (std::size_t m = 0; m < members_.size(); ++m)
    if (running(m)) return false;
  return true;
}

bool Supervision::all_ready() const {
  return std::all_of(tracks_.begin(), tracks_.end(),
                     [](const Track& track) { return track.state == State::ready; });
}

}  // namespace troupe::cli
