#pragma once

#include <cstdint>

namespace sam3_tracker {

// Which connected components to rewrite, and to what. Areas are counts of pixels of the mask as given.
template <typename T>
struct ComponentLimits {
  // Pixels above it are foreground, pixels at or below it background; NaN is neither.
  T threshold;
  // Background components of at most this area become `hole_value`; 0 or less leaves them.
  double max_hole_area;
  T hole_value;
  // Foreground components of at most this area become `sprinkle_value`; 0 or less leaves them.
  double max_sprinkle_area;
  T sprinkle_value;
};

// Fills small holes and removes small sprinkles of one (height, width) row-major mask of logits in place.
// Components are 8-connected and found on the original logits, as in Meta's SAM2 predictor.
template <typename T>
void FillHolesAndRemoveSprinkles(T* mask, int64_t height, int64_t width, const ComponentLimits<T>& limits);

extern template void FillHolesAndRemoveSprinkles<float>(float*, int64_t, int64_t,
                                                        const ComponentLimits<float>&);
extern template void FillHolesAndRemoveSprinkles<double>(double*, int64_t, int64_t,
                                                         const ComponentLimits<double>&);

}  // namespace sam3_tracker
