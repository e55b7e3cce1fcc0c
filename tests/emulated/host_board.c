/* A board that is a process: the UART is stdin and stdout. */
#include "board.h"
#include "thimble_crc32.h"
#include "image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char board_name[] = "host";
uint32_t board_tick_hz = 1000000;

const char *board_counter(void)
{
    return "host";
}

/* What stands for the image: five bytes of weights, with the checksum of those that it was built with. */
static const volatile uint8_t weights[5] = {1, 2, 3, 4, 0};
__asm__(".section .data\n.balign 8\n.global image\nimage: .space 128\n.text\n");

/* The same memory under a name of which compilers do not know that it is constant. */
extern uint64_t writable_image[16] __asm__("image");

void board_init(void)
{
    image_record *const record = (image_record *)(void *)writable_image;
    *record = (image_record){.magic = 0x494D4854u, .id = "0123456789abcdef", .num_ranges = 1};
    record->ranges[0] = (image_range){(const uint8_t *)(uintptr_t)weights, sizeof weights, IMAGE_WEIGHTS, 0x37616d7bu};
    record->crc = thimble_crc32(0, record->id, sizeof *record - 8 + sizeof(image_range));
}

uint64_t board_ticks(void)
{
    static uint64_t ticks;
    return ticks += 7;
}

bool board_stop_requested(void)
{
    return false;
}

/* A byte 0xFF stands for lost bytes. */
int board_read(void)
{
    (void)fflush(stdout); /* whoever waits for an answer has all of it */
    int byte = getchar();
    if (byte == EOF) {
        exit(0); /* nothing more will come */
    }
    return byte == 0xFF ? BOARD_LOST : byte;
}

/* Nobody waits here: idle time is what there is between requests. */
bool board_is_idle(void)
{
    return true;
}

void board_watchdog(void) {}

void board_write(const char *bytes, size_t count)
{
    fwrite(bytes, 1, count, stdout);
}

#ifdef THIMBLE_STORE
/* Flash in a file, which THIMBLE_FLASH names: 4 KB in two slots, of which a part that is not there is erased. */
enum { SLOT_BYTES = 2048, PAGE_BYTES = 256, UNIT_BYTES = 4 };
static uint8_t flash[2 * SLOT_BYTES];

static void exchange(const char *mode)
{
    const char *name = getenv("THIMBLE_FLASH");
    FILE *file = name ? fopen(name, mode) : NULL;
    if (file) {
        size_t count = *mode == 'r' ? fread(flash, 1, sizeof flash, file) : fwrite(flash, 1, sizeof flash, file);
        (void)count, (void)fclose(file);
    }
}

__attribute__((constructor)) static void read_flash(void)
{
    memset(flash, 0xFF, sizeof flash);
    exchange("rb");
}

static bool erase(uint32_t offset)
{
    memset(flash + offset, 0xFF, PAGE_BYTES);
    exchange("wb");
    return true;
}

static bool program(uint32_t offset, const uint8_t *bytes, size_t count)
{
    memcpy(flash + offset, bytes, count);
    exchange("wb");
    return !getenv("THIMBLE_FLASH_IS_BROKEN");
}

const thimble_flash board_flash = {flash, SLOT_BYTES, PAGE_BYTES, UNIT_BYTES, erase, program};
#endif

size_t board_stack_size(void)
{
    return 4096;
}

const void *board_stack_overwritten(void)
{
    return NULL;
}

void board_fault_memory(const char *kind, const void *address)
{
    (void)address;
    printf("\nFAULT %s\n", kind);
    exit(5);
}

size_t board_stack_peak(void)
{
    return 100;
}
