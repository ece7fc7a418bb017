// Calls of libtorch's operators by name: runtime/operators.h for JavaScript.
#pragma once

#include <ATen/core/Tensor.h>
#include <napi.h>

namespace sam3_tracker {

// A view of a tensor after steps, each [name, arguments without self]. Throws for an operator that computes.
at::Tensor ViewOf(const at::Tensor& tensor, const Napi::Value& steps);

// callOperator(name, arguments): a promise of all results.
Napi::Value CallOperatorJob(const Napi::CallbackInfo& info);

}  // namespace sam3_tracker
