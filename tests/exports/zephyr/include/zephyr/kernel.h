/* Of Zephyr's kernel nothing is called. */
