/* The flash controller of nRF51 and nRF52, NVMC (nRF51 reference manual 3.0, 6; nRF52840 product specification 1.7,
 * 4.3): the end of flash keeps what outlives a loss of power. The processor stands still meanwhile: up to 22 ms a page
 * of the nRF51, 85 ms of the nRF52. */
#include "board.h"

#ifdef THIMBLE_STORE
#include "cortex_m.h"

#define NVMC_READY REGISTER(0x4001E400u)
#define NVMC_CONFIG REGISTER(0x4001E504u)
#define NVMC_ERASEPAGE REGISTER(0x4001E508u)

enum { CONFIG_READ, CONFIG_WRITE, CONFIG_ERASE };
enum { UNIT_BYTES = 4 };

static void wait_until_ready(void)
{
    while ((NVMC_READY & 1u) == 0) {
    }
}

static void configure(uint32_t mode)
{
    NVMC_CONFIG = mode;
    wait_until_ready();
}

static bool erase(uint32_t offset)
{
    configure(CONFIG_ERASE);
    NVMC_ERASEPAGE = BOARD_STORE_ADDRESS + offset;
    wait_until_ready();
    configure(CONFIG_READ);
    return true;
}

static bool program(uint32_t offset, const uint8_t *bytes, size_t count)
{
    configure(CONFIG_WRITE);
    for (size_t i = 0; i < count; i += UNIT_BYTES) {
        REGISTER(BOARD_STORE_ADDRESS + offset + i) = (uint32_t)bytes[i] | (uint32_t)bytes[i + 1] << 8 |
                                                     (uint32_t)bytes[i + 2] << 16 | (uint32_t)bytes[i + 3] << 24;
        wait_until_ready();
    }
    configure(CONFIG_READ);
    return true;
}

const thimble_flash board_flash = {
    .start = (const uint8_t *)(uintptr_t)BOARD_STORE_ADDRESS,
    .slot_bytes = BOARD_STORE_SLOT_BYTES,
    .page_bytes = BOARD_STORE_PAGE_BYTES,
    .unit_bytes = UNIT_BYTES,
    .erase = erase,
    .program = program,
};
#endif
