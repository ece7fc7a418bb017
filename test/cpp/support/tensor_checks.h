// What the tests of masks count and compare.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

namespace sam3_tracker {

inline int failures = 0;
inline int checks = 0;

inline void Check(bool condition, const std::string& what) {
  ++checks;
  if (condition) return;
  ++failures;
  std::cerr << "FAILED: " << what << "\n";
}

// For the end of main.
inline int ReportChecks() {
  std::cout << checks - failures << " of " << checks << " checks passed\n";
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

// Same dtype, same dims, same values; NaN equals NaN.
inline bool Same(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() &&
         (at::eq(a, b) | (at::ne(a, a) & at::ne(b, b))).all().item<bool>();
}

inline int64_t Random(int64_t low, int64_t high) { return at::randint(low, high + 1, {1}).item<int64_t>(); }

}  // namespace sam3_tracker
