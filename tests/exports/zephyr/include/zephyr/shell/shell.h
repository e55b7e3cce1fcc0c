/* Of Zephyr's shell: a command that runs with "turn on the lamp" split at its spaces, before main. */
#include <stddef.h>
#include <stdio.h>

struct shell {
    FILE *file;
};

#define SHELL_NORMAL 0
#define shell_fprintf(shell, colour, ...) fprintf((shell)->file, __VA_ARGS__)
#define SHELL_CMD_ARG_REGISTER(name, sub, help, handler, mandatory, optional) \
    __attribute__((constructor)) static void shell_command_##name(void)       \
    {                                                                         \
        static char *argv[] = {#name, "turn", "on", "the", "desk", "lamp"};   \
        static const struct shell shell_backend = {0};                        \
        struct shell shell = shell_backend;                                   \
        shell.file = stdout;                                                  \
        (void)handler(&shell, 6, argv);                                       \
    }
