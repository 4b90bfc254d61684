#include "nn/training/interrupts.h"

#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdio>

namespace wengert::nn {
namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM};

std::atomic<bool> delaying{false};  // whether an object lives
std::atomic<int> pending{0};        // the signal that has come
static_assert(std::atomic<int>::is_always_lock_free, "as a signal handler needs it");
std::array<struct sigaction, kSignals.size()> previous;

void put_back(std::size_t i) { ::sigaction(kSignals[i], &previous[i], nullptr); }

extern "C" void note_signal(int signal) {
  int none = 0;
  if (pending.compare_exchange_strong(none, signal)) return;
  for (std::size_t i = 0; i < kSignals.size(); ++i) put_back(i);
  ::raise(signal);  // takes effect when this handler returns, because the signal is blocked here
}

}  // namespace

DelayedInterrupts::DelayedInterrupts() : outermost_(!delaying.exchange(true)) {
  if (!outermost_) return;
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals[i], nullptr, &previous[i]);
    if (previous[i].sa_handler != SIG_IGN) ::sigaction(kSignals[i], &action, nullptr);
  }
}

DelayedInterrupts::~DelayedInterrupts() {
  if (!outermost_) return;
  deliver();
  for (std::size_t i = 0; i < kSignals.size(); ++i) put_back(i);
  delaying = false;
}

bool DelayedInterrupts::requested() const { return pending != 0; }

const char* DelayedInterrupts::name() const {
  const int signal = pending;
  return signal == SIGINT ? "SIGINT" : signal == SIGTERM ? "SIGTERM" : "";
}

void DelayedInterrupts::deliver() {
  const int signal = pending.exchange(0);
  if (signal == 0) return;
  std::fflush(nullptr);
  const std::size_t i = signal == kSignals[0] ? 0 : 1;
  struct sigaction own {};
  ::sigaction(signal, &previous[i], &own);
  ::raise(signal);
  ::sigaction(signal, &own, nullptr);
}

}  // namespace wengert::nn
