// The decoder's kernels for processors with AVX2. Includes no header with functions that other files share:
// the linker might take theirs from here.
#include "decoder/kernels/output_upscaling.h"
#include "decoder/kernels/two_way_attention.h"

namespace sam3_tracker::avx2 {

const DecoderKernels kDecoderKernels = {TwoWayAttention, OutputUpscaling};

}  // namespace sam3_tracker::avx2
