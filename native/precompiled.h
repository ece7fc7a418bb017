// The heavy headers, compiled once.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>
