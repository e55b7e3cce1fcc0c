// Sessions in C++17: no exceptions, no heap. thimble_session.h says what each call does.
#ifndef THIMBLE_HPP
#define THIMBLE_HPP

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "thimble_session.h"

namespace thimble
{

enum class Status : std::int32_t {
    ok = THIMBLE_OK,
    bad_memory = THIMBLE_BAD_MEMORY,
    bad_token = THIMBLE_BAD_TOKEN,
    context_full = THIMBLE_CONTEXT_FULL,
    failed = THIMBLE_FAILED,
    no_tokens = THIMBLE_NO_TOKENS,
    bad_text = THIMBLE_BAD_TEXT,
    long_text = THIMBLE_LONG_TEXT,
    bad_option = THIMBLE_BAD_OPTION,
    more = THIMBLE_MORE,
    end_of_answer = THIMBLE_END_OF_ANSWER,
    end_length = THIMBLE_END_LENGTH,
    end_context = THIMBLE_END_CONTEXT,
    cancelled = THIMBLE_CANCELLED,
};

inline std::string_view name(Status status)
{
    return thimble_status_name(static_cast<thimble_status>(status));
}

/// Whether there is an answer, whole or up to a limit.
constexpr bool has_answer(Status status)
{
    return status == Status::end_of_answer || status == Status::end_length || status == Status::end_context;
}

/// A session with its memory, `Bytes` as THIMBLE_<NAME>_SESSION_BYTES(text_bytes) gives it. It stays where it is.
template <std::size_t Bytes> class Session
{
  public:
    explicit Session(const thimble_model &model)
        : status_(static_cast<Status>(thimble_session_init(&session_, &model, memory_, sizeof memory_)))
    {
    }

    ~Session()
    {
        cancel();
    }

    Session(const Session &) = delete;
    Session &operator=(const Session &) = delete;

    /// Of the construction: ok or bad_memory. After bad_memory nothing else may be called.
    Status status() const
    {
        return status_;
    }

    Status sample(const thimble_sampling &sampling)
    {
        return static_cast<Status>(thimble_session_sample(&session_, &sampling));
    }

    /// Tokens of an answer, at most; 0: no limit but the context's.
    void limit(std::uint32_t tokens)
    {
        session_.max_new = tokens;
    }

    Status begin(std::string_view text)
    {
        return static_cast<Status>(thimble_session_begin(&session_, text.data(), text.size()));
    }

    /// `piece` is what the answer goes on with; it stays valid.
    Status step(std::string_view &piece)
    {
        thimble_view view{nullptr, 0};
        const Status status = static_cast<Status>(thimble_session_step(&session_, &view));
        piece = std::string_view(view.start, view.length);
        return status;
    }

    /// From anywhere, an interrupt too.
    void cancel()
    {
        thimble_session_cancel(&session_);
    }

    /// Asks and waits; `answer` views the text in `memory`.
    template <std::size_t Capacity>
    Status ask(std::string_view text, char (&memory)[Capacity], std::string_view &answer)
    {
        const thimble_status status = thimble_session_ask(&session_, text.data(), text.size(), memory, Capacity);
        answer = std::string_view(memory);
        return static_cast<Status>(status);
    }

#ifdef THIMBLE_INTENTS_H
    /// Asks and waits; `result` says what is to be done, and stays until the next text.
    Status understand(std::string_view text, thimble_result &result)
    {
        return static_cast<Status>(thimble_session_understand(&session_, text.data(), text.size(), &result));
    }
#endif

    /// For the calls that are not here.
    thimble_session &c()
    {
        return session_;
    }

  private:
    alignas(16) unsigned char memory_[Bytes];
    thimble_session session_;
    Status status_;
};

} // namespace thimble

#endif
