// libtorch's operators by name, with libtorch's own signatures. Only those in the list of operators.cc.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include <string>
#include <vector>

namespace sam3_tracker {

// The operator of a name as in native_functions.yaml, without "aten::". Throws Sam3Error(kInvalidArgument)
// for one that is not in the list.
const c10::OperatorHandle& FindOperator(const std::string& name);

// Whether it looks at its argument's elements under other dims, as its schema says: it computes nothing, but
// `reshape` copies where strides need it.
bool IsView(const c10::OperatorHandle& op);

// Calls an operator with all its arguments in the schema's order. What libtorch refuses becomes
// Sam3Error(kInvalidArgument): the caller chose the arguments.
std::vector<at::Tensor> CallOperator(const c10::OperatorHandle& op, std::vector<c10::IValue> arguments);

}  // namespace sam3_tracker
