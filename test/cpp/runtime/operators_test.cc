// Compares operators that are called by name with libtorch's own functions, and tries what is refused. Exits
// with the number of failures, each of which it prints.
#include "runtime/operators.h"

#include <ATen/ATen.h>

#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "runtime/error.h"

namespace {

using sam3_tracker::CallOperator;
using sam3_tracker::ErrorCode;
using sam3_tracker::FindOperator;
using sam3_tracker::IsView;
using sam3_tracker::Sam3Error;

int failures = 0;

void Check(bool condition, const std::string& what) {
  if (condition) return;
  ++failures;
  std::cout << "FAILED: " << what << "\n";
}

void CheckRefused(const std::function<void()>& call, const std::string& what) {
  try {
    call();
  } catch (const Sam3Error& error) {
    Check(error.code() == ErrorCode::kInvalidArgument, what + " has the code of a refused argument");
    return;
  }
  Check(false, what + " is refused");
}

at::Tensor Call(const std::string& name, std::vector<c10::IValue> arguments) {
  return CallOperator(FindOperator(name), std::move(arguments)).at(0);
}

}  // namespace

int main() {
  const at::Tensor a = at::arange(6, at::kFloat).reshape({2, 3});
  const at::Tensor column = at::full({2, 1}, 2.0F);

  Check(Call("add.Tensor", {a, column, c10::Scalar(1)}).equal(a + column), "add");
  Check(Call("cat", {std::vector<at::Tensor>{a, a}, 1}).equal(at::cat({a, a}, 1)), "cat of a list");
  Check(Call("clamp", {a, c10::IValue(), c10::Scalar(3)}).equal(a.clamp_max(3)), "clamp without a bound");
  const std::vector<at::Tensor> best = CallOperator(FindOperator("topk"), {a, 2, -1, true, true});
  Check(best.size() == 2 && best[0].equal(std::get<0>(a.topk(2))), "topk has two results");

  const at::Tensor row = Call("select.int", {a, 0, 1});
  Check(row.is_alias_of(a) && row.equal(a[1]), "select shares memory");
  for (const char* name : {"flatten.using_ints", "permute", "reshape", "select.int", "slice.Tensor",
                           "squeeze.dims", "transpose.int", "unsqueeze", "view"})
    Check(IsView(FindOperator(name)), std::string(name) + " is a view");
  for (const char* name : {"add.Tensor", "cat", "clone", "topk"})
    Check(!IsView(FindOperator(name)), std::string(name) + " is no view");

  CheckRefused([] { FindOperator("add_.Tensor"); }, "an operator that is not in the list");
  CheckRefused([] { FindOperator("aten::add.Tensor"); }, "a name with its namespace");
  CheckRefused([&] { Call("add.Tensor", {a, at::ones({4}), c10::Scalar(1)}); },
               "a tensor that does not broadcast");
  CheckRefused([&] { Call("mean.dim", {at::ones({2}, at::kLong), c10::IValue(), false, c10::IValue()}); },
               "a mean of integers");
  std::cout << (failures == 0 ? "operators: all right\n" : "");
  return failures;
}
