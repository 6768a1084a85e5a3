/*
 * Looks at a counter that grows each second, and says how far its seconds are from Linux' own.
 *
 *     ticks ADDRESS SECONDS
 *
 * Reads it fifty times a second. From the first time that it grows on, its Nth second after that should be seen N
 * seconds later; the largest difference is told, in milliseconds. A reading is up to 20 ms late.
 *
 * Ends with 0, or 2 for wrong arguments or a machine without /dev/mem.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: ticks ADDRESS SECONDS\n");
        return 2;
    }
    uint64_t address = strtoull(arguments[1], NULL, 0);
    uint32_t seconds = strtoul(arguments[2], NULL, 0);
    uint64_t page = sysconf(_SC_PAGESIZE);
    int memory = open("/dev/mem", O_RDWR | O_SYNC);
    if (memory < 0) {
        perror("/dev/mem");
        return 2;
    }
    uint8_t *mapped = mmap(NULL, page, PROT_READ, MAP_SHARED, memory, address / page * page);
    if (mapped == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    volatile uint32_t *location = (volatile uint32_t *)(mapped + address % page);
    struct timespec rest = {.tv_nsec = 20000000};
    uint32_t last = *location, first = last;
    double began = 0, worst = 0;
    while (began == 0 || last - first < seconds) {
        nanosleep(&rest, NULL);
        uint32_t value = *location;
        double at = now();
        if (value == last)
            continue;
        last = value;
        if (began == 0) {
            first = value;
            began = at;
        }
        double difference = at - began - (value - first) * 1e3;
        difference = difference < 0 ? -difference : difference;
        worst = difference > worst ? difference : worst;
    }
    printf("ticks: %u seconds, at most %.0f ms from Linux' own\n", seconds, worst);
    return 0;
}
