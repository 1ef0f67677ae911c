// How many CPUs the kernel lets this process use.
//
// std::thread::hardware_concurrency() knows the affinity mask but not the quota of a container, where more threads
// than CPUs get throttled as a group and stall each other.

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "homeobox/base/runtime.h"

namespace hox {
namespace {

std::size_t cpus_in_affinity_mask() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  // Fails on machines with more CPUs than the mask has bits.
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) return static_cast<std::size_t>(CPU_COUNT(&mask));
  return std::thread::hardware_concurrency();
}

// cpu.max holds "QUOTA PERIOD" in microseconds, or "max PERIOD".
std::optional<std::size_t> cpus_in_quota(const std::string& directory) {
  std::ifstream file(directory + "/cpu.max");
  double quota = 0;
  double period = 0;
  if (!(file >> quota >> period) || quota <= 0 || period <= 0) return std::nullopt;
  return static_cast<std::size_t>(std::ceil(quota / period));
}

// The path of this process in the v2 hierarchy, "/" in a container with its own cgroup namespace.
std::string cgroup_path() {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("0::")) return line.substr(3);
  return "/";
}

}  // namespace

std::size_t available_cpus() {
  std::size_t cpus = cpus_in_affinity_mask();
  // A parent's quota binds its children, so every level counts.
  for (std::string path = cgroup_path();;) {
    if (const auto quota = cpus_in_quota("/sys/fs/cgroup" + path)) cpus = std::min(cpus, *quota);
    const std::size_t slash = path.rfind('/');
    if (path.size() <= 1 || slash == std::string::npos) break;
    path.resize(slash);
  }
  return std::max<std::size_t>(cpus, 1);
}

}  // namespace hox
