/*
 * Accesses a 32-bit location of the machine as fast as it can, from user space, and checks each value.
 *
 *     accesses ADDRESS COUNT
 *
 * Every second access writes a number of its own, the next one reads it back: at that moment the counter
 * is what was written, and at most the seconds later that have gone by since.
 *
 * Ends with 0 if every value was right, 1 if one was not, 2 for wrong arguments or a machine without
 * /dev/mem.
 */
#include "location.h"
#include <stdlib.h>

int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: accesses ADDRESS COUNT\n");
        return 2;
    }
    volatile uint32_t *location = location_at(strtoull(arguments[1], NULL, 0));
    uint64_t accesses = strtoull(arguments[2], NULL, 0);
    if (location == NULL)
        return 2;
    uint64_t wrong = 0;
    uint64_t first_wrong = 0;
    int64_t begun = now();
    for (uint64_t done = 0; done + 1 < accesses; done += 2) {
        uint32_t written = (uint32_t)done * 16;
        int64_t before = now();
        *location = written;
        uint32_t read = *location;
        /* The second that is under way counts as a whole one. */
        uint32_t seconds = (uint32_t)((now() - before) / 1000000000) + 1;
        if (read - written > seconds) {
            if (wrong++ == 0)
                first_wrong = done;
        }
    }
    if (accesses % 2)
        (void)*location;
    if (wrong)
        printf("accesses: the first wrong one was number %llu\n", (unsigned long long)first_wrong);
    printf("accesses: %llu in %lld ms, wrong reads: %llu\n", (unsigned long long)accesses,
           (long long)((now() - begun) / 1000000), (unsigned long long)wrong);
    return wrong != 0;
}
