// The same through the C++ header.
#include "tiny_intents.h"
#include "tiny_text.h"

#include "thimble.hpp"

#include <cstdio>
#include <string_view>
#include <type_traits>

using Intents = thimble::Session<THIMBLE_TINY_INTENTS_SESSION_BYTES(200)>;
using Text = thimble::Session<THIMBLE_TINY_TEXT_SESSION_BYTES(200)>;
static_assert(!std::is_copy_constructible_v<Intents> && !std::is_move_assignable_v<Intents>);

static Intents intents(thimble_the_tiny_intents);
static Text text(thimble_the_tiny_text);

int main(int count, char **arguments)
{
    if (count != 3 || intents.status() != thimble::Status::ok || text.status() != thimble::Status::ok) {
        return 1;
    }
    char memory[400];
    std::string_view answer;
    thimble_result result;
    const thimble::Status asked = intents.ask(arguments[1], memory, answer);
    std::printf("%s %.*s\n", name(asked).data(), static_cast<int>(answer.size()), answer.data());
    const thimble::Status understood = intents.understand(arguments[1], result);
    std::printf("%s %u %s\n", name(understood).data(), result.confidence, has_answer(understood) ? "yes" : "no");
    text.limit(12);
    thimble::Status status = text.begin(arguments[2]);
    while (status == thimble::Status::more) {
        std::string_view piece;
        status = text.step(piece);
        std::printf("%.*s", static_cast<int>(piece.size()), piece.data());
    }
    std::printf("\n%s\n", name(status).data());
    text.cancel();
    (void)text.begin("x");
    text.cancel();
    std::string_view piece;
    std::printf("%s\n", name(text.step(piece)).data());
    return 0;
}
