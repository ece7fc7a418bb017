// Devices by name: 'cpu' and 'cuda:N', checked against what this machine has.
#pragma once

#include <c10/core/Device.h>

#include <string>

namespace sam3_tracker {

// Number of CUDA devices that the loaded libtorch can use; 0 for a CPU build.
int CudaDeviceCount();

// Throws Sam3Error(kDeviceUnavailable) for a CUDA device that is not there, kInvalidArgument for another
// name.
c10::Device ParseDevice(const std::string& name);

std::string DeviceName(const c10::Device& device);

}  // namespace sam3_tracker
