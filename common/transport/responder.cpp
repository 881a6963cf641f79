#include <utility>

#include "common/base/check.h"
#include "common/protocol/payload.h"
#include "common/transport/server.h"

namespace tributary {

Responder& Responder::operator=(Responder&& other) noexcept {
  if (this != &other) {
    if (target_) close();
    target_ = std::move(other.target_);
    ticket_ = other.ticket_;
  }
  return *this;
}

Responder::~Responder() {
  if (target_) close();
}

void Responder::respond(Payload answer) {
  CHECK(target_, "a request is answered once");
  std::exchange(target_, nullptr)->respond(ticket_, std::move(answer));
}

void Responder::no_answer() {
  CHECK(target_, "a request is answered once");
  std::exchange(target_, nullptr)->no_answer(ticket_);
}

void Responder::close() {
  CHECK(target_, "a request is answered once");
  std::exchange(target_, nullptr)->close(ticket_);
}

void Responder::watch_connection(std::function<void()> ended) {
  CHECK(target_, "a request that is still to be answered");
  target_->watch_connection(std::move(ended));
}

}  // namespace tributary
