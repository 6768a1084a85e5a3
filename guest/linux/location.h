/* A location of the machine's memory, from user space, and the time. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Linux' monotonic clock, in nanoseconds. */
static inline int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* The word at a physical address, by /dev/mem; NULL, and why on standard error, if it cannot be had. */
static inline volatile uint32_t *location_at(uint64_t address)
{
    uint64_t page = sysconf(_SC_PAGESIZE);
    int memory = open("/dev/mem", O_RDWR | O_SYNC);
    if (memory < 0) {
        perror("/dev/mem");
        return NULL;
    }
    uint8_t *mapped = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, memory, address / page * page);
    if (mapped == MAP_FAILED) {
        perror("mmap");
        return NULL;
    }
    return (volatile uint32_t *)(mapped + address % page);
}
