#pragma once

#include <chrono>

namespace sam3_tracker {

// Where time goes: each lap begins where the last one ended.
class Stopwatch {
 public:
  // Seconds since the last lap, or since it was made.
  double Lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace sam3_tracker
