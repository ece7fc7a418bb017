#include "decoder_kernels.h"

#include <ATen/Version.h>

#include <string>

namespace sam3_tracker {

const DecoderKernels* FindDecoderKernels() {
#if defined(SAM3_TRACKER_X86_KERNELS)
  const std::string capability = at::get_cpu_capability();
  if (capability == "AVX512") return &avx512::kDecoderKernels;
  if (capability == "AVX2") return &avx2::kDecoderKernels;
#endif
  return nullptr;
}

}  // namespace sam3_tracker
