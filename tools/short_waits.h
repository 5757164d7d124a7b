/* How long a thread without work keeps its core before it sleeps.
 *
 * Left alone, threads of GCC's OpenMP wait in a loop for milliseconds. That costs nothing while the program
 * has its cores to itself; beside another program it takes them from threads that would compute, of both.
 */
#ifndef FACET_TOOLS_SHORT_WAITS_H
#define FACET_TOOLS_SHORT_WAITS_H

/* Lets them sleep after some tens of microseconds, unless the environment says how they wait (OMP_WAIT_POLICY
 * or GOMP_SPINCOUNT). OpenMP reads its environment before main begins, so the program starts itself anew with
 * the same arguments; this returns there, and where it could not do so. The first call of main, in
 * programs that compute for longer than that takes. */
void ft_short_waits(char **argv);

#endif
