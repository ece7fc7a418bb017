#include "decoder/kernels/kernels.h"

#include <ATen/Version.h>

#include <string>

namespace sam3_tracker {

const DecoderKernels* FindDecoderKernels() {
#if defined(SAM3_TRACKER_X86_KERNELS)
  const std::string capability = at::get_cpu_capability();
  if (capability == "DEFAULT" || !__builtin_cpu_supports("fma")) return nullptr;
  // The variable may name what the processor does not have.
  if (capability != "AVX2" && __builtin_cpu_supports("avx512f")) return &avx512::kDecoderKernels;
  if (__builtin_cpu_supports("avx2")) return &avx2::kDecoderKernels;
#endif
  return nullptr;
}

}  // namespace sam3_tracker
