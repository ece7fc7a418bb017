// The JavaScript handle to an at::Tensor.
#pragma once

#include <ATen/core/Tensor.h>
#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "addon/external_memory.h"

namespace sam3_tracker {

class TensorObject final : public Napi::ObjectWrap<TensorObject> {
 public:
  static Napi::Function Define(Napi::Env env);

  // Wraps a tensor. JS thread only.
  static Napi::Value Wrap(Napi::Env env, const at::Tensor& tensor);
  static Napi::Array WrapList(Napi::Env env, const std::vector<at::Tensor>& tensors);

  // The tensor behind a JavaScript value; throws a TypeError that names `name` for anything that is not one
  // of our handles (checked by type tag), and a DISPOSED error after dispose().
  static at::Tensor FromValue(const Napi::Value& value, const std::string& name);

  explicit TensorObject(const Napi::CallbackInfo& info);
  ~TensorObject() override;

 private:
  Napi::Value Dims(const Napi::CallbackInfo& info);
  Napi::Value Strides(const Napi::CallbackInfo& info);
  Napi::Value DType(const Napi::CallbackInfo& info);
  Napi::Value Device(const Napi::CallbackInfo& info);
  Napi::Value Disposed(const Napi::CallbackInfo& info);
  Napi::Value Bytes(const Napi::CallbackInfo& info);
  void Write(const Napi::CallbackInfo& info);
  Napi::Value View(const Napi::CallbackInfo& info);
  Napi::Value To(const Napi::CallbackInfo& info);
  void Dispose(const Napi::CallbackInfo& info);

  void Hold(const at::Tensor& tensor);
  void Release();
  const at::Tensor& Get(Napi::Env env) const;

  at::Tensor tensor_;
  // A handle may outlive its environment's data.
  std::shared_ptr<ExternalMemory> external_memory_;
};

}  // namespace sam3_tracker
