#include "services/cli/notify.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

namespace troupe::cli {
namespace {

TEST(Notify, SendsToTheNamedSocket) {
  const std::string name = "@troupe-notify-test-" + std::to_string(::getpid());
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data() + 1, name.size() - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())),
            0);
  ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  notify_ready();
  notify_stopping();
  ::unsetenv("NOTIFY_SOCKET");
  std::array<char, 64> text{};
  EXPECT_EQ(std::string(text.data(), static_cast<std::size_t>(::recv(fd, text.data(), text.size(), 0))),
            "READY=1");
  EXPECT_EQ(std::string(text.data(), static_cast<std::size_t>(::recv(fd, text.data(), text.size(), 0))),
            "STOPPING=1");
  ::close(fd);
}

TEST(Notify, DoesNothingWithoutAListener) {
  ::unsetenv("NOTIFY_SOCKET");
  notify_ready();
  for (const std::string& bad : {std::string("@nobody-listens-here"), std::string("relative"), std::string(),
                                 std::string("@") + std::string(500, 'x')}) {
    ::setenv("NOTIFY_SOCKET", bad.c_str(), 1);
    notify_ready();
  }
  ::unsetenv("NOTIFY_SOCKET");
}

}  // namespace
}  // namespace troupe::cli
