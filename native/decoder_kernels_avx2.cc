// The decoder's kernels for processors with AVX2. Includes no header with functions that other files share:
// the linker might take theirs from here.
#include "image_walk.h"
#include "mask_upscaling.h"

namespace sam3_tracker::avx2 {

const DecoderKernels kDecoderKernels = {WalkImage, UpscaleMasks};

}  // namespace sam3_tracker::avx2
