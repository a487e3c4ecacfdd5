#include "services/cli/supervisor.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <ostream>

#include "common/base/ids.hpp"
#include "services/cli/supervision.hpp"

namespace troupe::cli {
namespace {

struct Descriptor {
  int fd = -1;
  Descriptor() = default;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

tl::unexpected<Error> system_error(std::string_view what) {
  return fail(Errc::io_failed, std::string(what) + ": " + std::strerror(errno));
}

/// Takes the signals as a descriptor while it lives.
class SignalSource {
 public:
  Expected<void> open() {
    sigset_t wanted;
    ::sigemptyset(&wanted);
    for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&wanted, number);
    if (::sigprocmask(SIG_BLOCK, &wanted, &before_) != 0) return system_error("sigprocmask");
    blocked_ = true;
    file_.fd = ::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    if (file_.fd < 0) return system_error("signalfd");
    return {};
  }
  ~SignalSource() {
    if (blocked_) ::sigprocmask(SIG_SETMASK, &before_, nullptr);
  }
  [[nodiscard]] int fd() const { return file_.fd; }
  /// The next signal's number, 0 when there is none.
  [[nodiscard]] int next() const {
    signalfd_siginfo info{};
    return ::read(file_.fd, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
  }

 private:
  Descriptor file_;
  sigset_t before_{};
  bool blocked_ = false;
};

/// The listening end of notify.hpp: an abstract socket, so nothing stays on disk; the kernel says who sent.
class ReadySource {
 public:
  Expected<void> open() {
    name_ = "@troupe-" + to_hex(random_id<NodeId>());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name_.data() + 1, name_.size() - 1);
    file_.fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;
    if (file_.fd < 0 || ::setsockopt(file_.fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0)
      return system_error("socket");
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
    if (::bind(file_.fd, reinterpret_cast<const sockaddr*>(&address), size) != 0) return system_error("bind");
    return {};
  }
  [[nodiscard]] int fd() const { return file_.fd; }
  [[nodiscard]] const std::string& name() const { return name_; }

  /// The process that said READY=1; 0 for another message; -1 when there is none.
  [[nodiscard]] pid_t next() const {
    std::array<char, 256> text{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control{};
    iovec part{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = ::recvmsg(file_.fd, &message, 0);
    if (got < 0) return -1;
    if (std::string_view(text.data(), static_cast<std::size_t>(got)).find("READY=1") ==
        std::string_view::npos)
      return 0;
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_type != SCM_CREDENTIALS) return 0;
    ucred sender{};
    std::memcpy(&sender, CMSG_DATA(header), sizeof sender);
    return sender.pid;
  }

 private:
  Descriptor file_;
  std::string name_;
};

Supervision::Settings settings_of(const Config& config) {
  Supervision::Settings settings;
  settings.start_deadline = config.duration("supervisor.start_deadline");
  settings.restart_first = config.duration("supervisor.restart_first");
  settings.restart_longest = config.duration("supervisor.restart_longest");
  // A process ends by itself at the drain's deadline; the rest is for unwinding.
  settings.stop_deadline = config.duration("drain.deadline") + std::chrono::seconds(5);
  return settings;
}

std::vector<Supervision::Member> members_of(const ClusterPlan& plan) {
  std::vector<Supervision::Member> members;
  for (const ProcessPlan& process : plan.processes)
    members.push_back({process.name, process.place,
                       process.role == "gateway"  ? 0
                       : process.role == "router" ? 2
                                                  : 1});
  return members;
}

class Supervisor {
 public:
  Supervisor(const ClusterPlan& plan, const SupervisorOptions& options, std::ostream& out)
      : plan_(plan),
        options_(options),
        out_(out),
        logic_(members_of(plan), settings_of(plan.supervisor)),
        pids_(plan.processes.size(), 0) {}

