#include "homeobox/io/mapped_file.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <utility>

#include "homeobox/base/error.h"

namespace hox {

// One live mapping as the signal handler sees it: free while begin is 0.
struct MappedFile::Slot {
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};
  std::atomic<bool> broken{false};
  Slot* next_free = nullptr;  // guarded by MappingTable::mutex
};

// Grows and never shrinks, so that the handler may walk it without a lock. Readers of a slot that is just being
// reused are harmless: the address they look for lies in a mapping that its reader keeps alive.
struct MappingTable {
  static constexpr std::size_t kSlotsPerBlock = 256;
  struct Block {
    std::array<MappedFile::Slot, kSlotsPerBlock> slots;
    std::atomic<Block*> next{nullptr};
  };

  std::atomic<Block*> first{nullptr};
  std::atomic<std::size_t> broken_mappings{0};
  std::mutex mutex;
  MappedFile::Slot* free = nullptr;
  // The handler that ours took the place of, then the one before. A later one may pass a fault on to ours.
  struct Previous {
    struct sigaction action;
    const Previous* older;
  };
  std::atomic<const Previous*> previous{nullptr};
  std::uintptr_t page_bytes = 0;

  // Leaked: mappings may be released, and faults happen, while static objects are destroyed.
  static MappingTable& instance() {
    static MappingTable& table = *new MappingTable;
    return table;
  }

  MappedFile::Slot* insert(std::uintptr_t begin, std::uintptr_t end) {
    const std::lock_guard lock(mutex);
    install_handler();
    if (free == nullptr) add_block();
    MappedFile::Slot* slot = std::exchange(free, free->next_free);
    slot->broken.store(false, std::memory_order_relaxed);
    slot->end.store(end, std::memory_order_relaxed);
    slot->begin.store(begin, std::memory_order_release);
    return slot;
  }

  void erase(MappedFile::Slot* slot) {
    const std::lock_guard lock(mutex);
    slot->begin.store(0, std::memory_order_release);
    slot->next_free = std::exchange(free, slot);
  }

  // Only what a signal handler may do: atomics and one system call.
  bool repair(std::uintptr_t address) noexcept {
    for (Block* block = first.load(std::memory_order_acquire); block != nullptr;
         block = block->next.load(std::memory_order_acquire)) {
      for (MappedFile::Slot& slot : block->slots) {
        const std::uintptr_t begin = slot.begin.load(std::memory_order_acquire);
        if (begin == 0 || address < begin || address >= slot.end.load(std::memory_order_relaxed)) continue;
        if (begin != slot.begin.load(std::memory_order_acquire)) continue;
        return replace_page(slot, address);
      }
    }
    return false;
  }

  bool replace_page(MappedFile::Slot& slot, std::uintptr_t address) noexcept {
    if (!slot.broken.exchange(true)) broken_mappings.fetch_add(1);
    // Not through the library's mmap(), which sanitizers replace by one that is not for signal handlers.
    return syscall(SYS_mmap, address & ~(page_bytes - 1), page_bytes, PROT_READ,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != -1;
  }

 private:
  void add_block() {
    auto* block = new Block;
    for (MappedFile::Slot& slot : block->slots) slot.next_free = std::exchange(free, &slot);
    block->next.store(first.load(std::memory_order_relaxed), std::memory_order_relaxed);
    first.store(block, std::memory_order_release);
  }

  void install_handler();
};

namespace {

// How many handlers down the line this thread's fault was passed already, while they run; one that leaves by longjmp()
// counts as running. Static thread storage, since the usual kind may allocate on first use.
__attribute__((tls_model("initial-exec"))) thread_local int passed_on = 0;

void pass_on(const MappingTable::Previous* previous, int signal, siginfo_t* info, void* context) {
  // A later handler that passes on what ours gave it must not get it again.
  for (int i = 0; i < passed_on && previous->older != nullptr; ++i) previous = previous->older;
  const struct sigaction& action = previous->action;
  if ((action.sa_flags & SA_SIGINFO) == 0 && (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)) {
    // Back to the default and return: the access faults again and ends the process as if we had never been here.
    // A signal sent by kill() does not repeat itself, so it is sent again.
    struct sigaction fallback = {};
    fallback.sa_handler = SIG_DFL;
    sigaction(signal, &fallback, nullptr);
    if (info->si_code <= 0) raise(signal);
    return;
  }
  ++passed_on;
  if ((action.sa_flags & SA_SIGINFO) != 0)
    action.sa_sigaction(signal, info, context);
  else
    action.sa_handler(signal);
  --passed_on;
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  MappingTable& table = MappingTable::instance();
  // Only a missing page is ours to repair; a machine check (BUS_MCEERR_AR) is not.
  const bool repaired = info->si_code == BUS_ADRERR && table.repair(reinterpret_cast<std::uintptr_t>(info->si_addr));
  errno = saved_errno;
  if (!repaired) pass_on(table.previous.load(), signal, info, context);
}

}  // namespace

// Puts ours in front, also of a handler that came after it (faulthandler.enable() of Python). One system call when
// it is there already, beside the mmap() of each mapping.
void MappingTable::install_handler() {
  struct sigaction current = {};
  if (sigaction(SIGBUS, nullptr, &current) == 0 && (current.sa_flags & SA_SIGINFO) != 0 &&
      current.sa_sigaction == on_bus_error)
    return;
  page_bytes = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  // Never freed: a handler may be reading it. There are as many as handlers were installed after ours.
  previous.store(new Previous{current, previous.load()});
  struct sigaction action = {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  if (sigaction(SIGBUS, &action, nullptr) != 0)
    fail<StoreError>("cannot install the handler for truncated files: {}", std::generic_category().message(errno));
}

std::shared_ptr<const MappedFile> MappedFile::map(int file_descriptor, std::size_t file_bytes,
                                                  const std::string& path) {
  if (file_bytes == 0) return std::shared_ptr<const MappedFile>(new MappedFile({}, path, nullptr));
  void* address = mmap(nullptr, file_bytes, PROT_READ, MAP_SHARED, file_descriptor, 0);
  if (address == MAP_FAILED) {
    const int error = errno;
    fail<StoreError>("{}: cannot map {} bytes: {}", path, file_bytes, std::generic_category().message(error));
  }
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  Slot* slot = nullptr;
  try {
    slot = MappingTable::instance().insert(begin, begin + file_bytes);
    const std::span<const std::byte> bytes(static_cast<const std::byte*>(address), file_bytes);
    return std::shared_ptr<const MappedFile>(new MappedFile(bytes, path, slot));
  } catch (...) {
    if (slot != nullptr) MappingTable::instance().erase(slot);
    munmap(address, file_bytes);
    throw;
  }
}

MappedFile::~MappedFile() {
  if (slot_ == nullptr) return;
  // Unmap last: while the addresses are ours, no new mapping can have them, so the slot cannot match a stranger.
  MappingTable::instance().erase(slot_);
  munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

bool MappedFile::broken() const noexcept { return slot_ != nullptr && slot_->broken.load(); }

std::size_t MappedFile::broken_mappings() noexcept { return MappingTable::instance().broken_mappings.load(); }

namespace {
std::atomic<std::size_t> mappings_taken{0};
}  // namespace

std::optional<MappingQuota> MappingQuota::take(std::uint64_t n) noexcept {
  std::size_t taken = mappings_taken.load();
  do {
    if (n > kMappings - taken) return std::nullopt;
  } while (!mappings_taken.compare_exchange_weak(taken, taken + n));
  return MappingQuota(n);
}

MappingQuota::~MappingQuota() { mappings_taken.fetch_sub(n_); }

}  // namespace hox
