/*
 * Looks at a counter that grows each second, and says how far its seconds are from Linux' own.
 *
 *     ticks ADDRESS SECONDS
 *
 * Reads it fifty times a second, and tells two things in milliseconds. How far the two have gone apart: the least late of
 * the last five seconds beside the least late of the first five, for a reading may be late when others have the CPU, and
 * none is early. And how late the latest was.
 *
 * Ends with 0, or 2 for wrong arguments or a machine without /dev/mem.
 */
#include "location.h"
#include <stdlib.h>

int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: ticks ADDRESS SECONDS\n");
        return 2;
    }
    volatile uint32_t *location = location_at(strtoull(arguments[1], NULL, 0));
    uint32_t seconds = strtoul(arguments[2], NULL, 0);
    if (location == NULL)
        return 2;
    struct timespec rest = {.tv_nsec = 20000000};
    uint32_t last = *location, first = last;
    double began = 0, first_five = 1e9, last_five = 1e9, latest = 0;
    while (began == 0 || last - first < seconds) {
        nanosleep(&rest, NULL);
        uint32_t value = *location;
        double at = now() / 1e6;
        if (value == last)
            continue;
        last = value;
        if (began == 0) {
            first = value;
            began = at;
        }
        uint32_t passed = value - first;
        double late = at - began - passed * 1e3;
        if (passed < 5 && late < first_five)
            first_five = late;
        if (passed + 5 > seconds && late < last_five)
            last_five = late;
        if (late > latest)
            latest = late;
    }
    double apart = last_five < first_five ? first_five - last_five : last_five - first_five;
    printf("ticks: %u seconds, %.0f ms from Linux' own, seen %.0f ms late at most\n", seconds, apart, latest - first_five);
    return 0;
}