  /// On any way out nothing is left running.
  ~Supervisor() {
    for (const pid_t pid : pids_)
      if (pid > 0) ::kill(pid, SIGKILL);
    for (const pid_t pid : pids_)
      if (pid > 0) ::waitpid(pid, nullptr, 0);
  }
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  Expected<int> run() {
    TROUPE_TRY(signals_.open());
    TROUPE_TRY(ready_.open());
    child_options_.environment = options_.environment;
    std::erase_if(child_options_.environment, [](const auto& pair) {
      return pair.first == "NOTIFY_SOCKET" || pair.first == "TROUPE_CONFIG";
    });
    child_options_.environment.emplace_back("NOTIFY_SOCKET", ready_.name());
    child_options_.own_group = true;
    carry_out(logic_.begin(clock_.now()));
    while (!logic_.finished()) {
      TROUPE_TRY(wait());
      take_ready();  // before the deaths: who said ready and died did become ready
      take_signals();
      carry_out(logic_.tick(clock_.now()));
    }
    return logic_.exit_code();
  }

 private:
  Expected<void> wait() const {
    int limit = -1;
    if (const auto next = logic_.next_deadline()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - clock_.now());
      limit = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
    }
    std::array<pollfd, 2> fds{{{signals_.fd(), POLLIN, 0}, {ready_.fd(), POLLIN, 0}}};
    if (::poll(fds.data(), fds.size(), limit) < 0 && errno != EINTR) return system_error("poll");
    return {};
  }

  void take_ready() {
    for (pid_t pid = ready_.next(); pid >= 0; pid = ready_.next()) {
      const auto at = std::find(pids_.begin(), pids_.end(), pid);
      if (pid == 0 || at == pids_.end()) continue;
      const auto actions = logic_.ready(static_cast<std::size_t>(at - pids_.begin()), clock_.now());
      carry_out(actions);
      if (!actions.empty() && logic_.all_ready() && options_.on_all_ready) options_.on_all_ready();
    }
  }

  void take_signals() {
    for (int number = signals_.next(); number != 0; number = signals_.next())
      if (number != SIGCHLD) carry_out(logic_.stop(clock_.now()));
    // Several deaths may come as one signal, so every process is asked.
    for (std::size_t m = 0; m < pids_.size(); ++m) {
      int status = 0;
      if (pids_[m] <= 0 || ::waitpid(pids_[m], &status, WNOHANG) != pids_[m]) continue;
      pids_[m] = 0;
      carry_out(logic_.exited(m, exit_status(status), clock_.now()));
    }
  }

  void carry_out(const Supervision::Actions& actions) {
    for (const Supervision::Action& action : actions) {
      switch (action.kind) {
        case Supervision::Action::Kind::say:
          out_ << action.text << "\n" << std::flush;
          break;
        case Supervision::Action::Kind::start:
          start(action.member);
          break;
        case Supervision::Action::Kind::terminate:
          signal(action.member, SIGTERM);
          break;
        case Supervision::Action::Kind::kill:
          signal(action.member, SIGKILL);
          break;
      }
    }
  }

  void signal(std::size_t member, int number) const {
    if (pids_[member] > 0) ::kill(pids_[member], number);
  }

  void start(std::size_t member) {
    const ProcessPlan& process = plan_.processes[member];
    std::vector<std::string> arguments = process.arguments;
    arguments.insert(arguments.begin(), options_.executable);
    const auto pid = start_child(arguments, child_options_);
    if (pid) {
      pids_[member] = *pid;
      out_ << process.name << " starts: pid " << *pid << "\n" << std::flush;
      return;
    }
    out_ << process.name << ": " << troupe::to_string(pid.error()) << "\n" << std::flush;
    carry_out(logic_.exited(member, ExitStatus{failed, 0}, clock_.now()));
  }

  const ClusterPlan& plan_;
  const SupervisorOptions& options_;
  std::ostream& out_;
  SteadyClock clock_;
  Supervision logic_;
  std::vector<pid_t> pids_;  ///< 0: no process
  ChildOptions child_options_;
  SignalSource signals_;
  ReadySource ready_;
};

}  // namespace

std::string own_executable() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  // An executable that was replaced while we run has no name any more, yet still starts through the link.
  if (error || !std::filesystem::exists(path, error)) return "/proc/self/exe";
  return path.string();
}

Expected<int> run_supervisor(const ClusterPlan& plan, const SupervisorOptions& options, std::ostream& out) {
  return Supervisor(plan, options, out).run();
}

}  // namespace troupe::cli
