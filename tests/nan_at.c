/* For LD_PRELOAD: the logarithm, but its FACET_NAN_AT-th call gives no number. The loss of a training takes
 * one of every example, so a step goes wrong, once.
 */
#include <dlfcn.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

double log(double x) {
    static double (*real)(double);
    static atomic_long calls;
    static long at;
    if (!real) {
        const char *wanted = getenv("FACET_NAN_AT");
        at = wanted ? atol(wanted) : 0;
        *(void **)&real = dlsym(RTLD_NEXT, "log");
    }
    return atomic_fetch_add(&calls, 1) + 1 == at ? NAN : real(x);
}
